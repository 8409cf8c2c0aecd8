"""FastAPI with ClickHouse: every message is a row, and what is asked is counted when it is asked.

ClickHouse runs inside of the process, as the package chdb brings it, and so there is one worker;
its own threads take the other cores. A repeated message is a second row, which counting leaves out
whether or not a merge has.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import date

from chdb.session import Session

from bench.contest.apps.front import WORKSPACE, Daily, Row, application, today

_TABLE = """
CREATE TABLE IF NOT EXISTS meter.message (
    month Date, source UInt32, id String, day Date, user String, anonymous String, joined Bool
) ENGINE = ReplacingMergeTree PARTITION BY month ORDER BY (month, source, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""
# Of each kind, when each thing was first seen. The parameters are numbers and a date, made here.
_FIRST_SEEN = {
    0: "SELECT min(day) AS day FROM meter.message WHERE {of} GROUP BY source, id",
    1: "SELECT min(day) AS day FROM meter.message WHERE {of} AND user != '' GROUP BY user",
    2: "SELECT min(day) AS day FROM meter.message WHERE {of} AND anonymous != ''"
    " GROUP BY anonymous",
    3: "SELECT min(day) AS day FROM meter.message WHERE {of} AND joined GROUP BY anonymous",
}
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


class _ClickHouse:
    async def start(self) -> None:
        self._threads = ThreadPoolExecutor(2)  # one writes, one reads
        self._session = Session(os.environ["METER_ENGINE"])
        await self._run("CREATE DATABASE IF NOT EXISTS meter")
        await self._run(_TABLE)

    async def _run(self, statement: str) -> str:
        loop = asyncio.get_running_loop()
        return str(
            await loop.run_in_executor(self._threads, self._session.query, statement, "JSONEachRow")
        )

    async def write(self, rows: list[Row]) -> None:
        day = today()
        month = day.replace(day=1)
        lines = [
            f"{month}\t{row.source}\t{row.message.translate(_ESCAPES)}\t{day}"
            f"\t{row.user.translate(_ESCAPES)}\t{row.anonymous.translate(_ESCAPES)}"
            f"\t{'true' if row.joined else 'false'}\n"
            for row in rows
        ]
        await self._run("INSERT INTO meter.message FORMAT TabSeparated\n" + "".join(lines))

    async def read(self, scope: int, month: date) -> Daily:
        of = f"month = '{month}'" + ("" if scope == WORKSPACE else f" AND source = {scope}")
        statement = " UNION ALL ".join(
            f"SELECT {kind} AS kind, toString(day) AS day, toUInt32(count()) AS count"
            f" FROM ({first_seen.format(of=of)}) GROUP BY day"
            for kind, first_seen in _FIRST_SEEN.items()
        )
        new: Daily = defaultdict(dict)
        for line in (await self._run(statement)).splitlines():
            row = json.loads(line)
            new[row["kind"]][row["day"]] = row["count"]
        return new

    async def stop(self) -> None:
        self._threads.shutdown()
        self._session.close()


app = application(_ClickHouse())
