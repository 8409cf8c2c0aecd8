"""Taking a single machine's folder, with its history, into a cluster that begins with it.

Takes the folder, on which no server runs and whose journals are counted to their end, and changes
nothing in it; gives a node's data folder. Its message ids are shared out over the partitions of
messages, each to the one that would have had it. Keys of ids do not tell their ids, so all of them
stay together in `keys-0`, as do ids that come until the end of the present month. What an API call
is stands in the counts of `facts-0`, sets of ids in those of `keys-0`: what is shown is the sum.
Before a cluster is begun, every row of counts and tallies is held against the folder's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from headcount.catalog import Catalog
from headcount.catalog.shared_contents import Contents, Version, digest_of
from headcount.clock import now_ms
from headcount.cluster.membership_records import ClusterDocument
from headcount.cluster.partition_folders import counted_in
from headcount.cluster.placement import Partition, partitions_of
from headcount.config import Settings
from headcount.counting.calendar import Period, day_of_ms
from headcount.counting.conflicts import CONFLICTING
from headcount.counting.keys import MESSAGE, TRACKED, Family, KeyBlock, NewKeys
from headcount.counting.metrics import API_CALLS, STORED
from headcount.counting.usage import Counts
from headcount.datafolder import (
    DataFolder,
    FolderLock,
    hash_key_lines,
    load_hash_key,
    open_data_folder,
)
from headcount.durable import put_new
from headcount.errors import DamagedDataError, UsageError
from headcount.integrity import refuse_faults
from headcount.journal.view import journal_view
from headcount.spool.spool_key import spool_key_place
from headcount.store.joined import JoinedKeys
from headcount.store.opening import open_partition_store
from headcount.store.partition_protocol import PartitionStore
from headcount.store.protocol import Change
from headcount.store.recount import count_keys
from headcount.wiring.cluster_founding import found_cluster
from headcount.wiring.cluster_joined_alerts import take_alerts_along

__all__ = ["Joined", "join_folder"]

_IDS_OF_SETS = [
    each.column
    for each in STORED
    if each.column is not None and each.keys is not None and each.keys.family == TRACKED
]


class Joined(NamedTuple):
    """What was taken in.

    Attributes:
        cluster: the cluster's document.
        scopes: how many rows of counts (a scope and month each) are the same on both sides.
        message_keys, id_keys: how many keys were taken over.
        aside: messages that wait aside, which stay in the folder.
    """

    cluster: ClusterDocument
    scopes: int
    message_keys: int
    id_keys: int
    aside: int


class _Fixed:
    """A catalog's contents, to be copied once."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    def newer(self, held: Version) -> Contents | None:
        """The contents."""
        return None if held == self._contents.version else self._contents

    def publish(self, _before: Version, _data: bytes) -> Version:
        """Nothing is changed here."""
        raise AssertionError("a copy is only read")


def join_folder(settings: Settings, single: Path, facts: int, keys: int) -> Joined:
    """Take a folder in.

    Args:
        settings: name the engine, the new folder and the node.
        single: the single machine's folder.
        facts, keys: how many partitions the cluster is to have.

    Raises:
        OperatorError: the folder cannot be taken in as it is, or there is a cluster already.
    """
    old = open_data_folder(single, create=False, write=True)
    if old.cluster.exists():
        raise UsageError(f"{single} belongs to a cluster already.", "See headcount cluster status.")
    with ExitStack() as stack:
        stack.enter_context(FolderLock(old.serve_lock, "cluster join"))
        refuse_faults(old.path)
        new = open_data_folder(settings.data, create=True)
        with Catalog(new.catalog) as catalog:
            if catalog.workspaces() or new.partitions.exists() or new.store.exists():
                raise UsageError(
                    f"{new.path} is not new.", "Name a new folder for the node with --data."
                )
        store = stack.enter_context(closing(open_partition_store(old.store)))
        _require_counted(old, store)
        _copy_catalog(old, new, store, settings)
        names = partitions_of(facts, keys)
        parts = {each: stack.enter_context(closing(_begun(new, each))) for each in names}
        moved = _share_out(store, parts, facts)
        scopes = _verified(store, parts)
        aside = sum(each.messages for each in store.set_aside())
        until = max(day_of_ms(now_ms()), store.state().last_metered_day or 0)
        whole_until = Period.of_day(until).number
        cluster = found_cluster(settings, facts, keys, whole_until=whole_until)
        for each in names:
            counted_in(new.partition(str(each)).path, cluster.id, 1)
    return Joined(cluster, scopes, moved[MESSAGE], moved[TRACKED], aside)


def _require_counted(old: DataFolder, store: PartitionStore) -> None:
    """What waits in journals would stay there."""
    positions = store.state().positions
    for path in old.journal_files():
        with journal_view(path) as journal:
            if journal.last_id > positions.get(journal.uuid, 0):
                raise UsageError(
                    f"{path} holds messages that are not counted yet.",
                    "Let headcount serve run on that folder until they are, and stop it.",
                )


def _copy_catalog(
    old: DataFolder, new: DataFolder, store: PartitionStore, settings: Settings
) -> None:
    """The catalog, with the hash key under which everything was counted, and what was told."""
    place = settings.hash_key or new.hash_key
    with Catalog(old.catalog) as catalog:
        hash_key = settings.hash_key if settings.hash_key and place.exists() else None
        key = load_hash_key(old, catalog, hash_key)
        held = catalog.shared_contents()
        if catalog.hash_keys().next_fingerprint is not None:
            raise UsageError(
                f"The hash key of {old.path} is being rotated.",
                "Wait until the former key is retired; headcount doctor says when.",
            )
    put_new(place, hash_key_lines([key]))
    first = Contents(Version(1, digest_of(held.data)), held.data)
    with Catalog(new.catalog, shared=_Fixed(first)) as catalog:
        catalog.catch_up()
    with Catalog(new.catalog) as catalog:
        take_alerts_along(catalog, store, spool_key_place(old, hash_key), key)


def _begun(new: DataFolder, partition: Partition) -> PartitionStore:
    place = new.partition(str(partition))
    place.path.mkdir(mode=0o700, parents=True)
    return open_partition_store(place.store)


def _share_out(
    store: PartitionStore, parts: dict[Partition, PartitionStore], facts: int
) -> dict[Family, int]:
    """Fill the partitions; how many keys of each family."""
    state, months = store.state(), store.months()
    _share_counts(store, parts)
    # Whose keys are gone already is known by what is closed when a month's keys are let go.
    gone = [month for month in months if month.keys_dropped]
    _close(parts, [(month.workspace, month.period) for month in gone])
    for each in parts.values():
        for period in {month.period for month in gone}:
            each.drop_keys(period, now_ms())
    moved = _share_keys(store, parts, facts)
    _close(parts, [(month.workspace, month.period) for month in months if month.sealed])
    of_messages = [period for period, family in state.key_periods if family == MESSAGE]
    for partition, each in parts.items():
        change = Change(
            last_metered_day=state.last_metered_day,
            trusted_day=state.trusted_day,
            imported=store.import_days(),
        )
        if partition.stage == "facts":
            change.watermarks = _beyond_counts(each, of_messages).watermarks()
        each.commit(change)
    return moved


def _close(parts: dict[Partition, PartitionStore], months: list[tuple[int, Period]]) -> None:
    for each in parts.values():
        each.commit(Change(sealed=months))


def _share_keys(
    store: PartitionStore, parts: dict[Partition, PartitionStore], facts: int
) -> dict[Family, int]:
    moved: dict[Family, int] = {MESSAGE: 0, TRACKED: 0}
    ids = parts[Partition("keys", 0)]
    for period, family in store.state().key_periods:
        for block in _blocks(store, period, family):
            moved[family] += len(block)
            if family == TRACKED:
                ids.commit(Change(keys={(period, family): _new(block)}))
                continue
            for number in range(facts):
                mine = block.fingerprints % np.uint64(facts) == number
                if mine.any():
                    part = KeyBlock(block.fingerprints[mine], block.days[mine])
                    change = Change(keys={(period, family): _new(part)})
                    parts[Partition("facts", number)].commit(change)
    return moved


def _share_counts(store: PartitionStore, parts: dict[Partition, PartitionStore]) -> None:
    messages, ids = parts[Partition("facts", 0)], parts[Partition("keys", 0)]
    places, tallied = store.places()
    for (workspace, period, source), counts in store.counts_at(places):
        of_ids, of_messages = _halves(counts)
        scope = (period, workspace, source)
        messages.commit(Change(counts={scope: of_messages}))
        ids.commit(Change(counts={scope: of_ids}))
    tallies = store.tallies_at(tallied)
    conflicting = [each for each in tallies if each.reason == CONFLICTING]
    others = [each for each in tallies if each.reason != CONFLICTING]
    messages.commit(Change(rejections=others, conflicting=conflicting))


def _beyond_counts(part: PartitionStore, periods: Sequence[Period]) -> JoinedKeys:
    """By how many the message keys of a partition are more than what it counts, on each day.

    Args:
        part: the partition's store, with all that it gets.
        periods: the months of which there are message keys anywhere.
    """
    assert part.files is not None, "the embedded store has files"
    found = JoinedKeys()
    for period in periods:
        blocks = partial(part.files.blocks, period, MESSAGE)
        runs = [block for run in part.files.runs(period, MESSAGE) for block in run.blocks()]
        keys = count_keys(part.files.keys_in_blocks(period, MESSAGE), blocks, runs)
        found.add_all(period, keys.first)
    gone = {(each.workspace, each.period) for each in part.months() if each.keys_dropped}
    for (workspace, period, source), counts in part.counts_at(part.places()[0]):
        if source and period in periods and (workspace, period) not in gone:
            found.add_all(period, -counts[:, API_CALLS])
    return found


def _blocks(store: PartitionStore, period: Period, family: Family) -> Iterator[KeyBlock]:
    assert store.files is not None, "the embedded store has files"
    runs = store.files.runs(period, family)
    return itertools.chain(store.files.blocks(period, family), *(run.blocks() for run in runs))


def _new(block: KeyBlock) -> NewKeys:
    nobody = np.zeros(len(block), np.uint32)
    return NewKeys(block, nobody, nobody, np.zeros(len(block), np.uint8))


def _halves(counts: Counts) -> tuple[Counts, Counts]:
    """What sets of ids have of some counts, and the rest."""
    of_ids = np.zeros_like(counts)
    of_ids[:, _IDS_OF_SETS] = counts[:, _IDS_OF_SETS]
    return of_ids, counts - of_ids


def _verified(store: PartitionStore, parts: dict[Partition, PartitionStore]) -> int:
    """Hold every row of counts and every tally against their sums; how many rows there are.

    Snapshots are running totals of these rows, so those of all days are the same too.

    Raises:
        DamagedDataError: one is another.
    """
    places, tallied = store.places()
    seen = 0
    for place, counts in store.counts_at(places):
        total = np.zeros_like(counts)
        for part in parts.values():
            for _, held in part.counts_at([place]):
                total = total + held
        if not np.array_equal(total, counts):
            raise _other(f"the counts of scope {place[0]}/{place[2]} in {place[1]}")
        seen += 1
    places_there = {place for part in parts.values() for place in part.places()[0]}
    if places_there != set(places):
        raise _other("the list of scopes that have counts")
    tallies = sorted(store.tallies_at(tallied))
    there = sorted(each for part in parts.values() for each in part.tallies_at(part.places()[1]))
    if tallies != there:
        raise _other("the tallies of what was refused")
    return seen


def _other(what: str) -> DamagedDataError:
    return DamagedDataError(
        f"After sharing them out, {what} are not what they were; no cluster was begun.",
        "Run headcount doctor on the folder; nothing in it was changed.",
    )
