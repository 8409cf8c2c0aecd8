"""`headcount import`: takes files of past messages, has them counted on the days they happened."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from headcount.cli.lookup import found_source, found_workspace
from headcount.cli.options import as_json_option, settings_options, workspace_option
from headcount.errors import OperatorError, StorageUnavailableError
from headcount.terminal import print_json, print_record, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from headcount.cli.progress import ImportProgress
    from headcount.config import Settings
    from headcount.importing.chunks import ImportChunk, LineError
    from headcount.importing.inputs import Input

__all__ = ["import_"]

_BUFFER_BYTES = 1 << 18
# Lines of the summary that most imports have no need of.
_IF_ANY = ("unreadable", "earlier")


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
@click.option("--dry-run", is_flag=True, help="Check every line and change nothing.")
@settings_options("data", "hash_key")
@as_json_option
def import_(
    settings: Settings,
    files: tuple[str, ...],
    workspace: str,
    source: str | None,
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
    named on standard error and left out. Returns once everything is counted, with status 0, or 1
    if a file could not be read to its end.
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
        taken = _Taken()
        with ImportProgress(inputs) as progress:
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
    return 1 if taken.unreadable else 0


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
    """What was read so far."""

    def __init__(self) -> None:
        self.files = 0
        self.unreadable = 0
        self.records = 0
        self._earlier = 0
        self._reasons: Counter[str] = Counter()

    def take(
        self,
        each: Input,
        chunks_of: Callable[[BinaryIO], Iterator[ImportChunk]],
        progress: ImportProgress,
    ) -> None:
        """Read one file to its end, or as far as that is possible."""
        self.files += 1
        progress.begins(each)
        with each.opened() as reading:
            for chunk in chunks_of(io.BufferedReader(reading, _BUFFER_BYTES)):
                for lines, reason in _ranges(chunk.errors):
                    progress.say(f"{each.name}:{lines}: {reason}")
                self._reasons.update(error.reason.value for error in chunk.errors)
                self.records += chunk.records
                self._earlier += chunk.records if chunk.is_passed_over else 0
                progress.read(reading.bytes_read, self.records)
        if reading.failure is not None:
            self.unreadable += 1
            progress.say(f"{each.name}: {reading.failure}")

    def report(self, as_json: bool, dry_run: bool) -> None:
        """Print the summary."""
        from headcount.intake.reasons import EXPLANATIONS, Reason

        rejected = self._reasons.total()
        counts = {
            "files": self.files,
            "unreadable": self.unreadable,
            "records": self.records,
            "earlier": self._earlier,
            "admitted": self.records - self._earlier - rejected,
            "rejected": rejected,
        }
        if as_json:
            reasons = dict(self._reasons.most_common())
            print_json({**counts, "reasons": reasons, "dryRun": dry_run})
            return
        shown = {name: counts[name] for name in counts if counts[name] or name not in _IF_ANY}
        shown |= {f"  {reason}": records for reason, records in self._reasons.most_common()}
        print_record({name: f"{number:,}" for name, number in shown.items()})
        for name in self._reasons:
            say(f"{name}: {EXPLANATIONS[Reason(name)].sentence}")
        if dry_run:
            say("Nothing was changed (--dry-run).")


def _ranges(errors: list[LineError]) -> Iterator[tuple[str, str]]:
    """Bad lines with their reasons; neighbours with the same reason as one range."""
    first = last = None
    for error in [*errors, None]:
        if first is not None and last is not None:
            if error and error.reason == last.reason and error.line_number == last.line_number + 1:
                last = error
                continue
            lines = f"{first.line_number}"
            if last is not first:
                lines += f"-{last.line_number}"
            yield lines, first.reason.value
        first = last = error
