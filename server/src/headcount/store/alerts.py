"""What was told, in the embedded store, and what that is judged by: takes scopes and months, gives
rows; `alert_rows` writes them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import apsw
import msgspec
import numpy as np

from headcount.counting.alerts import AlertEvent, QuotaReached
from headcount.counting.calendar import Period
from headcount.counting.libraries import USE_PREFIX
from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.sqlite.opening import one_moment
from headcount.sqlite.rows import Ledger, Row
from headcount.store.alert_protocol import ScopeTotals, StoredEvent
from headcount.store.alert_rows import EventBody
from headcount.store.counts import counts_of
from headcount.store.files import refusals
from headcount.store.tables import (
    ALERT_EVENT,
    ALERT_MARK,
    ARRIVAL,
    HIGH_WATER,
    QUOTA_REACHED,
    REJECTION,
    USAGE,
)

__all__ = ["SqliteAlerts"]

_OF_SCOPE = "WHERE workspace = ?1 AND period = ?2 AND source = ?3"
_OF_MONTH = "WHERE workspace = ?1 AND period = ?2"
_REJECTED = (
    "WHERE workspace = ?1 AND period = ?2 AND (?3 = 0 OR source = ?3)"
    " AND substr(reason, 1, length(?4)) <> ?4"
)


class SqliteAlerts:
    """What alerts are judged by and what was told, in the embedded store.

    Args:
        path: the database file, for errors.
        connection, ledger, lock: the store's.
    """

    def __init__(
        self, path: Path, connection: apsw.Connection, ledger: Ledger, lock: threading.Lock
    ) -> None:
        self._path = path
        self._db = connection
        self._ledger = ledger
        self._lock = lock

    def totals(self, workspace: int, period: Period, source: int) -> ScopeTotals:
        """What one scope has in a month, all from one moment."""
        place = (workspace, period.number, source)
        with refusals("could not be read"), self._lock, one_moment(self._db):
            held = self._ledger.get(USAGE, *place)
            high = self._ledger.read(HIGH_WATER, _OF_SCOPE, place)
            rejected = self._ledger.read(REJECTION, _REJECTED, (*place, USE_PREFIX))
        counts: Counts = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
        if held is not None:
            counts = counts_of(held[-1])
        return ScopeTotals(
            counts, {row[3]: row[4] for row in high}, sum(row[-1] for row in rejected)
        )

    def marks(self, workspace: int, period: Period) -> Mapping[int, set[str]]:
        """What each rule has told of a month, by the rule's number."""
        found: dict[int, set[str]] = {}
        with refusals("could not be read"), self._lock:
            for _, rule, _, mark, _ in self._ledger.read(
                ALERT_MARK, _OF_MONTH, (workspace, period.number)
            ):
                found.setdefault(rule, set()).add(mark)
        return found

    def arrivals(self) -> Mapping[tuple[int, int], int]:
        """When the last live message came to each scope that is watched for silence."""
        with refusals("could not be read"), self._lock:
            return {(row[0], row[1]): row[2] for row in self._ledger.read(ARRIVAL)}

    def events(
        self, *, after: int = 0, workspace: int | None = None, most: int = 100, latest: bool = False
    ) -> Sequence[StoredEvent]:
        """What was told."""
        order = "DESC" if latest else "ASC"
        clause = f"WHERE id > ?1 AND (?2 IS NULL OR workspace = ?2) ORDER BY id {order} LIMIT ?3"
        with refusals("could not be read"), self._lock:
            return [
                _event(row)
                for row in self._ledger.read(ALERT_EVENT, clause, (after, workspace, most))
            ]

    def event(self, uid: str) -> StoredEvent | None:
        """What was told under a name; None where nothing was."""
        with refusals("could not be read"), self._lock:
            found = self._ledger.read(ALERT_EVENT, "WHERE uid = ?1", (uid,))
        return _event(found[0]) if found else None

    def quotas_reached(self, workspace: int | None, period: Period) -> Sequence[QuotaReached]:
        """The quotas that were reached in a month."""
        # Each in a form that finds its rows by the key.
        whose = "?1 IS NULL" if workspace is None else "workspace = ?1"
        clause = f"WHERE {whose} AND period = ?2 ORDER BY source, metric"
        with refusals("could not be read"), self._lock:
            return [
                QuotaReached(row[0], Period(row[1]), *row[2:])
                for row in self._ledger.read(QUOTA_REACHED, clause, (workspace, period.number))
            ]


def _event(row: Row) -> StoredEvent:
    number, uid, workspace, at_ms, text = row
    body = msgspec.json.decode(text, type=EventBody)
    return StoredEvent(number, AlertEvent(uid, workspace, at_ms, body.channels, body.crossings))
