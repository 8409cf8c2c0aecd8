"""`headcount import`: takes files of past messages, has them counted on the days they happened."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headcount.cli.lookup import found_source, found_workspace
from headcount.cli.options import as_json_option, settings_options, workspace_option
from headcount.errors import OperatorError, StorageUnavailableError, UsageError
from headcount.terminal import print_json, print_record, say
from headcount.wording import number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from headcount.cli.progress import ImportProgress
    from headcount.config import Settings
    from headcount.importing.chunks import ImportChunk, LineError
    from headcount.importing.inputs import Input
    from headcount.importing.rejects import Lines, Rejects
    from headcount.intake.reasons import Reason

__all__ = ["import_"]

_BUFFER_BYTES = 1 << 18
# Lines of the summary that most imports have no need of.
_IF_ANY = ("unreadable", "earlier")
# There are some twenty reasons: with these, no import prints more than three hundred lines.
_EXAMPLES_MAX = 10
_FAILURES_SHOWN_MAX = 20


@click.command(
    name="import",
    epilog="""\b
Examples:
  headcount import february.ndjson --workspace Shop --source web
  headcount import archive/ --workspace Shop --dry-run
  headcount import s3://bucket/archive/2026-02/ --workspace Shop
  xz -dc archive.ndjson.xz | headcount import - --workspace Shop

\b
A line of such a file, when the source comes from the line:
  {"type": "track", "event": "Bought", "userId": "u1", "messageId": "m1",
   "receivedAt": "2026-02-03T10:00:00Z", "writeKey": "..."}""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@workspace_option()
@click.option(
    "--source",
    metavar="S",
    help="Source of all messages, by id or name. Without it each line names its own, by"
    " writeKey or sourceId.",
)
@click.option(
    "--rejects",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep refused lines here, as they came and in their order; the file is written anew.",
)
@click.option(
    "--max-rejected",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="How many lines may be refused: with more, the status is 1.",
)
@click.option("--dry-run", is_flag=True, help="Check every line and change nothing.")
@settings_options("data", "hash_key", "memory")
@as_json_option
def import_(
    settings: Settings,
    files: tuple[str, ...],
    workspace: str,
    source: str | None,
    rejects: Path | None,
    max_rejected: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Count past messages, one JSON object a line, on the days of their receivedAt.

    A FILE may be plain, gzip or zstd, a folder (of .ndjson, .jsonl and .json files, with or without
    .gz or .zst), an address (s3://, gs:// or az://, of an object or of what lies below it, or
    https://), or - for standard input. A message without receivedAt counts on the day of its
    timestamp.

    Works while the server runs, and while it is stopped. After Ctrl-C or a crash the same command
    goes on where it was. Importing a file again changes no count. A line that cannot be counted is
    refused and left out: ten of each reason are named on standard error. Returns once everything
    is counted, with status 0, or 1 if a file could not be read to its end, or more lines were
    refused than --max-rejected says.
    """
    from headcount.catalog import Catalog
    from headcount.cli.progress import ImportProgress
    from headcount.datafolder import FolderLock, open_data_folder
    from headcount.importing.history import HistoryImport, checked_chunks
    from headcount.importing.inputs import found_inputs
    from headcount.integrity import refuse_faults

    inputs = found_inputs(files)
    folder = open_data_folder(settings.data, create=False, write=not dry_run)
    if not FolderLock.held(folder.serve_lock):  # a server has looked when it started
        refuse_faults(folder.path)
    with Catalog(folder.catalog, read_only=dry_run) as catalog:
        owner = found_workspace(catalog, workspace)
        only = None if source is None else found_source(catalog, source, workspace)
        with ImportProgress(inputs) as progress, _opened(rejects, inputs) as kept:
            taken = _Taken(kept, progress.say)
            if dry_run:
                for each in inputs:
                    taken.take(
                        each,
                        lambda file: checked_chunks(folder, catalog, owner, only, file),
                        progress,
                    )
            else:
                history = HistoryImport(folder, catalog, settings, owner, only)
                with closing(history), _interruptions_explained(taken, progress):
                    for each in inputs:
                        taken.take(each, history.chunks, progress)
                    history.meter(progress.metering)
                    history.finish()
    taken.report(as_json, dry_run)
    is_too_many = taken.rejected > max_rejected
    if is_too_many:
        refused = number_of(taken.rejected, "line", "was", "were")
        say(f"{refused} refused, and --max-rejected is {max_rejected:,}: the status is 1.")
    return 1 if taken.unreadable or is_too_many else 0


@contextmanager
def _opened(path: Path | None, inputs: Sequence[Input]) -> Iterator[Rejects | None]:
    """The file for refused lines, which must be none of those that are read."""
    from headcount.importing.rejects import Rejects

    if path is None:
        yield None
        return
    for each in inputs:
        if isinstance(each.place, Path) and path.exists() and path.samefile(each.place):
            raise UsageError(
                f"{path} is to be imported, and refused lines would be written over it.",
                "Name another file with --rejects.",
            )
    with closing(Rejects(path)) as rejects:
        yield rejects


@contextmanager
def _interruptions_explained(taken: _Taken, progress: ImportProgress) -> Iterator[None]:
    """Say how far an import came that ends too early, and how it goes on."""
    try:
        yield
    except StorageUnavailableError as error:
        raise OperatorError(
            f"{error}.",
            "Free some disk space and run the same command again: what was read so far is kept,"
            " and nothing is counted twice.",
        ) from error
    except KeyboardInterrupt:
        progress.say(
            f"{taken.records:,} records were read and are kept; run the same command again to go"
            " on from there."
        )
        raise


class _Taken:
    """What was read so far.

    Args:
        rejects: where refused lines are kept; None for nowhere.
        say: prints a line.
    """

    def __init__(self, rejects: Rejects | None, say: Callable[[str], None]) -> None:
        self._rejects = rejects
        self._say = say
        self.files = 0
        self.unreadable = 0
        self.records = 0
        self._earlier = 0
        self._reasons: Counter[Reason] = Counter()
        self._examples: Counter[Reason] = Counter()
        self._named: Counter[Reason] = Counter()

    @property
    def rejected(self) -> int:
        """How many lines were refused."""
        return self._reasons.total()

    def take(
        self,
        each: Input,
        chunks_of: Callable[[Lines], Iterator[ImportChunk]],
        progress: ImportProgress,
    ) -> None:
        """Read one file to its end, or as far as that is possible."""
        self.files += 1
        progress.begins(each)
        with ExitStack() as stack:
            reading = stack.enter_context(each.opened())
            file: Lines = io.BufferedReader(reading, _BUFFER_BYTES)
            watched = None
            if self._rejects is not None:
                file = watched = stack.enter_context(closing(self._rejects.watched(file)))
            for chunk in chunks_of(file):
                if watched is not None:
                    watched.keep(error.line_number for error in chunk.errors)
                self._tell(each.name, chunk.errors)
                self._reasons.update(error.reason for error in chunk.errors)
                self.records += chunk.records
                if chunk.is_passed_over:
                    self._earlier += chunk.records - len(chunk.errors)
                progress.read(reading.bytes_read, self.records)
        if reading.failure is not None:
            self.unreadable += 1
            if self.unreadable <= _FAILURES_SHOWN_MAX:
                self._say(f"{each.name}: {reading.failure}")

    def _tell(self, name: str, errors: list[LineError]) -> None:
        """Name some of the refused lines: as many as somebody reads."""
        for first, last, reason in _ranges(errors):
            if self._examples[reason] < _EXAMPLES_MAX:
                self._examples[reason] += 1
                self._named[reason] += last - first + 1
                lines = f"{first}" if first == last else f"{first}-{last}"
                self._say(f"{name}:{lines}: {reason.value}")

    def report(self, as_json: bool, dry_run: bool) -> None:
        """Print the summary."""
        from headcount.intake.reasons import EXPLANATIONS

        counts = {
            "files": self.files,
            "unreadable": self.unreadable,
            "records": self.records,
            "earlier": self._earlier,
            "admitted": self.records - self._earlier - self.rejected,
            "rejected": self.rejected,
        }
        reasons = {reason.value: records for reason, records in self._reasons.most_common()}
        if as_json:
            print_json({**counts, "reasons": reasons, "dryRun": dry_run})
            return
        shown = {name: counts[name] for name in counts if counts[name] or name not in _IF_ANY}
        shown |= {f"  {reason}": records for reason, records in reasons.items()}
        print_record({name: f"{number:,}" for name, number in shown.items()})
        for reason, records in self._reasons.most_common():
            more = records - self._named[reason]
            left_out = f" ({number_of(more, 'line')} more not named above.)" if more else ""
            say(f"{reason.value}: {EXPLANATIONS[reason].sentence}{left_out}")
        if self.unreadable > _FAILURES_SHOWN_MAX:
            more = self.unreadable - _FAILURES_SHOWN_MAX
            say(f"{number_of(more, 'file')} more could not be read to the end.")
        if dry_run:
            say("Nothing was changed (--dry-run).")


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
