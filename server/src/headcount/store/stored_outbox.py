"""The outbox of a partition's store: what goes on to the next stage, as a queue of entries.

Takes its store's file, gives what was committed with counts, in order, until all partitions of the
next stage have it. What is written into it is written by the store, in the transaction that counts.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import apsw
import msgspec

from headcount.errors import DamagedDataError
from headcount.identity import fresh_uuid
from headcount.sqlite.opening import rows
from headcount.sqlite.rows import Ledger, read_checked
from headcount.store.partition_change import HandedOn
from headcount.store.tables import OUTBOX, OUTBOX_CHAIN, OUTBOX_STATE

__all__ = ["OutboxRow", "StoredOutbox", "beside_text"]

_LAST = (
    "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0),"
    " coalesce((SELECT max(id) FROM outbox), 0))"
)


class _Beside(msgspec.Struct, frozen=True):
    """What an entry has beside records, where that is more than months that are closed."""

    sealed: list[tuple[int, int]] = []
    forgotten: int = 0
    forget: list[bytes] = []


_beside = msgspec.json.Decoder(list[tuple[int, int]] | _Beside).decode
_PRUNED_AT_ONCE = 1024
_READ_AT_ONCE = 256


def beside_text(handed_on: HandedOn) -> str:
    """What an entry has beside records, as it is stored."""
    sealed = list(handed_on.sealed)
    if not (handed_on.forgotten or handed_on.forget):
        return msgspec.json.encode(sealed).decode()
    return msgspec.json.encode(
        _Beside(sealed, handed_on.forgotten, list(handed_on.forget))
    ).decode()


class OutboxRow(NamedTuple):
    """One entry.

    Attributes:
        id: its place in the queue.
        appended_at_ms: when the latest that it comes from was appended, milliseconds since 1970.
        records: packed tracked records.
        sealed: (workspace, number of the month) closed with it.
        forgotten, forget: see `HandedOn`.
    """

    id: int
    appended_at_ms: int
    records: bytes
    sealed: Sequence[tuple[int, int]]
    forgotten: int = 0
    forget: Sequence[bytes] = ()


class StoredOutbox:
    """The queue; of the one process that writes to the store.

    Args:
        path: the store's file, for errors.
        connection, ledger, lock: the store's.
    """

    def __init__(
        self, path: Path, connection: apsw.Connection, ledger: Ledger, lock: threading.Lock
    ) -> None:
        self._path = path
        self._db = connection
        self._ledger = ledger
        self._lock = lock
        with lock:
            found = ledger.get(OUTBOX_STATE, 1)
            if found is None:
                with ledger.transaction():
                    found = (1, fresh_uuid(), 0)
                    ledger.put(OUTBOX_STATE, *found)
        _, self._uuid, self._pruned_id = found

    @property
    def uuid(self) -> str:
        """By which the next stage keeps its positions in it."""
        return str(self._uuid)

    def renew(self) -> None:
        """Make it another queue: its store was put back to an older moment, or moved.

        What it holds is still to be handed on. What was deleted from it, every partition had.
        """
        with self._lock, self._ledger.transaction():
            self._uuid = fresh_uuid()
            self._ledger.put(OUTBOX_STATE, 1, self._uuid, self._pruned_id)
            self._ledger.drop(OUTBOX_CHAIN, "", ())

    def entries(self, after_id: int) -> Generator[OutboxRow, None, None]:
        """The entries that follow an id, in order.

        Raises:
            DamagedDataError: one is not what was written, or is missing.
        """
        next_id = max(after_id, self._pruned_id) + 1
        while True:
            with self._lock:
                clause = "WHERE id >= ?1 ORDER BY id LIMIT ?2"
                bindings = (next_id, _READ_AT_ONCE)
                page = list(read_checked(self._path, self._db, OUTBOX, clause, bindings))
            if not page:
                return
            for entry_id, at_ms, sealed, records in page:
                if entry_id != next_id:
                    raise DamagedDataError(
                        f"{self._path} is damaged: entry {next_id:,} of its outbox is missing.",
                        "Restore this partition from a backup.",
                    )
                next_id += 1
                beside = _beside(sealed)
                if isinstance(beside, list):
                    beside = _Beside(beside)
                yield OutboxRow(
                    *(entry_id, at_ms, records),
                    *(beside.sealed, beside.forgotten, beside.forget),
                )

    def last_id(self) -> int:
        """Id of the newest entry ever written; 0 for none."""
        with self._lock:
            return int(rows(self._db, _LAST)[0][0])

    def pruned_id(self) -> int:
        """Up to which id entries were deleted."""
        return int(self._pruned_id)

    def chain(self) -> dict[int, int]:
        """Partition to the entry that it was known to have when entries were last deleted."""
        with self._lock:
            return dict(self._ledger.read(OUTBOX_CHAIN))

    def prune(self, upto_id: int, chain: Mapping[int, int] | None = None) -> bool:
        """Delete a bounded number of the entries up to an id.

        Args:
            upto_id: every partition of the next stage has all up to here.
            chain: partition to the entry up to which it has them.

        Returns:
            Whether nothing of it is left to do.
        """
        upto = min(upto_id, self._pruned_id + _PRUNED_AT_ONCE)
        if upto > self._pruned_id:
            with self._lock, self._ledger.transaction():
                self._ledger.drop(OUTBOX, "WHERE id <= ?1", (upto,))
                self._ledger.put(OUTBOX_STATE, 1, self._uuid, upto)
                for partition, entry in (chain or {}).items():
                    self._ledger.put(OUTBOX_CHAIN, partition, entry)
            self._pruned_id = upto
        return bool(upto >= upto_id)
