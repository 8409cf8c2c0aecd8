"""A read-only view of a database: takes its file, gives what it holds at one moment, for whoever
checks or copies it. It is one read transaction, whatever others write meanwhile; changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, TypeVar

import apsw

from headcount.confirmed import Confirmed, read_confirmed
from headcount.sqlite.reading import open_at_one_moment
from headcount.sqlite.rows import Ledger, Part, Table

__all__ = ["LedgerView", "View", "viewed"]


class View:
    """What a database held at the moment, right or wrong.

    Args:
        path: the database file.
        connection: in a read transaction, which makes the moment.
        confirmed: what was acknowledged before this moment; None where nobody can say.

    Attributes:
        path, confirmed: as given.
        connection: for copying the database as it was then.
    """

    def __init__(
        self, path: Path, connection: apsw.Connection, confirmed: Confirmed | None
    ) -> None:
        self.path = path
        self.connection = connection
        self.confirmed = confirmed


class LedgerView(View):
    """A view of a database that keeps its tables by a ledger; subclasses name these."""

    TABLES: ClassVar[Sequence[Table]]

    @property
    def part(self) -> Part:
        """Which database it is, of which installation, and how many transactions it has seen.

        Raises:
            DamagedDataError: it does not say so.
        """
        return Ledger(self.path, self.connection, self.TABLES).part

    def faults(self) -> Iterator[str]:
        """What is wrong with the rows, each as a clause; reads them all."""
        yield from Ledger(self.path, self.connection, self.TABLES).faults()


V = TypeVar("V", bound=View)


@contextmanager
def viewed(
    path: Path, version: int, view: Callable[[Path, apsw.Connection, Confirmed | None], V]
) -> Iterator[V]:
    """A database as it is when this is entered.

    Args:
        path: the file.
        version: the version that its schema must have.
        view: makes the view of it.

    Raises:
        DataFolderError: it cannot be read, or has another version.
        apsw.Error: it is damaged.
    """
    # Before the database is read: what is confirmed meanwhile must not be missed in it.
    confirmed = read_confirmed(path)
    with open_at_one_moment(path, version=version) as connection:
        yield view(path, connection, confirmed)
