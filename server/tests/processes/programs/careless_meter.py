"""A meter that is fast and wrong: counts every delivery, and answers before it keeps anything."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from datetime import date
from pathlib import Path

from bench.contest.apps.front import CALLS, WORKSPACE, Daily, Row, application, today


class _Careless:
    async def start(self) -> None:
        self._kept = Path(os.environ["METER_ENGINE"]) / "calls"
        self._kept.touch()

    async def write(self, rows: list[Row]) -> None:
        # Appended at once, so that its two workers see what each other counts.
        with self._kept.open("a") as kept:
            kept.write("".join(json.dumps([row.source, str(today())]) + "\n" for row in rows))

    async def read(self, scope: int, month: date) -> Daily:
        new: Daily = defaultdict(lambda: defaultdict(int))
        for line in self._kept.read_text().splitlines():
            source, day = json.loads(line)
            if scope in (source, WORKSPACE) and day >= str(month):
                new[CALLS][day] += 1
        return new

    async def stop(self) -> None:
        pass


app = application(_Careless())
