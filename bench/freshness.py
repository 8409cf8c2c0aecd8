"""How long a message waits until it is shown, many at once: markers at a steady pace, each of a
source of its own, so that each is known by its source's count.

A process of its own (`python -m bench.freshness`, its task as JSON on standard input); prints two
lists of seconds as JSON: from the acknowledgement of each marker to the arrival of the first answer
that has it among API calls, and to that of the first that has its new user.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote

from bench.load import BenchError
from bench.server import Client, Server, Tenant, basic, this_period

__all__ = ["LANES", "MARKERS_A_SECOND", "Lags", "SteadyProber"]

LANES = 64
"""Sources that markers are sent to in turn; one is sent to again once it is up to date."""

MARKERS_A_SECOND = 20.0
_LOOK_EVERY_S = 0.01
_VISIBLE_WITHIN_S = 60.0


class Lags(NamedTuple):
    """Seconds from acknowledgements to being visible.

    Attributes:
        calls: among API calls.
        users: among tracked users.
    """

    calls: list[float]
    users: list[float]


class SteadyProber:
    """Starts a probe of one server beside whatever else goes on.

    Args:
        server: the server.
        tenant: a workspace that nobody else writes to, with `LANES` sources.
        seconds: for how long markers are posted.
        a_second: how many.
    """

    def __init__(self, server: Server, tenant: Tenant, seconds: float, a_second: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.freshness"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        lanes = list(zip(tenant.source_ids, tenant.write_keys, strict=True))
        task = [server.tracking, server.api, lanes, tenant.token, seconds, a_second]
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()

    def lags(self) -> Lags:
        """Wait for the end; what was measured.

        Raises:
            BenchError: the probe failed.
        """
        text, _ = self._process.communicate()
        if self._process.returncode != 0:
            raise BenchError("the freshness probe failed; what it said stands above")
        return Lags(*json.loads(text))


@dataclass(slots=True)
class _Lane:
    """A source, and what of its last marker is not visible yet."""

    write_key: str
    calls: int = 0
    users: int = 0
    acknowledged_s: float = 0.0
    waits_for: set[str] = field(default_factory=set)


def _seen(reader: Client) -> dict[str, tuple[int, int]]:
    """Source to its API calls and its identified users of the month."""
    path = f"/headcount/v1/summary?period={quote(str(this_period()))}"
    sources = json.loads(reader.get(path))["data"]["sources"]
    return {
        each["sourceId"]: (each["totals"]["apiCalls"], each["totals"]["identified"])
        for each in sources
    }


def _looked(reader: Client, lanes: dict[str, _Lane], found: Lags) -> None:
    """Take what is visible by now."""
    seen = _seen(reader)
    now_s = time.perf_counter()
    for source, lane in lanes.items():
        calls, users = seen.get(source, (0, 0))
        for what, number, least, lags in (
            ("calls", calls, lane.calls, found.calls),
            ("users", users, lane.users, found.users),
        ):
            if what in lane.waits_for and number >= least:
                lane.waits_for.discard(what)
                lags.append(now_s - lane.acknowledged_s)
        if lane.waits_for and now_s - lane.acknowledged_s > _VISIBLE_WITHIN_S:
            raise BenchError("a message was acknowledged and never became visible")


def _main() -> None:
    tracking, api, named, token, seconds, a_second = json.loads(sys.stdin.readline())
    reader = Client(api, f"Bearer {token}")
    writer = Client(tracking, "")
    lanes = {source: _Lane(write_key) for source, write_key in named}
    for source, (calls, users) in _seen(reader).items():
        if source in lanes:
            lanes[source].calls, lanes[source].users = calls, users
    found = Lags([], [])
    turns = deque(lanes.values())
    began_s = due_s = time.perf_counter()
    while due_s < began_s + seconds or any(lane.waits_for for lane in lanes.values()):
        if due_s <= time.perf_counter() and due_s < began_s + seconds and not turns[0].waits_for:
            lane = turns[0]
            turns.rotate(-1)
            name = str(uuid.uuid4())
            marker = {"messageId": name, "userId": name, "event": "Probed"}
            writer.post("/v1/track", marker, basic(lane.write_key))
            lane.acknowledged_s = time.perf_counter()
            lane.calls, lane.users = lane.calls + 1, lane.users + 1
            lane.waits_for = {"calls", "users"}
            due_s += 1 / a_second
        else:
            _looked(reader, lanes, found)
            time.sleep(_LOOK_EVERY_S)
    print(json.dumps(found))


if __name__ == "__main__":
    _main()
