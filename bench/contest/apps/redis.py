"""FastAPI with Redis: message ids and visitors in sets, daily counters beside them.

A script of Lua adds a group to its sets and counts what was new, so that nobody sees one without
the other. Message ids have a set for each month.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from datetime import date

from redis.asyncio import Redis

from bench.contest.apps.front import (
    CALLS,
    WORKSPACE,
    Daily,
    Known,
    Row,
    application,
    today,
    tracked_of,
)

# Keys are pairs: a set, and the counters of its scope. For each pair the arguments bring the
# kind, how many members follow, and these.
_WRITE = """
local at = 2
for i = 1, #KEYS, 2 do
  local members, new = tonumber(ARGV[at + 1]), 0
  local last = at + 1 + members
  for first = at + 2, last, 5000 do
    new = new + redis.call('SADD', KEYS[i], unpack(ARGV, first, math.min(first + 4999, last)))
  end
  if new > 0 then
    redis.call('HINCRBY', KEYS[i + 1], ARGV[at] .. ':' .. ARGV[1], new)
  end
  at = last + 1
end
"""


class _Redis:
    def __init__(self) -> None:
        self._known = Known()

    async def start(self) -> None:
        self._redis = Redis(unix_socket_path=os.environ["METER_ENGINE"], decode_responses=True)
        self._write = self._redis.register_script(_WRITE)
        self._sources = list(json.loads(os.environ["METER_KEYS"]).values())

    async def write(self, rows: list[Row]) -> None:
        unknown = self._known.unknown(rows)
        day = today()
        month = f"{day:%Y-%m}"
        members: dict[tuple[int, int], list[str]] = defaultdict(list)
        for row in rows:
            members[row.source, CALLS].append(row.message)
        for scope, kind, each in tracked_of(unknown):
            members[scope, kind].append(each)
        keys: list[str] = []
        arguments: list[str | int] = [day.isoformat()]
        for (scope, kind), ids in members.items():
            keys += (f"seen:{scope}:{kind}:{month}", f"usage:{scope}:{month}")
            arguments += (kind, len(ids), *ids)
        await self._write(keys=keys, args=arguments)
        self._known.add(unknown)

    async def read(self, scope: int, month: date) -> Daily:
        new: Daily = defaultdict(lambda: defaultdict(int))
        # The API calls of the workspace are those of its sources.
        for each in (scope, *(self._sources if scope == WORKSPACE else ())):
            for name, count in (await self._redis.hgetall(f"usage:{each}:{month:%Y-%m}")).items():
                kind, _, day = name.partition(":")
                if each == scope or int(kind) == CALLS:
                    new[int(kind)][day] += int(count)
        return new

    async def stop(self) -> None:
        await self._redis.aclose()


app = application(_Redis())
