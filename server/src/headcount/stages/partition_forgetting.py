"""Forgetting a person in a cluster: an order that each partition carries out where its log has it.

An order is an entry of the log of each partition of messages, numbered over the whole cluster. Such
a partition gives what it keeps aside other hashes, and passes the order on through its outbox,
behind all ids that it handed on before; every later entry says by its number that it comes behind.
A partition of ids carries an order out with the first that comes of it: keys that it has are of
before. As long as an order is kept, records that were made before it are still taken for those of
the person who was forgotten, whatever partition sends them and however late; those made after it
are of somebody new. So sending twice stays harmless, and a partition that is put back to an older
copy and fed by the log again changes no count.

What stands for an id is made of a secret that goes with the order: the same in all partitions,
since what waits aside in one is counted in another, and of the same partition as the id. Once the
log holds nothing of before any more, the order is let go with its secret, and nobody can say what
stood for whom.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from headcount.counting.calendar import Period
from headcount.counting.hashing import KeyPlan
from headcount.counting.keys import KeySet, tracked_keys
from headcount.meter.forgetting import Forgetting, ForgottenId, IdHashes
from headcount.stages.forget_orders import ForgetOrder, decoded_order, encoded_order
from headcount.stages.tracked_records import ANONYMOUS_KIND, USER_KIND, TrackedRecords
from headcount.store.partition_protocol import PartitionStore
from headcount.store.protocol import Change

__all__ = ["FORGOTTEN", "PartitionForgetting"]

FORGOTTEN = "forgotten"
"""Name of the number of the latest order that a partition has carried out whole."""

_KEPT = "forget "
_TRIES_EACH = 8


def stand_in(
    order: ForgetOrder, known: bytes, workspace: int, period: Period, key_set: KeySet
) -> bytes:
    """The hash that stands for an id in a month of a workspace.

    Args:
        order: by which.
        known: the id's own hash, of whose partition it is.
    """
    anonymous = key_set is KeySet.ANONYMOUS
    number = int.from_bytes(known, "little")
    partition = _partition(np.array([number], np.uint64), workspace, anonymous, order.keys)[0]
    place = f"{workspace} {period.number} {int(key_set)}"
    size = 8 * _TRIES_EACH * order.keys
    for attempt in range(1 << 20):
        drawn = hashlib.shake_256(order.secret + f"{place} {attempt}".encode()).digest(size)
        hashes = np.frombuffer(drawn, "<u8")
        fits = _partition(hashes, workspace, anonymous, order.keys) == partition
        if len(found := hashes[fits & (hashes != 0) & (hashes != number)]):
            return int(found[0]).to_bytes(8, "little")
    raise AssertionError("hashes are spread over all partitions")


def renamed(order: ForgetOrder, records: TrackedRecords) -> TrackedRecords:
    """Records with what stands for the ids in the place of these."""
    changed = records
    for user, anonymous in order.hashes.values():
        for known, key_set in ((user, KeySet.IDENTIFIED), (anonymous, KeySet.ANONYMOUS)):
            if known is None:
                continue
            of_kind = (
                records["kind"] == USER_KIND
                if key_set is KeySet.IDENTIFIED
                else records["kind"] >= ANONYMOUS_KIND
            )
            same = of_kind & (records["hash"] == int.from_bytes(known, "little"))
            for at in np.flatnonzero(same).tolist():
                workspace = int(records["workspace"][at])
                if order.workspaces is not None and workspace not in order.workspaces:
                    continue
                if changed is records:
                    changed = records.copy()
                place = workspace, Period.of_day(int(records["day"][at])), key_set
                changed["hash"][at] = int.from_bytes(stand_in(order, known, *place), "little")
    return changed


def _partition(
    hashes: np.ndarray[tuple[int], np.dtype[np.uint64]], workspace: int, anonymous: bool, keys: int
) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    numbers = np.full(len(hashes), workspace, np.uint32)
    found = tracked_keys(numbers, hashes, workspace=True, anonymous=anonymous) % np.uint64(keys)
    return np.asarray(found, np.uint64)


class _Mark(NamedTuple):
    """One of the numbers, kept by name in a partition's store, that say how far an order is."""

    number: int
    kind: str
    rest: tuple[str, ...]
    value: int


class PartitionForgetting:
    """What one partition has been told to forget.

    Args:
        store: the partition's.
        key_plan: which hash key serves which month.
        clock_ms: the time, in milliseconds since 1970.
        reload: has the index of a month made anew, whose keys are replaced.

    Attributes:
        number: the latest order that is carried out whole; 0 for none.
        orders: those that are kept, by number; only where records come in.
    """

    def __init__(
        self,
        store: PartitionStore,
        key_plan: Callable[[], KeyPlan],
        clock_ms: Callable[[], int],
        reload: Callable[[Period], None],
    ) -> None:
        self._store = store
        self._key_plan = key_plan
        self._clock_ms = clock_ms
        self._reload = reload
        self.reload()

    def reload(self) -> None:
        """Learn anew what the store says."""
        marks = self._store.watermarks()
        self.number = marks.get(FORGOTTEN, 0)
        self._marks = [
            _Mark(int(words[1]), words[2], tuple(words[3:]), value)
            for name, value in marks.items()
            if name.startswith(_KEPT) and (words := name.split())
        ]
        decoded = [
            decoded_order(bytes.fromhex(mark.rest[0]))
            for mark in self._marks
            if mark.kind == "order"
        ]
        self.orders = {
            order.number: order
            for order in sorted(filter(None, decoded), key=lambda order: order.number)
        }
        self._passed: dict[int, set[str]] = {}
        for mark in self._marks:
            if mark.kind == "by":
                self._passed.setdefault(mark.number, set()).add(mark.rest[0])

    def carry_out(self, order: ForgetOrder) -> dict[str, int]:
        """Put what stands for the ids in their place, as far as they are here.

        May be interrupted and done again, as long as nothing is counted between.

        Returns:
            What to commit with the position behind the order.

        Raises:
            StorageUnavailableError: the disk refused; nothing is replaced.
            OperatorError: keys are damaged.
        """
        hashes = {number: IdHashes(*each) for number, each in order.hashes.items()}
        plan = self._key_plan()

        def fresh(workspace: int, period: Period, key_set: KeySet) -> bytes:
            known = hashes.get(plan.key_of(period), IdHashes(None, None)).of(key_set)
            # A message kept aside may bear another key than its month's.
            known = known or next(filter(None, (each.of(key_set) for each in hashes.values())))
            return stand_in(order, known, workspace, period, key_set)

        forgetting = Forgetting(self._store, plan, hashes, order.workspaces, fresh)
        # First: what is replaced is found no more, by who has to do this again.
        found = self._found_marks(order.number, forgetting.found)
        if found:
            self._store.commit(Change(watermarks=found))
        for each in forgetting.replaced:
            self._reload(each.period)
        if forgetting.replaced or forgetting.aside:
            self._store.erasure.replace_keys(forgetting.replaced, forgetting.aside)
        elif known := {each.period for each in self.found(order.number)}:
            self._store.erasure.forget_replaced(known)
        return {f"{_KEPT}{order.number} until": order.expires_at_ms}

    @staticmethod
    def _found_marks(number: int, found: Iterable[ForgottenId]) -> dict[str, int]:
        marks: dict[str, int] = {}
        for each in found:
            place = f"{_KEPT}{number} found {each.workspace} {each.period.number}"
            place += f" {int(each.is_anonymous)}"
            marks |= {f"{place} {source}": 1 for source in each.sources}
            if each.waiting:
                marks[f"{place} 0"] = each.waiting
        return marks

    @staticmethod
    def kept(order: ForgetOrder) -> dict[str, int]:
        """What to commit so that an order is kept."""
        name = f"{_KEPT}{order.number} order {encoded_order(order).hex()}"
        return {name: order.expires_at_ms}

    def passed(self, order: ForgetOrder, by: str, all_of: Collection[str]) -> dict[str, int]:
        """What to commit so that it is known which partition of messages has passed an order on.

        Args:
            order: which.
            by: the partition.
            all_of: all that there are: once all have, it is carried out whole.
        """
        marks = {f"{_KEPT}{order.number} by {by}": 1}
        if self._passed.get(order.number, set()) | {by} >= set(all_of):
            marks[FORGOTTEN] = max(self.number, order.number)
        return marks

    def renamed(self, records: TrackedRecords, forgotten: int) -> TrackedRecords:
        """Records with what stands for people who were forgotten, where they are of before.

        Args:
            records: as they come.
            forgotten: number of the latest order that was carried out before they were made.
        """
        for number, order in self.orders.items():
            if forgotten < number:
                records = renamed(order, records)
        return records

    def found(self, number: int) -> list[ForgottenId]:
        """Where the ids of an order were seen here."""
        sources: dict[tuple[int, int, int], list[int]] = {}
        waiting: dict[tuple[int, int, int], int] = {}
        for mark in self._marks:
            if mark.number != number or mark.kind != "found":
                continue
            workspace, period, anonymous, source = map(int, mark.rest)
            place = workspace, period, anonymous
            sources.setdefault(place, [])
            if source:
                sources[place].append(source)
            else:
                waiting[place] = mark.value
        return [
            ForgottenId(
                *(place[0], Period(place[1]), bool(place[2])),
                *(sorted(seen), waiting.get(place, 0)),
            )
            for place, seen in sorted(sources.items())
        ]

    def known(self) -> Mapping[int, list[ForgottenId]]:
        """All orders that are kept, and where their ids were seen here."""
        numbers = sorted({mark.number for mark in self._marks if mark.kind == "until"})
        return {number: self.found(number) for number in numbers}

    def let_go(self) -> None:
        """Let orders go of whose time the log holds nothing any more.

        Raises:
            StorageUnavailableError: the disk refused; it is tried again.
        """
        now_ms = self._clock_ms()
        due = [m.number for m in self._marks if m.kind == "until" and m.value <= now_ms]
        for number in due:
            self._store.drop_watermarks(f"{_KEPT}{number} ")
        if due:
            self.reload()
