"""`headcount import`: takes files of past messages, has them counted on the days they happened."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headcount.cli.lookup import found_source, found_workspace
from headcount.cli.options import as_json_option, settings_options, workspace_option
from headcount.clock import now_ms
from headcount.errors import OperatorError, StorageUnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from headcount.catalog import Catalog, Source, Workspace
    from headcount.cli.import_report import ImportReport
    from headcount.cli.progress import ImportProgress
    from headcount.config import Settings
    from headcount.datafolder import DataFolder
    from headcount.importing.archive_sources import ArchiveSources
    from headcount.importing.chunks import ImportChunk
    from headcount.importing.columns_map import ColumnsMap
    from headcount.importing.first_rows import FirstRows
    from headcount.importing.history import HistoryImport
    from headcount.importing.inputs import Input
    from headcount.importing.line_files import Line
    from headcount.importing.rejects import Rejects

__all__ = ["import_"]

# Where the numbers of sources begin that are made of nothing, in an import that changes nothing.
_PRETENDED = 1 << 30


@click.command(
    name="import",
    epilog="""\b
Examples:
  headcount import february.ndjson --workspace Shop --source web
  headcount import archive/ --workspace Shop --dry-run
  headcount import s3://bucket/segment-logs/ --workspace Shop --make-sources
  headcount import tracks.csv identifies.parquet --workspace Shop --source web
  headcount import orders.csv --workspace Shop --source shop --map orders.toml
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
    help="Source of all messages, by id or name. Without it each message names its own, by"
    " writeKey, sourceId or projectId, or its folder does (segment-logs/SOURCE/,"
    " rudder-logs/SOURCE/).",
)
@click.option(
    "--make-sources",
    is_flag=True,
    help="Make a source for each projectId, or source of such a folder, that there is none for,"
    " named by it.",
)
@click.option(
    "--map",
    "map_",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file that says which column or member is what, and what sources are called here.",
)
@click.option(
    "--skip",
    metavar="PATTERN",
    multiple=True,
    help="Pass over files of folders whose name or path is like this, such as '*.log'. May be given"
    " several times.",
)
@click.option(
    "--rejects",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep refused lines here, as they came and in their order; the file is written anew. Of a"
    " table, a refused row is kept as the JSON that was made of it.",
)
@click.option(
    "--max-rejected",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="How many records may be refused: with more, the status is 1.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check every record, show how the first ones are understood, and change nothing.",
)
@settings_options("data", "hash_key", "memory", "no_event_names")
@as_json_option
def import_(
    settings: Settings,
    files: tuple[str, ...],
    workspace: str,
    source: str | None,
    make_sources: bool,
    map_: Path | None,
    skip: tuple[str, ...],
    rejects: Path | None,
    max_rejected: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Count past messages on the days of their receivedAt.

    A FILE may be JSON (an object a line, an array, or one behind the other), CSV or Parquet, plain,
    gzip or zstd; a folder; an address (s3://, gs:// or az://, of an object or of what lies below
    it, or https://); or - for standard input. Of a folder those files are taken whose names end in
    .ndjson, .jsonl, .json, .csv, .tsv, .parquet, .gz or .zst, in any case; every other one is
    named, and the status is 1. A message without receivedAt counts on the day of its timestamp.

    Of a table the columns are taken for what Segment and RudderStack call them in a warehouse, with
    id as the message id; the type of its messages comes from the name of its file, such as
    tracks.csv or identifies.parquet. For all else there is --map. docs/importing.md has a section
    for each archive.

    Works while the server runs, and while it is stopped; in a cluster, on any node whose server
    runs. After Ctrl-C or a crash the same command
    goes on where it was. Importing a file again changes no count. A record that cannot be counted
    is refused and left out: ten of each reason are named on standard error. Returns once everything
    is counted, with status 0, or 1 if a file was left out or could not be read to its end, or more
    records were refused than --max-rejected says.
    """
    from headcount.cli.import_report import ImportReport
    from headcount.cli.progress import ImportProgress
    from headcount.importing.columns_map import ColumnsMap, read_map
    from headcount.importing.decoder_processes import DecoderProcesses
    from headcount.importing.inputs import found_inputs

    if source is not None and make_sources:
        raise UsageError(
            "--source gives one source for all messages, and --make-sources one for each name.",
            "Leave one of the two out.",
        )
    mapping = ColumnsMap() if map_ is None else read_map(map_)
    found = found_inputs(files, skip)
    _require_libraries(found.inputs)
    with ExitStack() as stack:
        decoders = stack.enter_context(closing(DecoderProcesses()))
        if not dry_run and rejects is None:  # else lines are taken one by one
            decoders.expect(sum(each.size_bytes or 0 for each in found.inputs if not each.is_table))
        folder = _opened_folder(settings, dry_run)
        catalog = stack.enter_context(_opened_catalog(folder, settings, dry_run))
        owner = found_workspace(catalog, workspace)
        only = None if source is None else found_source(catalog, source, workspace)
        sources = _archive_sources(catalog, owner, mapping, make_sources, dry_run)
        progress = stack.enter_context(ImportProgress(found.inputs))
        kept = stack.enter_context(_opened(rejects, found.inputs))
        report = ImportReport(found, progress.say)
        reader = _Reader(found.inputs, mapping, sources, kept, report, progress)
        if dry_run:
            reader.check(folder, owner, only)
        else:
            from headcount.importing.history import HistoryImport

            reader.count(
                HistoryImport(folder, catalog, settings, owner, only, sources, decoders=decoders)
            )
    report.print(sources, reader.first, as_json=as_json)
    return report.status(max_rejected)


def _opened_folder(settings: Settings, dry_run: bool) -> DataFolder:
    """The data folder, in which somebody counts, or may."""
    from headcount.cluster.catalogs import membership_of, require_running_node
    from headcount.datafolder import FolderLock, open_data_folder
    from headcount.integrity import refuse_faults

    folder = open_data_folder(settings.data, create=False, write=not dry_run)
    membership = membership_of(folder)
    if membership is not None and not dry_run:
        what = "hands what is read on to the partitions that count it"
        require_running_node(folder, membership, what)
    if not FolderLock.held(folder.serve_lock):  # a server has looked when it started
        refuse_faults(folder.path)
    return folder


def _opened_catalog(folder: DataFolder, settings: Settings, dry_run: bool) -> Catalog:
    from headcount.catalog import Catalog
    from headcount.cluster.catalogs import catalog_for_changes

    if dry_run:
        return Catalog(folder.catalog, read_only=True)
    return catalog_for_changes(folder, settings.cluster)


@dataclass(slots=True)
class _Reader:
    """Reads all files of one import."""

    inputs: Sequence[Input]
    mapping: ColumnsMap
    sources: ArchiveSources
    kept: Rejects | None
    report: ImportReport
    progress: ImportProgress
    first: FirstRows | None = None

    def check(self, folder: DataFolder, owner: Workspace, only: Source | None) -> None:
        """Read everything, and change nothing."""
        from headcount.importing.first_rows import FirstRows
        from headcount.importing.history import checked_chunks

        self.first = FirstRows(self.sources, only)
        for each in self.inputs:
            self._take(each, lambda lines: checked_chunks(folder, owner, only, self.sources, lines))

    def count(self, history: HistoryImport) -> None:
        """Read everything, and return once it is counted."""
        with closing(history), _interruptions_explained(self.report, self.progress):
            for each in self.inputs:
                self._take(each, history.chunks)
            history.meter(self.progress.metering)
            history.finish()

    def _take(
        self, each: Input, chunks_of: Callable[[Iterable[Line]], Iterator[ImportChunk]]
    ) -> None:
        from headcount.importing.archive_sources import vendors_source
        from headcount.importing.forms import Records

        self.sources.of_file = vendors_source(each.path)
        records = Records(each, self.mapping, self.kept)
        self.report.take(each, records, chunks_of, self.progress, self.first)


def _archive_sources(
    catalog: Catalog, owner: Workspace, mapping: ColumnsMap, make: bool, dry_run: bool
) -> ArchiveSources:
    """The sources that records may name, some of them under the names of a map."""
    from headcount.catalog import Source
    from headcount.importing.archive_sources import ArchiveSources

    mapped = {}
    for name, wanted in mapping.sources.items():
        source = catalog.source(owner.number, wanted)
        if source is None:
            raise UsageError(
                f'sources.{name} in the map {mapping.name} names "{wanted}", and workspace'
                f' "{owner.name}" has no such source.',
                "See `headcount source list`, or make it with `headcount source add`.",
            )
        mapped[name] = source
    numbers = count(_PRETENDED)

    def pretended(name: str) -> Source:
        return Source(next(numbers), name, name, owner.number, "", True, 0)

    def made(name: str) -> Source:
        return catalog.add_source(owner.number, name, now_ms())

    return ArchiveSources(
        catalog, owner, mapped, (pretended if dry_run else made) if make else None
    )


def _require_libraries(inputs: Sequence[Input]) -> None:
    """See, before anything is read, that all of it can be."""
    from headcount.importing.parquet_rows import require_parquet

    for each in inputs:
        if ".parquet" in each.name.lower().rpartition("/")[2]:
            require_parquet(each.name)
            return


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
def _interruptions_explained(report: ImportReport, progress: ImportProgress) -> Iterator[None]:
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
            f"{report.records:,} records were read and are kept; run the same command again to go"
            " on from there."
        )
        raise
