"""The embedded store as it is at one moment.

Takes the database file, gives rows as they were written and every run file that the tables name at
that moment, already open, so that the meter may go on and replace them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from headcount.counting.aside import AsideSum
from headcount.counting.calendar import Period
from headcount.counting.keys import MESSAGE, TRACKED, Family
from headcount.errors import DataFolderError
from headcount.layout import DataFolder
from headcount.sqlite.opening import damage_named, rows
from headcount.sqlite.rows import Table, read_checked
from headcount.sqlite.view import LedgerView, viewed
from headcount.store import sql
from headcount.store.aside import aside_sums
from headcount.store.checking import months_of
from headcount.store.partition_change import CONFLICTS
from headcount.store.protocol import Month
from headcount.store.tables import (
    KEY_BLOCK,
    KEY_RUN,
    MIRRORED,
    POSITION,
    REJECTION,
    TABLES,
    USAGE,
    WATERMARK,
)

__all__ = ["StoreView", "StoredBlock", "StoredRun", "StoredUsage", "store_view"]

_FAMILIES: tuple[Family, ...] = (TRACKED, MESSAGE)

_BLOCK_SIZES = "SELECT period, family, sum(keys) FROM key_block GROUP BY period, family"

T = TypeVar("T")


class StoredRun(NamedTuple, Generic[T]):
    """A run that the store names.

    Attributes:
        name: its file's name in the folder `keys`.
        period: the month of its keys.
        family: their family.
        opened: what opening it gave; None when it cannot be opened.
        refusal: why it cannot.
    """

    name: str
    period: Period
    family: Family
    opened: T | None
    refusal: str


class StoredBlock(NamedTuple):
    """A row of keys: how many it says it holds, and its bytes."""

    keys: int
    data: bytes


class StoredUsage(NamedTuple):
    """The bytes of one scope's counts of a month; source 0 is the workspace."""

    workspace: int
    period: Period
    source: int
    counts: bytes


class StoreView(LedgerView, Generic[T]):
    """What the tables held at the moment, right or wrong; `faults` says what is wrong.

    Attributes:
        runs: those that the tables named then.
    """

    TABLES = TABLES
    runs: list[StoredRun[T]]

    def watermarks(self) -> dict[str, int]:
        """The marks by name, such as `trusted_day` and `last_metered_day`."""
        return dict(self._read(WATERMARK))

    def positions(self) -> dict[str, int]:
        """Journal UUID to the id of its last metered entry."""
        return dict(self._read(POSITION))

    def months(self) -> list[Month]:
        """Every month of every workspace that holds anything."""
        return months_of(self.path, self.connection)

    def usage(self) -> list[StoredUsage]:
        """All counts, by period, workspace and source."""
        return [
            StoredUsage(workspace, Period(number), source, counts)
            for workspace, number, source, _, counts in self._read(
                USAGE, "ORDER BY period, workspace, source"
            )
        ]

    def mirrored(self) -> Iterator[tuple[str, StoredUsage]]:
        """Of a node's store, what each partition has counted, by the partition's name."""
        for partition, workspace, number, source, counts in self._read(MIRRORED):
            if not partition.endswith(CONFLICTS):
                yield partition, StoredUsage(workspace, Period(number), source, counts)

    def rejected(self) -> set[tuple[int, int]]:
        """The (workspace, source) pairs that have rejections."""
        return {(row[0], row[2]) for row in self._read(REJECTION)}

    def set_aside(self) -> list[AsideSum]:
        """What is kept and not counted."""
        return aside_sums(self._rows(sql.ASIDE))

    def block_keys(self) -> dict[tuple[Period, Family], int]:
        """How many keys stand in blocks, repeats included."""
        return {
            (Period(number), _FAMILIES[family]): keys
            for number, family, keys in self._rows(_BLOCK_SIZES)
        }

    def blocks(self, period: Period, family: Family) -> Iterator[StoredBlock]:
        """The blocks of a period and family, one after the other."""
        place = (period.number, _FAMILIES.index(family))
        clause = f"{sql.OF_PLACE} ORDER BY id"
        for row in self._read(KEY_BLOCK, clause, place):
            yield StoredBlock(row[4], row[5])

    def _read(
        self, table: Table, clause: str = "", bindings: tuple[Any, ...] = ()
    ) -> Iterator[tuple[Any, ...]]:
        """Rows as they are: what is wrong with them is for `faults` to say."""
        with damage_named(self.path):
            for row in self.connection.execute(f"{table.select} {clause}", bindings):
                yield row[:-1]

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        with damage_named(self.path):
            return rows(self.connection, statement)


@contextmanager
def store_view(path: Path, open_run: Callable[[Path], T]) -> Iterator[StoreView[T]]:
    """The store as it is when this is entered.

    Args:
        path: the database file.
        open_run: opens a run file by its path; raises OSError, ValueError or DataFolderError
            where that cannot be. What it gave is the caller's to close.

    Raises:
        DataFolderError: the database cannot be read, or has another version.
    """
    failed_before: set[str] | None = None
    view: type[StoreView[T]] = StoreView
    while True:
        with viewed(path, sql.VERSION, view) as store:
            clause = "ORDER BY period, family, file"
            store.runs = [
                _opened(DataFolder(path.parent).keys, name, number, family, open_run)
                for name, number, family in read_checked(path, store.connection, KEY_RUN, clause)
            ]
            failed = {run.name for run in store.runs if run.opened is None}
            # A run may be replaced before it is opened: then a later moment no longer names it.
            if not failed or failed == failed_before:
                yield store
                return
        failed_before = failed


def _opened(
    folder: Path, name: str, number: int, family: int, open_run: Callable[[Path], T]
) -> StoredRun[T]:
    place = Period(number), _FAMILIES[family]
    try:
        return StoredRun(name, *place, open_run(folder / name), "")
    except DataFolderError as error:
        return StoredRun(name, *place, None, error.problem)
    except (OSError, ValueError, OverflowError) as error:
        return StoredRun(name, *place, None, f"{folder / name} cannot be read: {error}.")
