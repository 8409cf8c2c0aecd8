"""The tables of a cluster in PostgreSQL, in a schema of its own: made when missing, days added.

`log` is divided by days, of UTC, so that letting go of one is dropping a table. Its data was packed
before: it is stored as it is (`EXTERNAL`), apart from the rows, so that finding rows stays quick.
"""

from __future__ import annotations

import contextlib
import logging
from datetime import date, timedelta

import psycopg
from psycopg import errors, sql

from headcount.engines.postgres_connection import Query
from headcount.errors import ClusterError, OperatorError

__all__ = [
    "TABLES_FORMAT",
    "add_days",
    "drop_days",
    "prepare_tables",
    "require_registry",
    "warnings_of",
]

_log = logging.getLogger(__name__)

TABLES_FORMAT = 1
_DAYS_AHEAD = 2
# Any number that nothing else in a database is likely to lock; the schema's name is the second.
_LOCK = 1_213_482_306

_TABLES = {
    "format": """
CREATE TABLE {s}.format (version integer NOT NULL);
INSERT INTO {s}.format VALUES (1);
""",
    "head": """
CREATE TABLE {s}.head (subject text COLLATE "C" PRIMARY KEY, next bigint NOT NULL)
  WITH (fillfactor = 20, autovacuum_vacuum_cost_delay = 0);
""",
    "log": """
CREATE TABLE {s}.log (
  subject text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  at timestamptz NOT NULL,
  data bytea NOT NULL
) PARTITION BY RANGE (at);
ALTER TABLE {s}.log ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX ON {s}.log (subject, seq);
""",
    "registry": """
CREATE TABLE {s}.registry (
  key text COLLATE "C" PRIMARY KEY,
  value bytea NOT NULL,
  revision bigint NOT NULL
);
""",
    "registry_version": """
CREATE TABLE {s}.registry_version (version bigint NOT NULL) WITH (fillfactor = 20);
INSERT INTO {s}.registry_version VALUES (0);
""",
}


def require_registry(connection: Query, schema: str) -> None:
    """See that somebody has begun a registry, and make nothing.

    Raises:
        ClusterError: nobody has.
        psycopg.Error: the database cannot be asked.
    """
    if {"registry", "registry_version"} & set(_missing(connection, schema)):
        raise ClusterError(
            "There is no cluster at the address that --cluster names: its database is empty.",
            "Begin one with headcount cluster init, or name the right database.",
        )


def prepare_tables(connection: Query, schema: str) -> None:
    """Make the tables where they are missing, and the days that come.

    Args:
        connection: to the primary, on which every statement is a transaction.
        schema: the cluster's own.

    Raises:
        OperatorError: there is no right to make them, or a newer version of Headcount made them.
        psycopg.Error: the database cannot be asked.
    """
    try:
        if _missing(connection, schema):
            with connection.transaction():
                _lock(connection, schema)
                _create(connection, schema, _missing(connection, schema))
        _require_format(connection, schema)
        add_days(connection, schema)
    except errors.InsufficientPrivilege as error:
        raise OperatorError(
            f"The role {connection.info.user} may not use or make tables in schema {schema} of"
            f" database {connection.info.dbname}.",
            f"Let an administrator run: GRANT CREATE ON DATABASE {connection.info.dbname} TO"
            f" {connection.info.user};",
        ) from error


def _lock(connection: Query, schema: str) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_LOCK, schema))


def _missing(connection: Query, schema: str) -> list[str]:
    """Which tables are not there."""
    # Asked of the tables of tables, and not by name: names are remembered, also as missing.
    rows = connection.execute(
        "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relkind IN ('r', 'p')",
        (schema,),
    ).fetchall()
    there = {name for (name,) in rows}
    return [name for name in _TABLES if name not in there]


def _require_format(connection: Query, schema: str) -> None:
    query = sql.SQL("SELECT version FROM {}.format").format(sql.Identifier(schema))
    row = connection.execute(query).fetchone()
    if row is not None and row[0] > TABLES_FORMAT:
        raise OperatorError(
            f"The tables in schema {schema} are of format {row[0]}, which a newer version made.",
            "Run that version on every node.",
        )


def _create(connection: Query, schema: str, missing: list[str]) -> None:
    there = connection.execute("SELECT to_regnamespace(%s)", (schema,)).fetchone()
    name = sql.Identifier(schema)
    if there is None or there[0] is None:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
    for each in missing:
        connection.execute(sql.SQL(_TABLES[each]).format(s=name))
    if len(missing) < len(_TABLES):
        names = ", ".join(missing)
        _log.warning(
            "tables of the cluster were gone from schema %s, and are made: %s", schema, names
        )
    else:
        _log.info("the tables of the cluster are made in schema %s", schema)


def add_days(connection: Query, schema: str) -> None:
    """Make the tables of today and the days after, by the database's clock."""
    row = connection.execute(
        "SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date,"
        " ARRAY(SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relispartition AND c.relkind = 'r')",
        (schema,),
    ).fetchone()
    assert row is not None
    today, there = row
    wanted = [today + timedelta(days) for days in range(_DAYS_AHEAD + 1)]
    missing = [day for day in wanted if _table_of(day) not in there]
    if not missing:
        return
    with connection.transaction():
        _lock(connection, schema)
        for day in missing:
            _add_day(connection, schema, day)


def _add_day(connection: Query, schema: str, day: date) -> None:
    names = {
        "s": sql.Identifier(schema),
        "day": sql.Identifier(_table_of(day)),
        "first": sql.Literal(f"{day} 00:00:00+00"),
        "last": sql.Literal(f"{day + timedelta(1)} 00:00:00+00"),
    }
    # Attached, and not made as a part, which would lock out those who read.
    made = "CREATE TABLE IF NOT EXISTS {s}.{day} (LIKE {s}.log INCLUDING ALL)"
    connection.execute(sql.SQL(made).format(**names))
    attached = connection.execute(
        "SELECT relispartition FROM pg_class WHERE oid = to_regclass(%s)",
        (f"{schema}.{_table_of(day)}",),
    ).fetchone()
    if attached is not None and not attached[0]:
        attach = (
            "ALTER TABLE {s}.log ATTACH PARTITION {s}.{day} FOR VALUES FROM ({first}) TO ({last})"
        )
        connection.execute(sql.SQL(attach).format(**names))


def _table_of(day: date) -> str:
    return f"log_{day:%Y%m%d}"


def drop_days(connection: Query, schema: str, before: date) -> None:
    """Drop the tables of the days before one."""
    rows = connection.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relispartition AND c.relkind = 'r' AND c.relname < %s"
        " ORDER BY 1",
        (schema, _table_of(before)),
    ).fetchall()
    for (table,) in rows:
        names = (sql.Identifier(schema), sql.Identifier(table))
        # It waits for those who read, and everybody else would wait behind it: then another time.
        with contextlib.suppress(errors.LockNotAvailable), connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '2s'")
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}.{}").format(*names))


def warnings_of(connection: Query) -> list[str]:
    """What an operator should know of this database, as sentences.

    Raises:
        psycopg.Error: the database cannot be asked.
    """
    found: list[str] = []
    if not connection.info.parameter_status("in_hot_standby"):
        return found
    row = connection.execute(
        "SELECT current_setting('synchronous_standby_names'), current_setting('fsync'),"
        " (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))"
    ).fetchone()
    assert row is not None
    names, fsync, standbys = row
    if fsync != "on":
        found.append("fsync is off: the log forgets what it acknowledged when the power fails.")
    if not names:
        found.append(
            "No synchronous standby is set (synchronous_standby_names): what only the primary has"
            " is lost with its disk, and journals then send it again as far as they hold it."
        )
    elif standbys == 0:
        found.append("The synchronous standby is not there: nothing more is acknowledged.")
    return found


def is_missing_day(error: psycopg.Error) -> bool:
    """Whether a row found no table for its day."""
    return isinstance(error, errors.CheckViolation)
