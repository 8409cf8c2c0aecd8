"""`SqliteStore`: keys, counts, outcomes and positions in one SQLite file.

Takes changes from one meter, gives readings to any number of readers in other processes. Keys are
appended as blocks and never searched here (the index does that); counts are one small row for
each scope and month, so that a reading costs the same however many keys there are.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, overload

from headcount.counting.aside import AsideSum, ConfirmedAside
from headcount.counting.calendar import Period
from headcount.counting.facts import WIDE_FACT_BYTES, WideFacts
from headcount.counting.keys import Family, KeyBlock
from headcount.counting.usage import UsageReading, WorkspaceReading
from headcount.sqlite.opening import damage_named, one_moment, rows
from headcount.sqlite.reading import open_at_one_moment
from headcount.sqlite.rows import open_checked, read_checked
from headcount.store import sql, writing
from headcount.store.alerts import SqliteAlerts
from headcount.store.aside import aside_sums
from headcount.store.checking import months_of
from headcount.store.files import SqliteFiles, refusals
from headcount.store.protocol import (
    AttributedUsage,
    Attribution,
    Change,
    KeyErasure,
    KeyReplacement,
    Month,
    StoreState,
)
from headcount.store.stored_usage import StoredAttribution, usage_of, workspace_usage_of
from headcount.store.tables import ASIDE, KEY_BLOCK, KEY_RUN, POSITION, TABLES, WATERMARK

__all__ = ["SqliteStore"]


def _aside_of(row: tuple[Any, ...]) -> ConfirmedAside:
    messages, facts = row[5], row[-1]
    is_wide = messages and len(facts) == messages * WIDE_FACT_BYTES
    return ConfirmedAside(row[0], WideFacts(facts) if is_wide else facts)


class SqliteStore:
    """The embedded store.

    Args:
        path: the database file; made when missing.
        vfs: name of the APSW VFS to go through; the system's when None.
        read_only: for a disk that takes no writes; the file must be there.

    Raises:
        DataFolderError: the file cannot be used as it is; DamagedDataError: it is damaged, lacks
            what was committed, or is of another installation.
    """

    def __init__(self, path: Path, *, vfs: str | None = None, read_only: bool = False) -> None:
        self._path, self._vfs = path, vfs
        self._lock = threading.Lock()
        self._db, self._ledger = open_checked(
            path,
            schema=sql.SCHEMA,
            version=sql.VERSION,
            tables=TABLES,
            vfs=vfs,
            read_only=read_only,
        )
        self.files = SqliteFiles(path, self._db, self._ledger, self._lock)
        self.alerts = SqliteAlerts(path, self._db, self._ledger, self._lock)

    def close(self) -> None:
        """Release the file; idempotent."""
        with self._lock:
            self._ledger.close()
            self._db.close()

    # Writing: one meter.

    def state(self) -> StoreState:
        """How far metering has come."""
        with self._lock, one_moment(self._db):
            watermarks: dict[str, int] = dict(self._ledger.read(WATERMARK))
            positions: dict[str, int] = dict(self._ledger.read(POSITION))
            tallied = [place.split() for place in self._ledger.read_part().tallies]
        of_keys = (KEY_BLOCK.name, KEY_RUN.name)
        places = {(int(each[1]), int(each[2])) for each in tallied if each[0] in of_keys}
        return StoreState(
            positions,
            [(Period(number), writing.FAMILIES[family]) for number, family in sorted(places)],
            watermarks.get(writing.COUNTED_UNTIL, 0),
            watermarks.get(writing.LAST_METERED_DAY),
            watermarks.get(writing.TRUSTED_DAY),
        )

    def months(self) -> Sequence[Month]:
        """Every month of every workspace that holds anything."""
        with self._lock:
            return months_of(self._path, self._db)

    def keys(self, period: Period, family: Family) -> Iterator[KeyBlock]:
        """All keys of a period and family; the meter must not commit meanwhile."""
        for run in self.files.runs(period, family):
            yield from run.blocks()
        yield from self.files.blocks(period, family)

    def drop_keys(self, period: Period, now_ms: int) -> None:
        """Move the keys of a period to the trash; its counts stay.

        Raises:
            StorageUnavailableError: the disk refused; what is left is dropped next time.
        """
        self.files.drop(period, now_ms)

    def set_aside(self) -> Sequence[AsideSum]:
        """What is kept and not counted."""
        with self._lock, damage_named(self._path):
            return aside_sums(rows(self._db, sql.ASIDE))

    def confirmed_aside(self, messages_max: int) -> Sequence[ConfirmedAside]:
        """Facts that have waited and are to be counted now, those set aside first."""
        found: list[ConfirmedAside] = []
        with self._lock:
            clause = "WHERE reason = 'confirmed' ORDER BY id"
            for row in read_checked(self._path, self._db, ASIDE, clause):
                found.append(_aside_of(row))
                messages_max -= row[5]
                if messages_max <= 0:
                    break
        return found

    @property
    def erasure(self) -> KeyErasure:
        """How keys are replaced by others: by this store itself."""
        return self

    def forget_replaced(self, periods: Iterable[Period]) -> None:
        """Delete what is left of tracked ids of some open months after others took their place.

        Raises:
            StorageUnavailableError: the disk refused.
        """
        self.files.forget_replaced(periods)

    def aside_facts(self) -> Iterator[ConfirmedAside]:
        """All facts that are kept and not counted; nothing may be committed meanwhile."""
        with self._lock:
            found = [_aside_of(row) for row in read_checked(self._path, self._db, ASIDE)]
        yield from found

    def replace_keys(self, replaced: Sequence[KeyReplacement], aside: Mapping[int, bytes]) -> None:
        """Put other keys in the place of some, over all months or not at all.

        Raises:
            StorageUnavailableError: the disk refused, and nothing is changed.
            DataFolderError: keys are damaged, and nothing is changed.
        """
        self.files.replace_keys(replaced, aside)

    def commit(self, change: Change) -> None:
        """Make a change durable and visible, whole or not at all.

        Raises:
            StorageUnavailableError: it did not become durable and nothing of it is visible.
        """
        with refusals("did not take a change"), self._lock, self._ledger.transaction():
            writing.write_change(self._ledger, change)

    # Reading: anybody.

    @overload
    def read_usage(
        self, workspace: int, period: Period, *, sources: Literal[False]
    ) -> WorkspaceReading: ...
    @overload
    def read_usage(
        self, workspace: int, period: Period, *, libraries: bool = False
    ) -> UsageReading: ...
    def read_usage(
        self, workspace: int, period: Period, *, sources: bool = True, libraries: bool = False
    ) -> WorkspaceReading:
        """The usage of a workspace in a period, all from one moment."""
        with refusals("could not be read"), self._lock, one_moment(self._db):
            if not sources:
                return workspace_usage_of(self._path, self._db, workspace, period)
            return usage_of(self._path, self._db, workspace, period, libraries=libraries)

    @property
    def attribution(self) -> Attribution | None:
        """To which messages usage is attributed: by rows of this store itself."""
        return self

    @contextmanager
    def attributed(self, workspace: int, periods: Sequence[Period]) -> Iterator[AttributedUsage]:
        """The usage of a workspace in some periods, and to which messages it is attributed, all
        from one moment.

        It has a connection of its own, since others read meanwhile.
        """
        moment = open_at_one_moment(self._path, version=sql.VERSION, vfs=self._vfs)
        with refusals("could not be read"), moment as db:
            yield StoredAttribution(self._path, db, workspace, periods)
