"""`python -m bench.contest.importers NAME FILE FOLDER`: reads a file of messages, as JSON lines.

Run by the contest's own interpreter. Prints what it has counted, as JSON: `calls` by day, and the
numbers of identified, anonymous and anonymous identified ids. Who keeps, keeps in the folder, goes
on from what is kept there, and lets no message id count twice.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["IMPORTERS"]

_COLUMNS = ("messageId", "userId", "anonymousId", "receivedAt")
_SETS = ("identified", "anonymous", "joined")


def _duckdb_read(file: Path) -> str:
    columns = ", ".join(f"{name}: 'VARCHAR'" for name in _COLUMNS)
    return f"read_ndjson('{file}', columns = {{{columns}}})"


def duckdb_keeps(file: Path, folder: Path) -> dict[str, Any]:
    """DuckDB: what is not in its tables yet joins them, in one transaction of its database."""
    import duckdb

    with duckdb.connect(str(folder / "meter.duckdb")) as db:
        db.execute("CREATE TABLE IF NOT EXISTS message (id VARCHAR, day DATE)")
        db.execute("CREATE TABLE IF NOT EXISTS tracked (kind VARCHAR, id VARCHAR)")
        db.execute("BEGIN")
        db.execute(
            "CREATE TEMP TABLE staged AS SELECT messageId AS message, userId AS user_id,"
            " anonymousId AS anonymous, CAST(left(receivedAt, 10) AS DATE) AS day"
            f" FROM {_duckdb_read(file)}"
        )
        db.execute(
            "CREATE TEMP TABLE sent AS SELECT message AS id, min(day) AS day FROM staged GROUP BY 1"
        )
        db.execute(
            "UPDATE message SET day = sent.day FROM sent"
            " WHERE message.id = sent.id AND sent.day < message.day"
        )
        db.execute("INSERT INTO message SELECT sent.* FROM sent ANTI JOIN message USING (id)")
        for kind, column, condition in (
            ("identified", "user_id", "user_id IS NOT NULL"),
            ("anonymous", "anonymous", "anonymous IS NOT NULL"),
            ("joined", "anonymous", "anonymous IS NOT NULL AND user_id IS NOT NULL"),
        ):
            db.execute(
                f"INSERT INTO tracked SELECT '{kind}', seen.id FROM"
                f" (SELECT DISTINCT {column} AS id FROM staged WHERE {condition}) AS seen"
                f" ANTI JOIN (SELECT id FROM tracked WHERE kind = '{kind}') AS known USING (id)"
            )
        db.execute("COMMIT")
        db.execute("CHECKPOINT")
        days = db.execute(
            "SELECT CAST(day AS VARCHAR), count(*) FROM message GROUP BY 1 ORDER BY 1"
        )
        calls = dict(days.fetchall())
        sets = dict(db.execute("SELECT kind, count(*) FROM tracked GROUP BY 1").fetchall())
    return {"calls": calls} | {name: sets.get(name, 0) for name in _SETS}


def duckdb_counts(file: Path, folder: Path) -> dict[str, Any]:
    """DuckDB: distinct values of a file, by their earliest day; keeps nothing."""
    del folder
    import duckdb

    days = duckdb.sql(
        "SELECT day, count(*) FROM (SELECT min(left(receivedAt, 10)) AS day"
        f" FROM {_duckdb_read(file)} GROUP BY messageId) GROUP BY 1 ORDER BY 1"
    ).fetchall()
    sets = duckdb.sql(
        "SELECT count(DISTINCT userId), count(DISTINCT anonymousId), count(DISTINCT anonymousId)"
        f" FILTER (userId IS NOT NULL) FROM {_duckdb_read(file)}"
    ).fetchall()[0]
    return {"calls": dict(days)} | dict(zip(_SETS, sets, strict=True))


def _polars_read(file: Path) -> Any:
    import polars

    schema = dict.fromkeys(_COLUMNS, polars.String)
    return polars.scan_ndjson(file, schema=schema).with_columns(
        day=polars.col("receivedAt").str.slice(0, 10)
    )


def polars_keeps(file: Path, folder: Path) -> dict[str, Any]:
    """Polars: what is kept and what is new, each id once, into new files of Parquet."""
    import polars

    sent = _polars_read(file).select("messageId", "userId", "anonymousId", "day").collect()
    columns = polars.col("messageId").alias("id"), polars.col("day")
    messages = _merged(folder / "message.parquet", sent.select(columns))
    user, visitor = polars.col("userId"), polars.col("anonymousId")
    tracked = polars.concat(
        sent.filter(condition).select(
            polars.lit(kind).alias("kind"), column.alias("id"), polars.lit("").alias("day")
        )
        for kind, column, condition in (
            ("identified", user, user.is_not_null()),
            ("anonymous", visitor, visitor.is_not_null()),
            ("joined", visitor, visitor.is_not_null() & user.is_not_null()),
        )
    )
    sets = dict(
        _merged(folder / "tracked.parquet", tracked, "kind").group_by("kind").len().iter_rows()
    )
    calls = dict(messages.group_by("day").len().sort("day").iter_rows())
    return {"calls": calls} | {name: sets.get(name, 0) for name in _SETS}


def _merged(kept: Path, sent: Any, *of: str) -> Any:
    import polars

    both = polars.concat([polars.read_parquet(kept), sent]) if kept.exists() else sent
    merged = both.group_by(*of, "id").agg(polars.col("day").min())
    written = kept.with_suffix(".new")
    merged.write_parquet(written, compression="lz4")
    with written.open("rb") as file:
        os.fsync(file.fileno())
    written.replace(kept)
    return merged


def polars_counts(file: Path, folder: Path) -> dict[str, Any]:
    """Polars: distinct values of a file, by their earliest day; keeps nothing."""
    del folder
    import polars

    sent = _polars_read(file)
    user, visitor = polars.col("userId"), polars.col("anonymousId")
    days, sets = polars.collect_all(
        [
            sent.group_by("messageId").agg(polars.col("day").min()).group_by("day").len(),
            sent.select(
                user.drop_nulls().n_unique(),
                visitor.drop_nulls().n_unique(),
                visitor.filter(user.is_not_null()).drop_nulls().n_unique().alias("joined"),
            ),
        ]
    )
    calls = dict(days.sort("day").iter_rows())
    return {"calls": calls} | dict(zip(_SETS, sets.row(0), strict=True))


def clickhouse_keeps(file: Path, folder: Path) -> dict[str, Any]:
    """ClickHouse: every record is a row, and counting leaves out what came twice."""
    from chdb.session import Session

    session = Session(str(folder / "meter"))
    session.query("CREATE DATABASE IF NOT EXISTS meter")
    session.query(
        "CREATE TABLE IF NOT EXISTS meter.message"
        " (id String, day Date, user Nullable(String), anonymous Nullable(String))"
        " ENGINE = MergeTree ORDER BY id SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
    )
    columns = ", ".join(f"{name} Nullable(String)" for name in _COLUMNS)
    session.query(
        "INSERT INTO meter.message SELECT messageId, toDate(substring(receivedAt, 1, 10)),"
        f" userId, anonymousId FROM file('{file}', JSONEachRow, '{columns}')"
        " SETTINGS input_format_skip_unknown_fields = 1"
    )
    days = session.query(
        "SELECT toString(day) AS day, toUInt32(count()) AS count FROM"
        " (SELECT min(day) AS day FROM meter.message GROUP BY id) GROUP BY day ORDER BY day",
        "JSONEachRow",
    )
    sets = session.query(
        "SELECT toUInt32(uniqExact(user)) AS users, toUInt32(uniqExact(anonymous)) AS visitors,"
        " toUInt32(uniqExactIf(anonymous, user IS NOT NULL)) AS both FROM meter.message",
        "JSONEachRow",
    )
    calls = {row["day"]: row["count"] for row in map(json.loads, str(days).splitlines())}
    session.close()
    return {"calls": calls} | dict(zip(_SETS, json.loads(str(sets)).values(), strict=True))


def json_loads(file: Path, folder: Path) -> dict[str, Any]:
    """The least that Python does: every line decoded, and nothing done with it."""
    del folder
    with file.open("rb") as lines:
        for line in lines:
            json.loads(line)
    return {}


IMPORTERS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    each.__name__: each
    for each in (
        duckdb_keeps, polars_keeps, clickhouse_keeps, duckdb_counts, polars_counts, json_loads,
    )
}  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(IMPORTERS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))))
