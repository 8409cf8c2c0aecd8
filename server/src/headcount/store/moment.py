"""The embedded store as it is at one moment, for whoever checks or copies it.

Takes the database file, gives rows as they were written and every run file that the tables name at
that moment, already open, so that the meter may go on and replace them. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import apsw

from headcount.errors import DataFolderError
from headcount.metering.aside import AsideSum
from headcount.metering.calendar import Period
from headcount.metering.keys import MESSAGE, TRACKED, Family
from headcount.sqlite import rows
from headcount.sqlite_reading import open_at_one_moment
from headcount.store import sql
from headcount.store.aside import aside_sums
from headcount.store.protocol import Month

__all__ = ["StoreMoment", "StoredBlock", "StoredRun", "StoredUsage", "store_moment"]

_FAMILIES: tuple[Family, ...] = (TRACKED, MESSAGE)

_RUNS = "SELECT file, period, family FROM key_run ORDER BY period, family, file"
_BLOCKS = "SELECT keys, data FROM key_block WHERE period = ?1 AND family = ?2 ORDER BY id"
_BLOCK_SIZES = "SELECT period, family, sum(keys) FROM key_block GROUP BY period, family"
_USAGE = "SELECT workspace, period, source, counts FROM usage ORDER BY period, workspace, source"
_REJECTED = "SELECT DISTINCT workspace, source FROM rejection"

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


class StoreMoment(Generic[T]):
    """What the tables held at the moment.

    Args:
        connection: in a read transaction, which makes the moment.
        runs: the runs that the tables named then.

    Attributes:
        connection: for copying the database as it was then.
        runs: as given.
    """

    def __init__(self, connection: apsw.Connection, runs: list[StoredRun[T]]) -> None:
        self.connection = connection
        self.runs = runs

    def marks(self) -> dict[str, int]:
        """The marks by name, such as `trusted_day` and `last_metered_day`."""
        return dict(self._rows(sql.MARKS))

    def positions(self) -> dict[str, int]:
        """Journal UUID to the id of its last metered entry."""
        return dict(self._rows(sql.POSITIONS))

    def months(self) -> list[Month]:
        """Every month of every workspace that holds anything."""
        return [
            Month(workspace, Period(number), day, sealed > 0, sealed > 1)
            for workspace, number, day, sealed in self._rows(sql.MONTHS)
        ]

    def usage(self) -> list[StoredUsage]:
        """All counts, by period, workspace and source."""
        return [
            StoredUsage(workspace, Period(number), source, counts)
            for workspace, number, source, counts in self._rows(_USAGE)
        ]

    def rejected(self) -> set[tuple[int, int]]:
        """The (workspace, source) pairs that have rejections."""
        return set(self._rows(_REJECTED))

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
        for keys, data in self.connection.execute(_BLOCKS, place):
            yield StoredBlock(keys, data)

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        return rows(self.connection, statement)


@contextmanager
def store_moment(path: Path, open_run: Callable[[Path], T]) -> Iterator[StoreMoment[T]]:
    """The store as it is when this is entered.

    Args:
        path: the database file.
        open_run: opens a run file by its path; raises OSError, ValueError or DataFolderError
            where that cannot be. What it gave is the caller's to close.

    Raises:
        DataFolderError: the database cannot be read, or has another version.
    """
    failed_before: set[str] | None = None
    while True:
        with open_at_one_moment(path, version=sql.VERSION) as connection:
            runs = [
                _opened(path.parent / "keys", name, number, family, open_run)
                for name, number, family in rows(connection, _RUNS)
            ]
            failed = {run.name for run in runs if run.opened is None}
            # A run may be replaced before it is opened: then a later moment no longer names it.
            if not failed or failed == failed_before:
                yield StoreMoment(connection, runs)
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
