"""All that a catalog holds, as bytes, and back: so that the nodes of a cluster have one catalog.

Takes a catalog's checked tables, gives the same bytes for the same rows; refuses bytes that are
none. What only concerns one file, such as which version of the cluster's catalog it is a copy of,
is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from headcount.catalog.schema import ADDED_TABLES, META, TABLES
from headcount.errors import DamagedDataError
from headcount.sqlite.rows import Ledger, Row, Table

__all__ = [
    "BEFORE_MAX",
    "NO_VERSION",
    "OWN_PREFIX",
    "Contents",
    "SharedContents",
    "Version",
    "apply_contents",
    "contents_of",
    "digest_of",
    "keep_version",
    "kept_before",
    "kept_version",
]

OWN_PREFIX = "cluster_"
"""What the names begin with of rows that only concern one file."""

_VERSION = OWN_PREFIX + "version"
_BEFORE = OWN_PREFIX + "before"

BEFORE_MAX = 50
"""How many earlier versions a version is known to have come from."""


class Version(NamedTuple):
    """Which version of a cluster's catalog something is.

    Attributes:
        number: grows by one with each change; 0 for none yet.
        digest: of what it holds: a registry that forgot may have given a number twice.
    """

    number: int
    digest: str


NO_VERSION = Version(0, "")
"""Of which a file is a copy that never belonged to a cluster."""


class Contents(NamedTuple):
    """A version of the cluster's catalog.

    Attributes:
        version: which.
        data: what it holds, as `contents_of` gives it.
        before: digests of the latest versions that it came from, the latest last.
    """

    version: Version
    data: bytes
    before: Sequence[str] = ()

    def came_from(self, version: Version) -> bool:
        """Whether nothing that the other one had was lost on the way to this one."""
        return version == NO_VERSION or version.digest in (self.version.digest, *self.before)


class SharedContents(Protocol):
    """Where the nodes of a cluster have their one catalog."""

    def newer(self, held: Version) -> Contents | None:
        """What the catalog holds now, where that is another version than the one held.

        Raises:
            CatalogUnchangedError: it cannot be asked for.
        """

    def publish(self, before: Version, data: bytes) -> Version:
        """Put something in the place of the version that it was made from.

        Raises:
            CatalogUnchangedError: it cannot be, or another node was faster.
        """


def contents_of(ledger: Ledger) -> bytes:
    """What a catalog holds now."""
    return msgspec.msgpack.encode({table.name: _rows(ledger, table) for table in TABLES})


def digest_of(data: bytes) -> str:
    """By which contents are known again."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def apply_contents(ledger: Ledger, contents: Contents) -> None:
    """Make a catalog hold just that; in a transaction. Rows that are the same are not touched.

    Raises:
        DamagedDataError: it is no catalog's of this version.
    """
    wanted = _tables_of(contents.data)
    former = {table: set(_rows(ledger, table)) for table in TABLES}
    # Names that two rows exchange would meet; so what changes is taken out first.
    for table in TABLES:
        for row in former[table].difference(wanted[table]):
            ledger.drop(table, f"WHERE {table.where_key}", row[: table.key_columns])
    for table in TABLES:
        for row in wanted[table]:
            if row not in former[table]:
                ledger.add(table, *row)
    keep_version(ledger, contents.version, contents.before)


def _tables_of(data: bytes) -> dict[Table, list[Row]]:
    try:
        tables = msgspec.msgpack.decode(data, type=dict[str, list[list[Any]]])
    except msgspec.DecodeError as error:
        raise _foreign() from error
    # Those that came later are not in what a node of before wrote.
    later = {table.name for table in ADDED_TABLES}
    if tables.keys() | later != {table.name for table in TABLES}:
        raise _foreign()
    wanted = {table: [tuple(row) for row in tables.get(table.name, ())] for table in TABLES}
    if any(len(row) != len(table.columns) for table, rows in wanted.items() for row in rows):
        raise _foreign()
    return wanted


def kept_version(ledger: Ledger) -> Version:
    """Of which version of the cluster's catalog this file is a copy."""
    row = ledger.get(META, _VERSION)
    number, _, digest = ("" if row is None else str(row[1])).partition(" ")
    return Version(int(number), digest) if number else NO_VERSION


def kept_before(ledger: Ledger) -> list[str]:
    """The digests of the latest versions that it came from, the latest last."""
    row = ledger.get(META, _BEFORE)
    return [] if row is None else str(row[1]).split()


def keep_version(ledger: Ledger, version: Version, before: Sequence[str]) -> None:
    """Write down of which version it is a copy, and which it came from; in a transaction."""
    ledger.put(META, _VERSION, f"{version.number} {version.digest}")
    ledger.put(META, _BEFORE, " ".join(before[-BEFORE_MAX:]))


def _rows(ledger: Ledger, table: Table) -> list[Row]:
    keys = ", ".join(table.columns[: table.key_columns])
    rows = ledger.read(table, f"ORDER BY {keys}")
    return [row for row in rows if table is not META or not row[0].startswith(OWN_PREFIX)]


def _foreign() -> DamagedDataError:
    return DamagedDataError(
        "The cluster's catalog is not what this version writes.",
        "Run the version on this node that the other nodes run.",
    )
