"""The registry in PostgreSQL: a row a key. One row is locked by whoever changes anything, and so
numbers changes in the order in which they become visible.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from psycopg import sql

from headcount.engines.postgres_connection import Database, Query
from headcount.engines.postgres_notices import Notices
from headcount.engines.postgres_tables import prepare_tables, require_registry
from headcount.engines.registry import REGISTRY_VALUE_BYTES_MAX, Registry, RegistryEntry
from headcount.errors import RegistryConflictError

__all__ = ["PostgresRegistry"]

_LOOK_EVERY_S = 0.5
_T = TypeVar("_T")


class PostgresRegistry(Registry):
    """A `Registry` in a schema of a PostgreSQL database.

    Args:
        address: a libpq address, of several hosts or one.
        schema: the cluster's own; made when missing.
        timeout_s: how long an answer is waited for.
        make: whether tables are made where they are missing; else that is refused.
    """

    def __init__(self, address: str, schema: str, timeout_s: float, *, make: bool = True) -> None:
        prepare = prepare_tables if make else require_registry
        self.schema = schema
        self.database = Database(address, timeout_s, lambda connection: prepare(connection, schema))
        self._notices = Notices(address, timeout_s)
        self._changed = self._notices.subscribe(f"{schema}*")

    def connect(self) -> None:
        """Connect now; raises as `PostgresLog.connect`."""
        self.database.connect()

    def _query(self, text: str) -> sql.Composed:
        return sql.SQL(text).format(s=sql.Identifier(self.schema))

    def get(self, key: str) -> RegistryEntry | None:
        query = self._query("SELECT value, revision FROM {s}.registry WHERE key = %s")

        def ask(connection: Query) -> RegistryEntry | None:
            with connection.cursor(binary=True) as cursor:
                row = cursor.execute(query, (key,)).fetchone()
            return RegistryEntry(*row) if row else None

        return self.database.run(ask)

    def put(self, key: str, value: bytes, expected: int | None) -> int:
        assert len(value) <= REGISTRY_VALUE_BYTES_MAX
        query = self._query(
            "INSERT INTO {s}.registry (key, value, revision) VALUES (%s, %b, %s)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision"
        )

        def change(connection: Query, there: int, version: int) -> bool:
            if expected is not None and expected != there:
                raise RegistryConflictError(f"{key} was changed by somebody else meanwhile.")
            connection.execute(query, (key, bytes(value), version))
            return True

        return self._change(key, change)

    def delete(self, key: str, expected: int | None = None) -> None:
        query = self._query("DELETE FROM {s}.registry WHERE key = %s")

        def change(connection: Query, there: int, _: int) -> bool:
            if there and expected is not None and expected != there:
                raise RegistryConflictError(f"{key} was changed by somebody else meanwhile.")
            if there:
                connection.execute(query, (key,))
            return bool(there)

        self._change(key, change)

    def _change(self, key: str, change: Callable[[Query, int, int], bool]) -> int:
        """Change a key, numbered; gives the number.

        Args:
            key: which.
            change: is given the revision that is there, 0 for none, and the number of this change;
                gives whether it changed anything.
        """
        lock = self._query("SELECT version FROM {s}.registry_version FOR UPDATE")
        revision = self._query("SELECT revision FROM {s}.registry WHERE key = %s")
        number = self._query("UPDATE {s}.registry_version SET version = %s")

        def ask(connection: Query) -> int:
            with connection.transaction():
                row = connection.execute(lock).fetchone()
                version = (row[0] if row else 0) + 1
                # Read behind the lock: a snapshot of before would miss who was faster.
                there = connection.execute(revision, (key,)).fetchone()
                if change(connection, there[0] if there else 0, version):
                    connection.execute(number, (version,))
                    connection.execute("SELECT pg_notify(%s, '')", (f"{self.schema}*",))
            return version

        return self.database.run(ask)

    def list(self, prefix: str = "") -> dict[str, RegistryEntry]:
        query = self._query(
            "SELECT key, value, revision FROM {s}.registry WHERE starts_with(key, %s) ORDER BY key"
        )

        def ask(connection: Query) -> dict[str, RegistryEntry]:
            with connection.cursor(binary=True) as cursor:
                rows = cursor.execute(query, (prefix,)).fetchall()
            return {key: RegistryEntry(value, revision) for key, value, revision in rows}

        return self.database.run(ask)

    def version(self) -> int:
        query = self._query("SELECT version FROM {s}.registry_version")

        def ask(connection: Query) -> int:
            row = connection.execute(query).fetchone()
            return int(row[0]) if row else 0

        return self.database.run(ask)

    def wait(self, seen: int, seconds: float) -> int:
        until_s = time.monotonic() + seconds
        while True:
            self._changed.take()
            version = self.version()
            left_s = until_s - time.monotonic()
            if version != seen or left_s <= 0:
                return version
            self._notices.wait(min(left_s, _LOOK_EVERY_S))

    def close(self) -> None:
        self._notices.close()
        self.database.close()
