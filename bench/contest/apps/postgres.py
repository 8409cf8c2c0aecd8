"""FastAPI with PostgreSQL: message ids in a primary key, counts beside them, in one statement.

One round trip a group: arrays go in, what is new is counted in the same transaction. Each worker
has counters of its own, since otherwise all would wait for the row of today.
"""

from __future__ import annotations

import os
from collections import defaultdict
from datetime import date

import asyncpg

from bench.contest.apps.front import WORKSPACE, Daily, Known, Row, application, today, tracked_of

_TABLES = """
CREATE TABLE IF NOT EXISTS message (
    source int NOT NULL, id text NOT NULL, day date NOT NULL, PRIMARY KEY (source, id));
CREATE TABLE IF NOT EXISTS tracked (
    month date NOT NULL, scope int NOT NULL, kind smallint NOT NULL, id text NOT NULL,
    PRIMARY KEY (month, scope, kind, id));
CREATE TABLE IF NOT EXISTS usage (
    scope int NOT NULL, day date NOT NULL, kind smallint NOT NULL, worker int NOT NULL,
    count bigint NOT NULL, PRIMARY KEY (scope, day, kind, worker)) WITH (fillfactor = 50);
"""
# Sorted, so that two workers with the same ids wait for one another in one order only.
_WRITE = """
WITH sent AS (
    INSERT INTO message (source, id, day)
    SELECT source, id, $1 FROM unnest($2::int[], $3::text[]) AS sent (source, id)
    ORDER BY source, id ON CONFLICT DO NOTHING RETURNING source
), seen AS (
    INSERT INTO tracked (month, scope, kind, id)
    SELECT $4, scope, kind, id
    FROM unnest($5::int[], $6::smallint[], $7::text[]) AS seen (scope, kind, id)
    ORDER BY scope, kind, id ON CONFLICT DO NOTHING RETURNING scope, kind
), new AS (
    SELECT source AS scope, 0::smallint AS kind FROM sent
    UNION ALL SELECT scope, kind FROM seen
)
INSERT INTO usage (scope, day, kind, worker, count)
SELECT scope, $1, kind, $8, count(*) FROM new GROUP BY scope, kind
ON CONFLICT (scope, day, kind, worker) DO UPDATE SET count = usage.count + excluded.count
"""
# The API calls of the workspace are those of its sources.
_READ = """
SELECT kind, day, sum(count)::bigint AS count FROM usage
WHERE day >= $2 AND day < $2 + interval '1 month'
  AND (scope = $1 OR ($1 = 0 AND kind = 0)) GROUP BY kind, day
"""


class _Postgres:
    def __init__(self) -> None:
        self._known = Known()
        self._worker = int(os.environ["METER_WORKER"])

    async def start(self) -> None:
        self._pool = await asyncpg.create_pool(
            host=os.environ["METER_ENGINE"], user="meter", database="postgres",
            min_size=2, max_size=4,
        )  # fmt: skip
        async with self._pool.acquire() as connection:
            # Two workers that make a table at once hinder one another.
            await connection.execute("SELECT pg_advisory_lock(1)")
            await connection.execute(_TABLES)
            await connection.execute("SELECT pg_advisory_unlock(1)")

    async def write(self, rows: list[Row]) -> None:
        unknown = self._known.unknown(rows)
        tracked = tracked_of(unknown)
        day = today()
        scopes, kinds, ids = map(list, zip(*tracked, strict=True)) if tracked else ([], [], [])
        await self._pool.execute(
            _WRITE, day, [row.source for row in rows], [row.message for row in rows],
            day.replace(day=1), scopes, kinds, ids, self._worker,
        )  # fmt: skip
        self._known.add(unknown)

    async def read(self, scope: int, month: date) -> Daily:
        assert WORKSPACE == 0, "the statement says so too"
        new: Daily = defaultdict(dict)
        for kind, day, count in await self._pool.fetch(_READ, scope, month):
            new[kind][day.isoformat()] = count
        return new

    async def stop(self) -> None:
        await self._pool.close()


app = application(_Postgres())
