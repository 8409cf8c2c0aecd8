"""What an import tells: takes chunks and files as they are read, prints lines and the summary.

Names some of what was refused, and all of what was not read; no import prints more than three
hundred lines.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from headcount.terminal import print_json, print_record, print_table
from headcount.wording import number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from headcount.cli.progress import ImportProgress
    from headcount.importing.archive_sources import ArchiveSources
    from headcount.importing.chunks import ImportChunk, LineError
    from headcount.importing.first_rows import FirstRow, FirstRows
    from headcount.importing.forms import Records
    from headcount.importing.inputs import FoundFiles, Input
    from headcount.importing.line_files import Line
    from headcount.intake.reasons import Reason

__all__ = ["ImportReport"]

# Lines of the summary that most imports have no need of.
_IF_ANY = ("unreadable", "leftOut", "skipped", "earlier")
# There are some twenty reasons: with these, no import prints more than three hundred lines.
_EXAMPLES_MAX = 10
_FAILURES_SHOWN_MAX = 20
_NOTES_MAX = 4
_NAMES_SHOWN = 10
_LINES_MAX = 300
# Those about files that were left out, and why the status is 1.
_LAST_LINES = 4
_WORDS = {"leftOut": "left out"}
# With these alone, it is the file that is wrong, and not what is in its records.
_FORM_REASONS = ("malformed_json", "not_an_object", "not_utf8", "malformed_row")


class ImportReport:
    """What was read so far.

    Args:
        found: the files, and those that are not taken.
        say: prints a line.
    """

    def __init__(self, found: FoundFiles, say: Callable[[str], None]) -> None:
        self._found = found
        self._print = say
        self._said = 0
        self._files = 0
        self._unreadable = 0
        self.records = 0
        self._earlier = 0
        self._noun = "line"
        self._reasons: Counter[Reason] = Counter()
        self._examples: Counter[Reason] = Counter()
        self._named: Counter[Reason] = Counter()
        self._notes: dict[str, list[str]] = {}

    @property
    def rejected(self) -> int:
        """How many records were refused."""
        return self._reasons.total()

    def status(self, max_rejected: int) -> int:
        """The exit status; where it is 1 because of what was refused, that is said.

        Args:
            max_rejected: how many records may be refused.
        """
        if self.rejected > max_rejected:
            refused = number_of(self.rejected, self._noun, "was", "were")
            self._say(
                f"{refused} refused, and --max-rejected is {max_rejected:,}: the status is 1."
            )
            return 1
        return 1 if self._unreadable or self._found.left_out else 0

    def take(
        self,
        each: Input,
        records: Records,
        chunks_of: Callable[[Iterable[Line]], Iterator[ImportChunk]],
        progress: ImportProgress,
        first: FirstRows | None,
    ) -> None:
        """Read one file to its end, or as far as that is possible."""
        self._files += 1
        progress.begins(each)
        before = self.records - self.rejected
        reasons: Counter[Reason] = Counter()
        with closing(records):
            lines = records.lines()
            if records.unit != "line":
                self._noun = "record"

            def place_of(first: int, last: int | None = None) -> str:
                return _place(each.name, records.unit, first, last)

            for chunk in chunks_of(lines if first is None else first.watched(lines)):
                records.keep(error.line_number for error in chunk.errors)
                self._tell(place_of, chunk.errors)
                reasons.update(error.reason for error in chunk.errors)
                self._reasons.update(error.reason for error in chunk.errors)
                self.records += chunk.records
                if chunk.is_passed_over:
                    self._earlier += chunk.records - len(chunk.errors)
                if first is not None:
                    first.took(chunk, place_of)
                progress.read(records.bytes_read, self.records)
        failure = records.failure
        if failure is None and reasons and self.records - self.rejected == before:
            failure = _of_no_form(reasons)
        if failure is not None:
            self._unreadable += 1
            if self._unreadable <= _FAILURES_SHOWN_MAX:
                self._say(f"{each.name}: {failure}")
        for note in records.notes:
            self._notes.setdefault(note, []).append(each.name)

    def _say(self, line: str) -> None:
        self._said += 1
        self._print(line)

    def _tell(self, place_of: Callable[[int, int], str], errors: list[LineError]) -> None:
        """Name some of the refused records: as many as somebody reads."""
        for first, last, reason in _ranges(errors):
            if self._examples[reason] < _EXAMPLES_MAX:
                self._examples[reason] += 1
                self._named[reason] += last - first + 1
                self._say(f"{place_of(first, last)}: {reason.value}")

    def print(self, sources: ArchiveSources, first: FirstRows | None, *, as_json: bool) -> None:
        """Print the summary.

        Args:
            sources: which were made, and which names stand for none.
            first: how the first records were understood; of an import that changes nothing.
            as_json: for programs.
        """
        counts = {
            "files": self._files,
            "unreadable": self._unreadable,
            "leftOut": len(self._found.left_out),
            "skipped": self._found.skipped,
            "records": self.records,
            "earlier": self._earlier,
            "admitted": self.records - self._earlier - self.rejected,
            "rejected": self.rejected,
        }
        reasons = {reason.value: records for reason, records in self._reasons.most_common()}
        if as_json:
            more: dict[str, object] = {"reasons": reasons, "dryRun": first is not None}
            if self._found.left_out:
                more["leftOutFiles"] = [each.name for each in self._found.left_out]
            if sources.made:
                more["sourcesMade"] = sources.made
            if first is not None:
                more["firstRows"] = [row._asdict() for row in first.rows]
            print_json(counts | more)
            self._say_left_out(0)
            return
        shown = {name: counts[name] for name in counts if counts[name] or name not in _IF_ANY}
        shown = {_WORDS.get(name, name): number for name, number in shown.items()}
        shown |= {f"  {reason}": records for reason, records in reasons.items()}
        closing_lines = self._closing(sources, is_dry=first is not None)
        others = len(shown) + len(closing_lines) + _LAST_LINES
        if first is not None and first.rows:
            others += 1 + _print_rows(first.rows[: max(3, _LINES_MAX - self._said - others)])
        print_record({name: f"{number:,}" for name, number in shown.items()})
        self._say_left_out(others)
        for line in closing_lines:
            self._say(line)

    def _closing(self, sources: ArchiveSources, *, is_dry: bool) -> list[str]:
        from headcount.intake.reasons import EXPLANATIONS

        lines = []
        for reason, records in self._reasons.most_common():
            more = records - self._named[reason]
            left_out = f" ({number_of(more, self._noun)} more not named above.)" if more else ""
            lines.append(f"{reason.value}: {EXPLANATIONS[reason].sentence}{left_out}")
        if sources.unknown:
            lines.append(
                f"No source is called {_few(sources.unknown)}. Make sources of these names with"
                " --make-sources, or say under [sources] in a map (--map) which ones they stand"
                " for, or give one for all messages with --source."
            )
        if sources.made:
            made = "would be made" if is_dry else "were made"
            lines.append(f"Sources that {made}: {_few(sources.made)}.")
        lines += [
            f"{_few(names)}: {note}" for note, names in list(self._notes.items())[:_NOTES_MAX]
        ]
        if self._unreadable > _FAILURES_SHOWN_MAX:
            more = self._unreadable - _FAILURES_SHOWN_MAX
            lines.append(f"{number_of(more, 'file')} more could not be read to the end.")
        if is_dry:
            lines.append("Nothing was changed (--dry-run).")
        return lines

    def _say_left_out(self, other_lines: int) -> None:
        """Name the files that were not taken: each, or the last of very many by their kind."""
        room = max(1, _LINES_MAX - self._said - other_lines)
        left_out = self._found.left_out
        for each in left_out[:room]:
            self._say(f"{each.name}: left out: {each.why}.")
        if rest := left_out[room:]:
            kinds = Counter(PurePosixPath(each.name).suffix or "no ending" for each in rest)
            named = ", ".join(f"{kind} ({count:,})" for kind, count in kinds.most_common(5))
            more = " and others" if len(kinds) > 5 else ""
            self._say(
                f"{number_of(len(rest), 'file')} more left out, by ending: {named}{more};"
                " --json names them all."
            )
        if left_out:
            self._say(
                f"{number_of(len(left_out), 'file', 'was', 'were')} left out: the status is 1."
                " --skip PATTERN passes over what holds no messages."
            )


def _print_rows(rows: list[FirstRow]) -> int:
    """Print how the first records were understood; how many there were."""
    headings = ("record", "type", "user", "anonymous", "previous", "time", "source")
    short = [row._replace(place=PurePosixPath(row.place).name) for row in rows]
    print_table((*headings, "message id", "outcome"), short)
    return len(rows)


def _place(name: str, unit: str, first: int, last: int | None = None) -> str:
    """Where a record stands, or some that follow one another."""
    numbers = f"{first}" if last in (None, first) else f"{first}-{last}"
    if unit == "line":
        return f"{name}:{numbers}"
    return f"{name}, {unit}{'' if last in (None, first) else 's'} {numbers}"


def _of_no_form(reasons: Counter[Reason]) -> str | None:
    """What to say of a file of which no record was taken, if that is because of its form."""
    if any(reason.value not in _FORM_REASONS for reason in reasons):
        return None
    return "not one of its records could be read; its form is another than it seems to be."


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown


def _ranges(errors: list[LineError]) -> Iterator[tuple[int, int, Reason]]:
    """First and last of neighbouring lines that were refused for the same reason."""
    place = 0
    while place < len(errors):
        first = last = errors[place]
        place += 1
        while place < len(errors) and errors[place].follows(last):
            last = errors[place]
            place += 1
        yield first.line_number, last.line_number, first.reason
