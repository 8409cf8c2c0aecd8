"""A connection to the primary of a PostgreSQL database, made again by the next call when it breaks.

Every answer is waited for as long as the timeout says. A query that takes longer is not cancelled:
cancelling one that waits for the standby would let it count as durable; the connection is closed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg import errors

from headcount.engines.engine_address import shown_address
from headcount.errors import EngineAwayError, OperatorError

__all__ = ["OLDEST_VERSION", "Database", "Query", "TimedConnection"]

OLDEST_VERSION = 15
_T = TypeVar("_T")
_WAITING = ", as when it waits for a standby that is not there"
Query = psycopg.Connection[tuple[Any, ...]]

# What another try does not fix: an address, a right or a name is wrong.
_PERMANENT = (
    errors.InvalidAuthorizationSpecification,
    errors.InvalidPassword,
    errors.InvalidCatalogName,
    errors.InsufficientPrivilege,
)
# What a new connection may fix: the server is gone, or no longer the primary, or somebody removed
# the tables, which are then made anew; who follows finds out by what is missing.
_ANOTHER_CONNECTION = (
    psycopg.OperationalError,
    errors.ReadOnlySqlTransaction,
    errors.UndefinedTable,
    errors.InvalidSchemaName,
)
_REFUSED_WORDS = (
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "permission denied",
    "could not translate host name",
    "failed to resolve host",
    "certificate verify failed",
    "does not support SSL",
)


class TooLate(psycopg.OperationalError):
    """An answer did not come in time."""


class TimedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose answers are waited for at most so long."""

    timeout_s: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg's, with a timeout of ours where it has none."""
        if timeout is not None or self.timeout_s is None:
            return super().wait(gen, interval, timeout)
        until_s = time.monotonic() + self.timeout_s
        try:
            return super().wait(gen, interval, self.timeout_s)
        except psycopg.OperationalError as error:
            if time.monotonic() < until_s:
                raise
            self.pgconn.finish()
            raise TooLate(f"no answer within {self.timeout_s:g} s{_WAITING}") from error


class Database:
    """A database that is asked over one connection.

    Args:
        address: a libpq address, of several hosts or one.
        timeout_s: for connecting to each host, and for each answer.
        prepare: called with each new connection, before anything else is asked of it.
    """

    def __init__(self, address: str, timeout_s: float, prepare: Callable[[Query], None]) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._prepare = prepare
        self._connection: TimedConnection | None = None
        self.connected = 0
        """How many connections there were so far."""

    def __str__(self) -> str:
        return shown_address(self._address)

    def run(self, ask: Callable[[Query], _T]) -> _T:
        """What is asked for, over the connection, which is made where there is none.

        Args:
            ask: does something that may be done twice; after a connection is found broken that was
                fine before, it is called once more with a new one.

        Raises:
            EngineAwayError: the database cannot be asked, or refuses.
        """
        try:
            kept = self._connection is not None
            try:
                return ask(self.connection())
            except TooLate:
                raise
            except _ANOTHER_CONNECTION as error:
                if isinstance(error, psycopg.OperationalError) and not kept:
                    raise
                self.close()
                return ask(self.connection())
        except psycopg.Error as error:
            self.close()
            raise EngineAwayError(f"{self} cannot be asked: {_words(error)}.") from error
        except OperatorError as error:
            self.close()
            raise EngineAwayError(error.problem) from error

    def connect(self) -> TimedConnection:
        """The connection, for one who wants to know what would stay wrong.

        Raises:
            OperatorError: something is wrong that another try does not fix.
            EngineAwayError: the database cannot be asked at present.
        """
        try:
            return self.connection()
        except psycopg.Error as error:
            raise EngineAwayError(f"{self} cannot be asked: {_words(error)}.") from error

    def connection(self) -> TimedConnection:
        """The connection; a new one where there is none.

        Raises:
            OperatorError: something is wrong that another try does not fix.
            psycopg.Error: the database cannot be reached at present.
        """
        if self._connection is None or self._connection.closed:
            self._connection = self._connected()
        return self._connection

    def _connected(self) -> TimedConnection:
        try:
            connection = TimedConnection.connect(
                self._address,
                autocommit=True,
                target_session_attrs="primary",
                connect_timeout=max(2, round(self._timeout_s)),
                application_name="headcount",
                client_encoding="utf8",
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
                tcp_user_timeout=10_000,
            )
        except psycopg.ProgrammingError as error:
            raise OperatorError(
                f"{self} is no address of a PostgreSQL database: {_words(error)}.",
                "Write it as postgresql://USER@HOST:5432,HOST:5432/DATABASE.",
            ) from error
        except psycopg.OperationalError as error:
            words = _words(error)
            if isinstance(error, _PERMANENT) or any(each in str(error) for each in _REFUSED_WORDS):
                raise OperatorError(
                    f"{self} does not let us in: {words}.",
                    "Look at its host, user, password and database.",
                ) from error
            raise
        try:
            connection.timeout_s = self._timeout_s
            self._require_version(connection)
            # Nothing may be called durable that only one server has, nor that no disk has.
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') <> 'remote_apply'"
            )
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self.connected += 1
        return connection

    def _require_version(self, connection: Query) -> None:
        version = connection.info.server_version
        if version < OLDEST_VERSION * 10_000:
            raise OperatorError(
                f"{self} runs PostgreSQL {version // 10_000}, which is too old for a cluster.",
                f"Take PostgreSQL {OLDEST_VERSION} or newer.",
            )

    def close(self) -> None:
        """Give the connection back; idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _words(error: psycopg.Error) -> str:
    """The first thing that is wrong, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")
