"""One side of a comparison: a server that is loaded by turns, what that costs by part, how soon it
shows what comes.

Takes a server that runs, gives rows of a table. Its load, and the markers that are sent beside it,
are compared with what it counts.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.freshness import MARKERS_A_SECOND, Lags, SteadyProber
from bench.load import BenchError, Load
from bench.machine import (
    children_of,
    cpu_seconds,
    delayed_seconds,
    memory_of,
    whole_cpu_seconds,
)
from bench.report import Row, percentile
from bench.server import Client, Server, Tenant, wait_until
from bench.traffic import Population

__all__ = ["WITHIN_S", "Engine", "Side", "answers"]

WITHIN_S = 240.0
_BATCH = 100
_WARM_UP_S = 1.0
_LOOK_EVERY_S = 0.05
_AFTER_MARKERS_S = 1.0


@dataclass(frozen=True, slots=True)
class Engine:
    """Where the log is, and which processes its servers are."""

    address: str
    pids: Sequence[int]

    @property
    def kind(self) -> str:
        return self.address.partition(":")[0]

    def seconds(self) -> float:
        """Processor time of all server processes so far."""
        total = 0.0
        for pid in self.pids:
            total += whole_cpu_seconds(pid)
            for child in children_of(pid):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    total += cpu_seconds(child)
        return total


def _by_role(server: Server, seconds: Callable[[int], float]) -> dict[str, float]:
    """What the processes of a server that were started for it have used so far, by role."""
    found: defaultdict[str, float] = defaultdict(float)
    for pid, command in children_of(server.pid).items():
        found[command[-1]] += seconds(pid)
    return found


def _cpu_by_role(server: Server) -> dict[str, float]:
    """Processor time of all of a server's processes so far, by role."""
    return {"supervisor": cpu_seconds(server.pid), **_by_role(server, cpu_seconds)}


def _since(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What came to it between two looks, by role."""
    return {role: each - before.get(role, 0.0) for role, each in sorted(after.items())}


def answers(server: Server, tenant: Tenant) -> bool:
    """Whether usage can be read: in a cluster, once all partitions have been heard of."""
    with contextlib.closing(server.reader(tenant)) as reader:
        try:
            reader.api_calls()
        except BenchError:
            return False
    return True


class Side:
    """One side: its server, its load, and what each turn has cost.

    Args:
        scenario: what it is called in the table.
        server: announced.
        tenant: whom the load goes to.
        probed: whom markers go to.
        engine: whose servers' time is its own.
    """

    def __init__(
        self, scenario: str, server: Server, tenant: Tenant, probed: Tenant, engine: Engine
    ) -> None:
        self.scenario = scenario
        self.server = server
        self._probed = probed
        self._engine = engine
        self._visitors = Population()
        self._load = Load(server.tracking, tenant.write_keys[0], _BATCH, self._visitors)
        wait_until(lambda: answers(server, tenant), WITHIN_S, "having something to show", 0.5)
        self._reader = server.reader(tenant)
        self.costs_us: list[dict[str, float]] = []
        self.rates: list[float] = []

    def warm_up(self) -> None:
        """Let everything be loaded that is loaded once."""
        self._load.run(_WARM_UP_S)
        self._until_counted()

    def _until_counted(self) -> None:
        wait_until(
            lambda: self._reader.api_calls() >= self._visitors.messages,
            *(WITHIN_S, "counting everything", _LOOK_EVERY_S),
        )

    def turn(self, seconds: float) -> None:
        """Load it for a time, wait until all is counted, and note what that took."""
        before, before_s = _cpu_by_role(self.server), self._engine.seconds()
        began_s = time.perf_counter()
        sent = self._load.run(seconds)
        self._until_counted()
        took_s = time.perf_counter() - began_s
        used = _since(before, _cpu_by_role(self.server))
        costs = {role: each / sent.messages * 1e6 for role, each in used.items()}
        if self._engine.pids:
            costs["log servers"] = (self._engine.seconds() - before_s) / sent.messages * 1e6
        self.costs_us.append(costs)
        self.rates.append(sent.messages / took_s)

    def everything_us(self) -> list[float]:
        """Processor time a message of each turn."""
        return [sum(costs.values()) for costs in self.costs_us]

    def cost_rows(self) -> list[Row]:
        """What a message costs, by part: the middle of all turns."""
        rows = []
        for role in self.costs_us[0]:
            of_turns = [costs.get(role, 0.0) for costs in self.costs_us]
            rows.append(_cost_row(self.scenario, role, of_turns))
        rows.append(_cost_row(self.scenario, "everything", self.everything_us()))
        rate = statistics.median(self.rates)
        what = "counted until nothing is left"
        return [*rows, Row(self.scenario, what, f"{rate:,.0f} messages/s")]

    def freshness_rows(self, seconds: float, rate: float) -> list[Row]:
        """How soon markers are visible: while nothing else comes, and under a steady load; and for
        how long its processes had no core meanwhile."""
        quiet = SteadyProber(self.server, self._probed, seconds, MARKERS_A_SECOND).lags()
        began_s, before = time.perf_counter(), _by_role(self.server, delayed_seconds)
        prober = SteadyProber(self.server, self._probed, seconds, MARKERS_A_SECOND)
        sent = self._load.run_steadily(seconds + _AFTER_MARKERS_S, rate)
        busy = prober.lags()
        took_s = time.perf_counter() - began_s
        delayed = _since(before, _by_role(self.server, delayed_seconds))
        self._until_counted()
        took = f"{sent.messages / sent.seconds:,.0f} messages/s"
        shares = ", ".join(
            f"{role} {each / took_s:.2f}" for role, each in delayed.items() if each > 0
        )
        return [
            *_lag_rows(self.scenario, "quiet", quiet),
            *_lag_rows(self.scenario, f"at {took}", busy),
            Row(self.scenario, "ready, and without a core, seconds a second", shares),
        ]

    def memory_rows(self) -> list[Row]:
        """What its processes take."""
        return [
            Row(
                *(self.scenario, f"memory of {role} (PSS)"),
                f"{memory_of(pid).pss_bytes / 2**20:.0f} MiB",
            )
            for pid, command in children_of(self.server.pid).items()
            for role in command[-1:]
        ]

    def close(self) -> None:
        """See that everything is exact, and end the connections."""
        # In a cluster ids are counted after messages.
        wait_until(lambda: _is_exact(self._reader, self._visitors), WITHIN_S, "being exact", 0.1)
        self._reader.close()
        self._load.close()


def _cost_row(scenario: str, role: str, of_turns: Sequence[float]) -> Row:
    measured = f"{statistics.median(of_turns):.2f} µs a message"
    lower = f"{percentile(of_turns, 25):.2f} in the lower quarter of turns"
    return Row(scenario, f"processor time, {role}", measured, lower)


def _is_exact(reader: Client, visitors: Population) -> bool:
    try:
        reader.assert_exact(visitors.expected())
    except BenchError:
        return False
    return True


def _lag_rows(scenario: str, name: str, lags: Lags) -> list[Row]:
    return [
        Row(
            *(scenario, f"acknowledged to visible, {name}, {what}, p50 / p99"),
            " / ".join(f"{percentile(each, percent) * 1e3:,.0f}" for percent in (50, 99)) + " ms",
            f"{len(each)} markers, the latest after {max(each) * 1e3:,.0f} ms",
        )
        for what, each in (("API calls", lags.calls), ("tracked users", lags.users))
    ]
