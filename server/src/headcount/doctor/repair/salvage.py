"""Reading what can be read of a damaged database.

Takes a copy of its files that may be changed, gives raw rows, in whatever order, of whatever type.
Its constants are known, so that a file whose head is damaged gets them back before it is opened;
rows behind a page that cannot be read are looked for from the other end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw

from headcount.doctor.flips import NoText

__all__ = ["open_damaged", "raw_rows", "sequences"]

Row = tuple[Any, ...]

_HEAD_BYTES = 100
# What of the head of a database file never changes once its tables are made.
_CONSTANT = (slice(0, 24), slice(44, 48), slice(52, 72))
_PAGES_IN_FILE = slice(28, 32)  # 0 lets SQLite look at the file's size


def open_damaged(
    path: Path, version: int, make_new: Callable[[Path], None]
) -> apsw.Connection | None:
    """Open a damaged database, on a copy of its own; None where nothing can be read of it.

    Args:
        path: the copy; its log may stand beside it.
        version: the version that its schema must have.
        make_new: makes a new database of the same kind at a path.
    """
    connection = _opened(path, version)
    if connection is not None:
        return connection
    template = path.with_name(f"new-{path.name}")
    make_new(template)
    new = template.read_bytes()
    page_bytes = int.from_bytes(new[16:18], "big")
    page_bytes = 65_536 if page_bytes == 1 else page_bytes
    with path.open("r+b") as file:
        head = bytearray(file.read(_HEAD_BYTES).ljust(_HEAD_BYTES, b"\0"))
        for part in _CONSTANT:
            head[part] = new[part]
        head[_PAGES_IN_FILE] = bytes(4)
        file.seek(0)
        file.write(head)
    connection = _opened(path, version)
    if connection is None:
        # The rest of the first page says which tables there are, as in every such file.
        with path.open("r+b") as file:
            file.seek(_HEAD_BYTES)
            file.write(new[_HEAD_BYTES:page_bytes])
        connection = _opened(path, version)
    return connection


def _opened(path: Path, version: int) -> apsw.Connection | None:
    connection = None
    try:
        connection = apsw.Connection(str(path))
        names = connection.execute("SELECT name FROM sqlite_schema").fetchall()
        if connection.pragma("user_version") == version and names:
            return connection
    except (apsw.Error, UnicodeDecodeError):
        pass
    if connection is not None:
        with contextlib.suppress(apsw.Error):
            connection.close()
    return None


def raw_rows(
    connection: apsw.Connection, table: str, columns: tuple[str, ...], *, with_rowid: bool = False
) -> Iterator[Row]:
    """Every row of a table that can be read, its texts as they are, the last column its checksum.

    Args:
        connection: from `open_damaged`.
        table: its name.
        columns: those to read.
        with_rowid: whether the table has one, by which rows behind a damaged page can be reached.
    """
    # A text that is none any more must not keep its neighbours from being read.
    listed = ", ".join(
        f"typeof({column}) = 'text', CASE typeof({column}) WHEN 'text'"
        f" THEN CAST({column} AS BLOB) ELSE {column} END"
        for column in columns
    )
    seen: set[Any] = set()
    for order in ("", "ORDER BY rowid DESC") if with_rowid else ("",):
        row_id = "rowid" if with_rowid else "NULL"
        query = f"SELECT {row_id}, {listed} FROM {table} NOT INDEXED {order}"  # noqa: S608
        try:
            for row in connection.execute(query):
                if with_rowid:
                    if row[0] in seen:
                        continue
                    seen.add(row[0])
                yield tuple(
                    _text(value) if is_text else value
                    for is_text, value in zip(row[1::2], row[2::2], strict=True)
                )
            return
        except apsw.Error:
            continue


def _text(data: bytes) -> str | NoText:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return NoText(data)


def sequences(connection: apsw.Connection) -> dict[str, int]:
    """The highest number that each table has ever given, as far as it can be read."""
    try:
        found = connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
    except (apsw.Error, UnicodeDecodeError):
        return {}
    return {name: seq for name, seq in found if isinstance(name, str) and isinstance(seq, int)}
