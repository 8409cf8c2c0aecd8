"""`python -m bench.contest.importers NAME FILE FOLDER`: reads a file of messages, as JSON lines.

Run by the contest's own interpreter. Prints what it has counted, as JSON: of each source, and of
the workspace as a whole, what was new on each day, as `bench.contest.files` has it. Who keeps,
keeps in the folder, goes on from what is kept there, and lets no message id of a source count
twice, nor an id in a set; what turns out to have come earlier moves to the earlier day.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

__all__ = ["IMPORTERS"]

_COLUMNS = (
    "type", "projectId", "messageId", "userId", "anonymousId", "previousId", "receivedAt",
)  # fmt: skip

# What is new in a file, by SQL: a message id is of its source; an id is in a set of its source, and
# in that of the workspace.
_SENT = "SELECT source, id, min(day) AS day FROM staged GROUP BY ALL"
_TRACKED = """
    SELECT coalesce(source, '') AS scope, kind, id, min(day) AS day FROM (
        SELECT source, 'identified' AS kind, user_id AS id, day FROM staged
        UNION ALL SELECT source, 'anonymous', anonymous, day FROM staged
        UNION ALL SELECT source, 'anonymous', previous, day FROM staged
        UNION ALL SELECT source, 'joined', anonymous, day FROM staged WHERE user_id IS NOT NULL
        UNION ALL SELECT source, 'joined', previous, day FROM staged WHERE user_id IS NOT NULL
    ) WHERE id IS NOT NULL GROUP BY GROUPING SETS ((source, kind, id), (kind, id))
"""


def _duckdb_stage(db: Any, file: Path) -> None:
    columns = ", ".join(f"{name}: 'VARCHAR'" for name in _COLUMNS)
    db.execute(
        "CREATE TEMP TABLE staged AS SELECT projectId AS source, messageId AS id,"
        " userId AS user_id, anonymousId AS anonymous,"
        " CASE WHEN type = 'alias' THEN previousId END AS previous,"
        " CAST(left(receivedAt, 10) AS DATE) AS day"
        f" FROM read_ndjson('{file}', columns = {{{columns}}})"
    )


def _duckdb_series(db: Any, messages: str, tracked: str) -> dict[str, Any]:
    calls = db.execute(
        f"SELECT source, CAST(day AS VARCHAR), count(*) FROM ({messages}) GROUP BY 1, 2"
    ).fetchall()
    sets = db.execute(
        f"SELECT scope, kind, CAST(day AS VARCHAR), count(*) FROM ({tracked}) GROUP BY 1, 2, 3"
    ).fetchall()
    return _series(calls, sets)


def _series(
    calls: Iterable[tuple[str, str, int]], sets: Iterable[tuple[str, str, str, int]]
) -> dict[str, Any]:
    found: dict[str, Any] = {"": {"calls": {}}}
    for source, day, count in calls:
        found.setdefault(source, {}).setdefault("calls", {})[day] = count
        whole = found[""]["calls"]
        whole[day] = whole.get(day, 0) + count
    for scope, kind, day, count in sets:
        found.setdefault(scope, {}).setdefault(kind, {})[day] = count
    return found


def duckdb_keeps(file: Path, folder: Path) -> dict[str, Any]:
    """DuckDB: what is not in its tables yet joins them, in one transaction of its database."""
    import duckdb

    with duckdb.connect(str(folder / "meter.duckdb")) as db:
        db.execute("CREATE TABLE IF NOT EXISTS message (source VARCHAR, id VARCHAR, day DATE)")
        db.execute(
            "CREATE TABLE IF NOT EXISTS tracked (scope VARCHAR, kind VARCHAR, id VARCHAR, day DATE)"
        )
        db.execute("BEGIN")
        _duckdb_stage(db, file)
        for table, columns, new in (
            ("message", ("source", "id"), _SENT), ("tracked", ("scope", "kind", "id"), _TRACKED)
        ):  # fmt: skip
            same = " AND ".join(f"{table}.{each} = sent.{each}" for each in columns)
            db.execute(f"CREATE OR REPLACE TEMP TABLE sent AS {new}")
            db.execute(
                f"UPDATE {table} SET day = sent.day FROM sent"
                f" WHERE {same} AND sent.day < {table}.day"
            )
            using = ", ".join(columns)
            db.execute(
                f"INSERT INTO {table} SELECT sent.* FROM sent ANTI JOIN {table} USING ({using})"
            )
        db.execute("COMMIT")
        db.execute("CHECKPOINT")
        return _duckdb_series(db, "FROM message", "FROM tracked")


def duckdb_counts(file: Path, folder: Path) -> dict[str, Any]:
    """DuckDB: the distinct ids of a file, by their earliest day; keeps nothing."""
    del folder
    import duckdb

    with duckdb.connect() as db:
        _duckdb_stage(db, file)
        return _duckdb_series(db, _SENT, _TRACKED)


def _polars_sent(file: Path) -> tuple[Any, Any]:
    """The messages of a file and the ids in its sets, each once, with the earliest day."""
    import polars

    of = polars.col
    sent = (
        polars.scan_ndjson(file, schema=dict.fromkeys(_COLUMNS, polars.String))
        .select(
            "userId",
            "anonymousId",
            day=of("receivedAt").str.slice(0, 10),
            source="projectId",
            id="messageId",
            previousId=polars.when(of("type") == "alias").then("previousId"),
        )
        .collect()
    )
    seen = polars.concat(
        sent.filter(column.is_not_null(), *conditions).select(
            "source", "day", kind=polars.lit(kind), id=column
        )
        for kind, column, *conditions in (
            ("identified", of("userId")),
            ("anonymous", of("anonymousId")),
            ("anonymous", of("previousId")),
            ("joined", of("anonymousId"), of("userId").is_not_null()),
            ("joined", of("previousId"), of("userId").is_not_null()),
        )
    )
    of_sources = _earliest(seen.rename({"source": "scope"}), "scope", "kind")
    of_all = _earliest(of_sources.with_columns(scope=polars.lit("")), "scope", "kind")
    tracked = polars.concat([of_sources, of_all])
    return _earliest(sent.select("source", "id", "day"), "source"), tracked


def _earliest(rows: Any, *of: str) -> Any:
    import polars

    return rows.group_by(*of, "id").agg(polars.col("day").min())


def _polars_series(messages: Any, tracked: Any) -> dict[str, Any]:
    return _series(
        messages.group_by("source", "day").len().iter_rows(),
        tracked.group_by("scope", "kind", "day").len().iter_rows(),
    )


def polars_keeps(file: Path, folder: Path) -> dict[str, Any]:
    """Polars: what is kept and what is new, each id once, into new files of Parquet."""
    messages, tracked = _polars_sent(file)
    return _polars_series(
        _merged(folder / "message.parquet", messages, "source"),
        _merged(folder / "tracked.parquet", tracked, "scope", "kind"),
    )


def _merged(kept: Path, sent: Any, *of: str) -> Any:
    import polars

    if kept.exists():
        sent = _earliest(polars.concat([polars.read_parquet(kept), sent], how="diagonal"), *of)
    written = kept.with_suffix(".new")
    sent.write_parquet(written, compression="lz4")
    with written.open("rb") as file:
        os.fsync(file.fileno())
    written.replace(kept)
    return sent


def polars_counts(file: Path, folder: Path) -> dict[str, Any]:
    """Polars: the distinct ids of a file, by their earliest day; keeps nothing."""
    del folder
    return _polars_series(*_polars_sent(file))


def clickhouse_keeps(file: Path, folder: Path) -> dict[str, Any]:
    """ClickHouse: every record is a row, and counting leaves out what came twice."""
    from chdb.session import Session

    session = Session(str(folder / "meter"))
    session.query("CREATE DATABASE IF NOT EXISTS meter")
    session.query(
        "CREATE TABLE IF NOT EXISTS meter.message (source LowCardinality(String), id String,"
        " day Date, user Nullable(String), anonymous Nullable(String), previous Nullable(String))"
        " ENGINE = MergeTree ORDER BY (source, id)"
        " SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
    )
    columns = ", ".join(f"{name} Nullable(String)" for name in _COLUMNS)
    session.query(
        "INSERT INTO meter.message SELECT projectId, messageId,"
        " toDate(substring(receivedAt, 1, 10)), userId, anonymousId,"
        " if(type = 'alias', previousId, NULL)"
        f" FROM file('{file}', JSONEachRow, '{columns}')"
        " SETTINGS input_format_skip_unknown_fields = 1"
    )

    def asked(query: str) -> list[Any]:
        answer = session.query(query, "JSONCompactEachRow")
        return [json.loads(line) for line in str(answer).splitlines()]

    calls = asked(
        "SELECT source, toString(first), toUInt32(count()) FROM"
        " (SELECT source, id, min(day) AS first FROM meter.message GROUP BY source, id)"
        " GROUP BY source, first"
    )
    sets = asked(
        "SELECT scope, kind, toString(first), toUInt32(count()) FROM ("
        "  SELECT scope, tracked.1 AS kind, tracked.2 AS each, min(day) AS first FROM ("
        "   SELECT day, arrayJoin([toString(source), '']) AS scope, arrayJoin(arrayFilter("
        "    pair -> isNotNull(pair.2), [('identified', user), ('anonymous', anonymous),"
        "    ('anonymous', previous), ('joined', if(isNull(user), NULL, anonymous)),"
        "    ('joined', if(isNull(user), NULL, previous))])) AS tracked FROM meter.message"
        "  ) GROUP BY scope, kind, each"
        " ) GROUP BY scope, kind, first"
    )
    session.close()
    return _series(calls, sets)


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
