"""Damages to a data folder: to every value, row and file of it, to chosen bytes, and anywhere.

Each takes a data folder and does one thing to it, on which a server may be running; gives what it
did, as a clause.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from crash.damages import Damage, Master

__all__ = ["chosen", "running", "seeded"]


def _databases(data: Path) -> Iterator[tuple[str, Path]]:
    yield "catalog", data / "catalog.sqlite"
    yield "store", data / "store.sqlite"
    for path in sorted((data / "journals").glob("*.sqlite")):
        yield "journal", path


def _changed(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + chr(ord(value[-1]) ^ 1) if value else "x"
    if isinstance(value, bytes):
        middle = len(value) // 2
        return value[:middle] + bytes([value[middle] ^ 8]) + value[middle + 1 :] if value else b"x"
    return 1


def _value_damage(name: str, table: str, column: str) -> Damage:
    """One value of the last row of a table is another one."""

    def damage(data: Path) -> str:
        path = dict(_databases(data))[name]
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA ignore_check_constraints = ON")
            row = database.execute(
                f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL"
                f" ORDER BY rowid DESC LIMIT 1"
                if not _without_rowid(database, table)
                else f"SELECT NULL, {column} FROM {table} WHERE {column} IS NOT NULL LIMIT 1"
            ).fetchone()
            if row is None:
                return f"{name}: {table}.{column} is empty"
            with database:
                where = f"{column} = ?" if row[0] is None else "rowid = ?"
                database.execute(
                    f"UPDATE OR REPLACE {table} SET {column} = ? WHERE {where}",
                    (_changed(row[1]), row[1] if row[0] is None else row[0]),
                )
        return f"{name}: another value of {table}.{column}"

    return damage


def _row_damage(name: str, table: str) -> Damage:
    """One row of a table is gone."""

    def damage(data: Path) -> str:
        path = dict(_databases(data))[name]
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("PRAGMA foreign_keys = OFF")
            key = database.execute(
                f"SELECT name FROM pragma_table_info('{table}') ORDER BY pk DESC"
            ).fetchone()[0]
            database.execute(f"DELETE FROM {table} WHERE {key} = (SELECT max({key}) FROM {table})")
        return f"{name}: a row of {table} is gone"

    return damage


def _without_rowid(database: sqlite3.Connection, table: str) -> bool:
    sql = database.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
    return "WITHOUT ROWID" in sql


def _removed(*patterns: str) -> Damage:
    def damage(data: Path) -> str:
        for pattern in patterns:
            for path in data.glob(pattern):
                path.unlink()
        return f"{' and '.join(patterns)} removed"

    return damage


def _cut(pattern: str, share: float) -> Damage:
    def damage(data: Path) -> str:
        path = min(data.glob(pattern))
        os.truncate(path, int(path.stat().st_size * share))
        return f"{pattern} cut to {share:.0%}"

    return damage


def _former(pattern: str, master: Master) -> Damage:
    """A database is replaced by an older one of its own."""

    def damage(data: Path) -> str:
        for path in data.glob(pattern):
            for each in data.glob(f"{path.relative_to(data)}*"):
                each.unlink()
            for each in master.data.glob(f"{path.relative_to(data)}*"):
                shutil.copy2(each, data / each.relative_to(master.data))
        return f"{pattern} replaced by what it was before"

    return damage


def _filled(pattern: str, content: Callable[[int], bytes]) -> Damage:
    def damage(data: Path) -> str:
        for path in data.glob(pattern):
            size = path.stat().st_size
            with path.open("r+b") as file:  # in place: somebody may have it open
                file.write(content(size))
        return f"{pattern} filled with other bytes"

    return damage


def chosen(master: Master) -> dict[str, Damage]:
    """A damage to every value and table of every database, and to every file, by its name."""
    found: dict[str, Damage] = {}
    for name, path in _databases(master.data):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            tables = [
                table
                for (table,) in database.execute(
                    "SELECT name FROM sqlite_schema WHERE type = 'table'"
                    " AND name NOT LIKE 'sqlite_%'"
                )
                if database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            ]
            for table in tables:
                found[f"{name}: a row of {table} gone"] = _row_damage(name, table)
                for (column,) in database.execute(
                    f"SELECT name FROM pragma_table_info('{table}')"
                ).fetchall():
                    found[f"{name}: {table}.{column}"] = _value_damage(name, table, column)
    for pattern in ("catalog.sqlite", "store.sqlite", "journals/*.sqlite"):
        found[f"{pattern} removed"] = _removed(pattern)
        found[f"{pattern} and its log removed"] = _removed(pattern, f"{pattern}-*")
        found[f"{pattern}-wal removed"] = _removed(f"{pattern}-wal")
        for share in (0, 0.5):
            found[f"{pattern} cut to {share}"] = _cut(pattern, share)
            found[f"{pattern}-wal cut to {share}"] = _cut(f"{pattern}-wal", share)
        found[f"{pattern} zeros"] = _filled(pattern, bytes)
    for pattern in ("keys/*.keys", "hash.key", "format", "identity", "*.confirmed",
                    "journals/*.confirmed"):  # fmt: skip
        if any(master.data.glob(pattern)):
            found[f"{pattern} removed"] = _removed(pattern)
            found[f"{pattern} cut"] = _cut(pattern, 0.5)
            found[f"{pattern} zeros"] = _filled(pattern, bytes)
    found |= _in_bytes()
    found["run: nonsense"] = _filled("run/*.json", os.urandom)
    found["run/metrics: nonsense"] = _filled("run/metrics/*", os.urandom)
    return found


def _files(data: Path) -> list[Path]:
    """Files that hold anything; not those by which processes tell one another how they are."""
    return sorted(
        path
        for path in data.rglob("*")
        if path.is_file()
        and "run" not in path.relative_to(data).parts
        and path.suffix != ".lock"
        and path.stat().st_size
    )


def seeded(seed: int) -> Damage:
    """A bit flipped, a file cut off, or one removed, anywhere in the folder."""

    def damage(data: Path) -> str:
        rng = random.Random(seed)
        # First the file: the many small ones are as likely as the large.
        path = rng.choice(_files(data))
        name, size = re.sub(r"[0-9a-f-]{36}", "J", str(path.relative_to(data))), path.stat().st_size
        kind = rng.choices(["flip", "cut", "remove", "zeros"], [12, 3, 2, 1])[0]
        if kind == "remove":
            path.unlink()
            return f"{name} removed"
        if kind == "cut":
            length = rng.randrange(size)
            os.truncate(path, length)
            return f"{name} cut from {size} to {length} bytes"
        at = rng.randrange(size)
        with path.open("r+b") as file:
            file.seek(at)
            if kind == "zeros":
                file.write(bytes(min(512, size - at)))
                return f"{name}: zeros from byte {at} of {size} on"
            bit = rng.randrange(8)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << bit]))
        return f"{name}: bit {bit} of byte {at} of {size}"

    return damage


# Bytes of the files, whatever they mean.


def _flipped(pattern: str, at: float, bit: int = 3, *, moved: bool = False) -> Damage:
    """A bit of a file is another one; `at` is its byte, or which share of the file lies before.

    With `moved`, what stands in the database's log is moved into the file first.
    """

    def damage(data: Path) -> str:
        path = min(data.glob(pattern))
        if moved:
            _move_log(path)
        size = path.stat().st_size
        _flip(path, int(at * size) if isinstance(at, float) else at, bit)
        return f"{pattern}: bit {bit} at {at} of {size} bytes"

    return damage


def _flip(path: Path, at: int, bit: int) -> None:
    with path.open("r+b") as file:  # in place: somebody may have it open
        file.seek(at)
        [byte] = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


def _move_log(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _flipped_in(pattern: str, query: str, at: int, bit: int = 3) -> Damage:
    """A bit of a value, where it stands in the database's own file."""

    def damage(data: Path) -> str:
        path = min(data.glob(pattern))
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            found = database.execute(query).fetchone()
        if found is None:
            return f"{pattern}: nothing there"
        value = found[0].encode() if isinstance(found[0], str) else found[0]
        first = next((n for n in range(0, len(value), 8) if value[n : n + 8].strip(b"\0")), 0)
        place = path.read_bytes().find(value[first : first + 56])
        if place < 0:
            return f"{pattern}: not in the file"
        _flip(path, place + at, bit)
        return f"{pattern}: bit {bit} of byte {at} of what {query} gives"

    return damage


def _statement(pattern: str, statement: str) -> Damage:
    def damage(data: Path) -> str:
        with closing(sqlite3.connect(min(data.glob(pattern)))) as database, database:
            database.execute(statement)
        return statement

    return damage


_JOURNAL, _STORE, _CATALOG = "journals/*.sqlite", "store.sqlite", "catalog.sqlite"
_FACTS = "SELECT facts FROM entry ORDER BY id DESC LIMIT 1"
_COUNTS = "SELECT counts FROM usage WHERE source = 0"
_KEYS = "SELECT data FROM key_block ORDER BY length(data) DESC LIMIT 1"


def _in_bytes() -> dict[str, Damage]:
    """A bit of every kind of thing that a file holds, by its name."""
    found = {
        f"a fact's {what}": _flipped_in(_JOURNAL, _FACTS, at, bit)
        for what, at, bit in (
            ("moment", 2, 3), ("moment, far", 5, 3), ("workspace", 8, 3), ("source", 12, 0),
            ("source, far", 14, 3), ("message", 25, 3), ("user", 42, 3),
        )
    }  # fmt: skip
    found["a count"] = _flipped_in(_STORE, _COUNTS, 0)
    found["a key"] = _flipped_in(_STORE, _KEYS, 9)
    found["a write key"] = _flipped_in(_CATALOG, "SELECT write_key FROM source", 4, 0)
    found["a source's name"] = _flipped_in(_CATALOG, "SELECT name FROM source", 1, 0)
    for pattern in (_JOURNAL, _STORE, _CATALOG):
        for at in (1, 3, 105, 0.5):
            found[f"{pattern} at {at}"] = _flipped(pattern, at, moved=True)
        for at in (9, 0.5, 0.97):
            found[f"{pattern}-wal at {at}"] = _flipped(f"{pattern}-wal", at)
    for pattern in ("keys/tracked-*.keys", "keys/message-*.keys"):
        for at in (1, 9, 24, 64, 0.5, 0.85, 0.97):
            found[f"{pattern} at {at}"] = _flipped(pattern, at)
        found[f"{pattern} cut"] = _cut(pattern, 0.5)
        found[f"{pattern} removed"] = _removed(pattern)
    found["a digit of the hash key"] = _flipped("hash.key", 5, 0)
    found["a letter of the format"] = _flipped("format", 4)
    for statement in (
        "UPDATE position SET entry = entry - 2",
        "UPDATE position SET entry = entry + 20",
        "UPDATE mark SET value = 47500 WHERE name = 'last_metered_day'",
        "UPDATE mark SET value = 47500 WHERE name = 'trusted_day'",
    ):
        found[statement] = _statement(_STORE, statement)
    return found


# Under a running server.


def _all_of_it(data: Path) -> str:
    for path in data.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return "everything removed"


def running(master: Master) -> dict[str, Damage]:
    """What may become of the files under a running server, by its name: all that there is."""
    found = chosen(master)
    for pattern in (_CATALOG, _STORE, _JOURNAL):
        found[f"{pattern} cut"] = _cut(pattern, 0.5)
        found[f"{pattern}-wal cut"] = _cut(f"{pattern}-wal", 0.5)
        found[f"{pattern}-shm zeros"] = _filled(f"{pattern}-shm", bytes)
        found[f"{pattern} replaced"] = _former(pattern, master)
    for pattern in ("run/*.json", "run/troubles/*", "run/allowances", "confirmed/*"):
        found[f"{pattern} removed"] = _removed(pattern)
        found[f"{pattern} zeros"] = _filled(pattern, bytes)
    found["journals/*.lock removed"] = _removed("journals/*.lock")
    found["the locks removed"] = _removed("*.lock")
    found["everything"] = _all_of_it
    return found
