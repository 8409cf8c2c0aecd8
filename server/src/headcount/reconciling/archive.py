"""An archive of messages, counted by our own rules in a store of its own, beside the data folder's.

Takes files of past messages, gives what they come to, and the facts that it was counted from.
Nothing of the data folder is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from headcount.clock import now_ms
from headcount.counting.batch import Facts, facts_from_bytes
from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.hashing import Keys
from headcount.counting.keys import MESSAGE, TRACKED, Family, KeyBlock, merged
from headcount.counting.metrics import HEADLINES
from headcount.counting.usage import UsageReading
from headcount.importing.archive_sources import ArchiveSources, vendors_source
from headcount.importing.chunks import Context, import_chunks
from headcount.importing.columns_map import ColumnsMap
from headcount.importing.forms import Records
from headcount.importing.inputs import Input
from headcount.intake import SourceRef
from headcount.journal import JournalDirectory
from headcount.layout import DataFolder
from headcount.meter import Meter, MeterLimits
from headcount.reconciling.counts import CountedMonth, Days, SourceDays, empty_days
from headcount.store.opening import open_store
from headcount.store.protocol import MeterStore

__all__ = [
    "CountedArchive",
    "ReadSoFar",
    "Told",
    "count_archive",
    "keys_of",
    "read_records",
    "side_of_reading",
]

Told = Callable[[Input, int, int], None]
"""Called now and then with the file that is read, how much of it is, and how many records of all
files are."""


@dataclass(slots=True)
class CountedArchive:
    """What an archive comes to.

    Attributes:
        reading: its counts of the month.
        keys: its keys of the month, by family.
        facts: its admitted messages of the month, as they came.
        records, rejected: how many records there were, and how many of them were refused.
        failures: why files could not be read, or not to their end, by name.
    """

    reading: UsageReading
    keys: Mapping[Family, KeyBlock | None]
    facts: Facts
    records: int = 0
    rejected: int = 0
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ReadSoFar:
    """What was read so far.

    Attributes:
        records, rejected, failures: as of a `CountedArchive`.
    """

    records: int = 0
    rejected: int = 0
    failures: dict[str, str] = field(default_factory=dict)


def read_records(
    inputs: Sequence[Input],
    mapping: ColumnsMap,
    sources: ArchiveSources,
    only: SourceRef | None,
    hash_keys: Keys,
    told: Told,
    read: ReadSoFar,
) -> Iterator[bytes]:
    """The facts of an archive's admitted messages, some thousand at once.

    Args:
        inputs: the files.
        mapping: what their columns are, where they are called otherwise.
        sources: finds the source that a record names.
        only: the source of all records; when None, each names its own.
        hash_keys: the keys under which ids are hashed.
        told: see `Told`.
        read: counts what is read.
    """
    context = Context(
        find_source=sources.find if only is None else lambda _key, _id, _project: only,
        # A month that is closed can be looked at all the same.
        sealed=lambda _workspace: (),
        hash_keys=hash_keys,
        clock=now_ms,
        name=b"reconcile",
        are_sources_named=only is None,
    )
    for each in inputs:
        sources.of_file = vendors_source(each.path)
        with closing(Records(each, mapping)) as records:
            for chunk in import_chunks(records.lines(), context):
                read.records += chunk.records
                read.rejected += len(chunk.errors)
                told(each, records.bytes_read, read.records)
                if chunk.facts:
                    yield chunk.facts
            if records.failure is not None:
                read.failures[each.name] = records.failure


def count_archive(
    facts: Iterator[bytes],
    read: ReadSoFar,
    workspace: int,
    period: Period,
    folder: Path,
    window_days: int,
    memory_bytes: int,
) -> CountedArchive:
    """Count an archive.

    Args:
        facts: of all its messages, as `read_records` gives them.
        read: what they were read with.
        workspace: the number of the workspace that they are of.
        period: the month that is of interest; messages of others count for repeats alone.
        folder: an empty folder for the store; it takes about as much room as a data folder would.
        window_days: the setting `dedup_window_days`.
        memory_bytes: the setting `memory`.

    Raises:
        StorageUnavailableError: the disk refused.
    """
    first_ms, end_ms = period.first_day * MS_PER_DAY, (period.last_day + 1) * MS_PER_DAY
    places = DataFolder(folder)
    journals = JournalDirectory(places.journals)
    of_month: list[Facts] = []
    with closing(journals), closing(open_store(places.store)) as store:
        journal = journals.claim()
        with closing(journal):
            for packed in facts:
                journal.append(packed, (), now_ms())
                some = facts_from_bytes([packed])
                at_ms = some["received_at_ms"]
                of_month.append(some[(at_ms >= first_ms) & (at_ms < end_ms)])
        meter = Meter(store, journals, now_ms, window_days, MeterLimits.within(memory_bytes))
        with closing(meter):
            while not meter.step().drained:
                pass
        empty = facts_from_bytes([])
        return CountedArchive(
            store.read_usage(workspace, period),
            {family: keys_of(store, period, family) for family in (TRACKED, MESSAGE)},
            np.concatenate(of_month) if of_month else empty,
            read.records,
            read.rejected,
            read.failures,
        )


def keys_of(store: MeterStore, period: Period, family: Family) -> KeyBlock | None:
    """All keys of a month, ascending; None where there are none."""
    blocks = [block.copy() for block in store.keys(period, family) if len(block)]
    return merged(blocks) if blocks else None


def side_of_reading(reading: UsageReading, names: Mapping[int, tuple[str, str]]) -> CountedMonth:
    """A reading of a store as a side.

    Args:
        reading: of a month.
        names: id and name of each source, by number.
    """
    side = CountedMonth(reading.period, _days(reading.period, reading.workspace_totals()))
    for number, totals in zip(reading.source_numbers, reading.source_totals(), strict=True):
        source_id, name = names.get(int(number), (str(number), str(number)))
        side.sources[source_id] = SourceDays(source_id, name, _days(reading.period, totals))
    return side


def _days(period: Period, totals: np.ndarray) -> Days:
    days = empty_days(period)
    for metric in HEADLINES:
        days[metric.name] = [int(each) for each in metric.of(totals)[: period.length]]
    return days
