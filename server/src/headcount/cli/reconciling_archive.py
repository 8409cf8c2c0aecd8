"""Holding the data folder against an archive: reads both, gives what differs, down to ids."""

from __future__ import annotations

import tempfile
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headcount.catalog import Catalog, Source, Workspace
from headcount.cli.lookup import found_source, found_workspace
from headcount.cli.progress import ImportProgress
from headcount.cli.reading.target import whole_target
from headcount.cli.reconciled import IdsOfSource, Reconciled
from headcount.clock import now_ms
from headcount.counting.calendar import Period, day_of_ms, day_text
from headcount.counting.keys import MESSAGE, TRACKED, Family, KeyBlock
from headcount.counting.usage import UsageReading
from headcount.datafolder import DataFolder, open_data_folder
from headcount.errors import DamagedDataError, OperatorError, UsageError
from headcount.importing.archive_sources import ArchiveSources
from headcount.importing.columns_map import ColumnsMap, read_map
from headcount.importing.inputs import found_inputs
from headcount.intake import SourceRef
from headcount.reconciling.aligning import Pair
from headcount.reconciling.archive import (
    CountedArchive,
    ReadSoFar,
    count_archive,
    keys_of,
    read_records,
    side_of_reading,
)
from headcount.reconciling.differing import differences
from headcount.reconciling.ids import IdDifference, compare_ids, lone_keys, noted
from headcount.spreadsheets import csv_line
from headcount.store.opening import open_store
from headcount.terminal import say
from headcount.wiring.keys_in_use import CatalogHashKeys
from headcount.wording import number_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from headcount.config import Settings
    from headcount.importing.inputs import Input

__all__ = ["against_archive"]

_TRIES = 5


def against_archive(
    settings: Settings,
    month: Period,
    archives: Sequence[str],
    workspace: str | None,
    source: str | None,
    map_: Path | None,
    tolerance: Fraction,
    ids_file: str | None,
) -> Reconciled:
    """Count an archive, and compare it with the data folder of the settings.

    Raises:
        UsageError: no workspace is named, or there is none of that name.
        DataFolderError: the data folder cannot be used as it is.
    """
    if workspace is None:
        raise UsageError("Whose messages the archive has is not said.", "Give --workspace.")
    mapping = ColumnsMap() if map_ is None else read_map(map_)
    files = found_inputs(archives)
    if not files.inputs:
        raise UsageError("There is no file to read.", "Name one, or a folder, with --archive.")
    folder = open_data_folder(settings.data, create=False, write=False)
    with Catalog(folder.catalog, read_only=True) as catalog:
        owner = found_workspace(catalog, workspace)
        only = None if source is None else found_source(catalog, source, workspace)
        reader = _ArchiveReader(folder, catalog, settings, owner, only, mapping, files.inputs)
        archive = reader.count(month)
        reading, keys = _ours(folder, owner.number, month)
        names = {each.number: (each.id, each.name) for each in catalog.sources(owner.number)}
        found = compare_ids(keys, archive.keys, archive.facts, reading)
        result = _reconciled(month, tolerance, archive, reading, names)
        if any(keys.values()) or not any(reading.workspace.ravel()):
            result.ids = [_ids(each, names) for each in found if _has_any(each)]
        else:
            result.notes.append(
                f"The ids of {str(month)[:7]} are gone from the data folder, since the month is"
                " closed: only counts are compared."
            )
        result.is_whole, result.by_our_rules = not archive.failures, True
        result.notes += _notes(archive, reader.unknown, [each.name for each in files.left_out])
        if ids_file is not None:
            lone = _lone(folder, month, keys, archive)
            texts = reader.texts(found)
            with whole_target(ids_file, binary=False) as stream:
                for line in _id_lines(month, found, names, texts, lone):
                    stream.write(line)
            result.notes.append(f"The ids that one side has alone are in {ids_file}.")
    return result


class _ArchiveReader:
    """Reads the files of an archive, once to count them, and once more to tell some ids."""

    def __init__(
        self,
        folder: DataFolder,
        catalog: Catalog,
        settings: Settings,
        owner: Workspace,
        only: Source | None,
        mapping: ColumnsMap,
        inputs: Sequence[Input],
    ) -> None:
        self._settings = settings
        self._owner = owner
        self._mapping = mapping
        self._inputs = inputs
        self._only = None
        if only is not None:
            self._only = SourceRef(only.workspace, only.number, only.enabled)
        self._keys = CatalogHashKeys(folder, catalog, settings.hash_key)
        mapped = {
            name: found
            for name, wanted in mapping.sources.items()
            if (found := catalog.source(owner.number, wanted)) is not None
        }
        self._sources = ArchiveSources(catalog, owner, mapped)

    @property
    def unknown(self) -> Sequence[str]:
        """Names that stood for no source."""
        return self._sources.unknown

    def count(self, month: Period) -> CountedArchive:
        """Count all files."""
        read = ReadSoFar()
        with tempfile.TemporaryDirectory(prefix="headcount-reconcile-") as place:
            return count_archive(
                self._facts(read),
                read,
                self._owner.number,
                month,
                Path(place),
                self._settings.dedup_window_days,
                self._settings.memory,
            )

    def texts(self, found: Sequence[IdDifference]) -> Mapping[int, str]:
        """The ids as the archive has them, by hash, of what it has alone."""
        wanted = {
            name: np.concatenate([np.zeros(0, np.uint64), *(e.hashes for e in found if of(e))])
            for name, of in (("message", _is_message), ("tracked", lambda e: not _is_message(e)))
        }
        texts = noted(self._keys.ring(), wanted)
        for _ in self._facts(ReadSoFar()):
            pass
        return texts

    def _facts(self, read: ReadSoFar) -> Iterator[bytes]:
        with ImportProgress(self._inputs) as progress:
            began: Input | None = None

            def told(each: Input, bytes_read: int, records: int) -> None:
                nonlocal began
                if each is not began:
                    began = each
                    progress.begins(each)
                progress.read(bytes_read, records)

            yield from read_records(
                self._inputs, self._mapping, self._sources, self._only, self._keys, told, read
            )


def _is_message(difference: IdDifference) -> bool:
    return difference.kind.family == MESSAGE


def _ours(
    folder: DataFolder, workspace: int, month: Period
) -> tuple[UsageReading, dict[Family, KeyBlock | None]]:
    """Our counts and keys of a month, both from one moment."""
    for tried in range(_TRIES):
        try:
            with closing(open_store(folder.store, read_only=True)) as store:
                before = store.read_usage(workspace, month)
                keys = {family: keys_of(store, month, family) for family in (TRACKED, MESSAGE)}
                after = store.read_usage(workspace, month)
        except DamagedDataError:
            # A meter at work may have replaced a file meanwhile; one that is damaged stays so.
            if tried == _TRIES - 1:
                raise
            continue
        if before.revision == after.revision:
            return after, keys
    raise OperatorError(
        f"Messages of {str(month)[:7]} are counted all the time, and no moment could be looked at.",
        "Try again when fewer come, or compare a restored backup.",
    )


def _reconciled(
    month: Period,
    tolerance: Fraction,
    archive: CountedArchive,
    reading: UsageReading,
    names: Mapping[int, tuple[str, str]],
) -> Reconciled:
    ours = side_of_reading(reading, names)
    theirs = side_of_reading(archive.reading, names)
    pairs = [Pair(each, each, "id", 1.0) for each in theirs.sources if each in ours.sources]
    last_day = month.length - 1
    today = day_of_ms(now_ms())
    if month.first_day <= today <= month.last_day:
        last_day = today - month.first_day
    found = differences(ours, theirs, pairs, last_day, tolerance)
    return Reconciled(month, last_day, tolerance, "the archive", pairs, found, {}, ours, theirs)


def _has_any(difference: IdDifference) -> bool:
    return bool(difference.matched or difference.theirs_only.any() or difference.ours_only.any())


def _ids(difference: IdDifference, names: Mapping[int, tuple[str, str]]) -> IdsOfSource:
    return IdsOfSource(
        names.get(difference.source, ("", str(difference.source)))[1],
        difference.kind.name,
        difference.matched,
        difference.other_day,
        *(
            {day: int(count) for day, count in enumerate(counts) if count}
            for counts in (difference.theirs_only, difference.ours_only)
        ),
    )


def _notes(
    archive: CountedArchive, unknown: Sequence[str], left_out: Sequence[str]
) -> Iterator[str]:
    yield f"The archive has {number_of(archive.records, 'record')}."
    if archive.rejected:
        yield (
            f"{number_of(archive.rejected, 'record', 'was', 'were')} refused, as by"
            " `headcount import`, which names reasons with --dry-run."
        )
    if unknown:
        yield f"No source is called {', '.join(unknown)}: a map (--map) can say which they are."
    for name, failure in archive.failures.items():
        yield f"{name}: {failure}"
    if left_out:
        yield f"{number_of(len(left_out), 'file', 'was', 'were')} left out: {left_out[0]} ..."


def _lone(
    folder: DataFolder,
    month: Period,
    keys: Mapping[Family, KeyBlock | None],
    archive: CountedArchive,
) -> list[tuple[Family, KeyBlock]]:
    """Keys that are ours alone, where no other workspace has keys of that month."""
    with closing(open_store(folder.store, read_only=True)) as store:
        owners = {each.workspace for each in store.months() if each.period == month}
    if len(owners) > 1:
        say(
            "Hashes that are ours alone are not written: several workspaces have ids of this"
            " month, and a hash does not tell whose it is. Their numbers are above."
        )
        return []
    found = []
    for family, held in keys.items():
        if (lone := lone_keys(held, archive.keys.get(family))) is not None:
            found.append((family, lone))
    return found


def _id_lines(
    month: Period,
    found: Sequence[IdDifference],
    names: Mapping[int, tuple[str, str]],
    texts: Mapping[int, str],
    lone: Sequence[tuple[Family, KeyBlock]],
) -> Iterator[bytes]:
    yield csv_line(("side", "source", "kind", "day", "hash", "id"))
    for each in found:
        name = names.get(each.source, ("", str(each.source)))[1]
        for number, day in zip(each.hashes.tolist(), each.days.tolist(), strict=True):
            cells = day_text(month.first_day + day), f"{number:016x}", texts.get(number)
            yield csv_line(("theirs", name, each.kind.name, *cells))
    for family, block in lone:
        kind = "messageId" if family == MESSAGE else "userId or anonymousId"
        for number, day in zip(block.fingerprints.tolist(), block.days.tolist(), strict=True):
            cells = day_text(month.first_day + day), f"{number:016x}", None
            yield csv_line(("ours", None, kind, *cells))
