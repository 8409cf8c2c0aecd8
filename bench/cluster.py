"""`python -m bench.cluster ADDRESS`: what a message costs in a cluster, by part, beside one node.

Takes the address of an engine whose servers run on this machine, and their process ids. The same
load goes to one node without a log and to a cluster of one node by turns, so that whoever else
uses the machine is in both; then markers tell how soon each shows what comes under a steady load;
then a second node begins, the first is killed, and it is told how long until the other counts what
it is sent.

`make engine ENGINE=nats RUN="python -m bench.cluster"` starts servers for it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.freshness import LANES, Lags, SteadyProber
from bench.load import BenchError, Load
from bench.machine import children_of, cpu_seconds, machine_notes, memory_of, whole_cpu_seconds
from bench.report import Row, percentile, tell
from bench.server import Client, Server, Tenant, add_tenant, basic, wait_until
from bench.traffic import Population
from headcount.datafolder import DataFolder

__all__ = ["answers", "headcount_command", "main", "settings_of_nodes"]

_BATCH = 100
_WORKERS = 1
_WITHIN_S = 240.0
_WARM_UP_S = 1.0
_LOOK_EVERY_S = 0.05
_MARKERS_A_SECOND = 20.0
_AFTER_MARKERS_S = 1.0
_TAKE_OVER_AFTER_S = 4


@dataclass(frozen=True, slots=True)
class _Engine:
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


@contextlib.contextmanager
def settings_of_nodes(settings: Mapping[str, str]) -> Iterator[None]:
    """Let programs that are started meanwhile find them in their environment."""
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in settings:
            del os.environ[name]


def headcount_command(*arguments: str) -> None:
    program = Path(sys.executable).with_name("headcount")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(arguments)}: {done.stderr}")


def _by_role(server: Server) -> Counter[str]:
    """Processor time of a server's processes so far, by role."""
    found: Counter[str] = Counter({"supervisor": cpu_seconds(server.pid)})
    for pid, command in children_of(server.pid).items():
        found[command[-1]] += cpu_seconds(pid)  # type: ignore[assignment]
    return found


def answers(server: Server, tenant: Tenant) -> bool:
    """Whether usage can be read: in a cluster, once all partitions have been heard of."""
    with contextlib.closing(server.reader(tenant)) as reader:
        try:
            reader.api_calls()
        except BenchError:
            return False
    return True


class _Side:
    """One side: its server, its load, and what each turn has cost.

    Args:
        scenario: what it is called in the table.
        server: announced.
        tenant: whom the load goes to.
        probed: whom markers go to.
        engine: whose servers' time is its own.
    """

    def __init__(
        self, scenario: str, server: Server, tenant: Tenant, probed: Tenant, engine: _Engine
    ) -> None:
        self.scenario = scenario
        self.server = server
        self._probed = probed
        self._engine = engine
        self._visitors = Population()
        self._load = Load(server.tracking, tenant.write_keys[0], _BATCH, self._visitors)
        wait_until(lambda: answers(server, tenant), _WITHIN_S, "having something to show", 0.5)
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
            *(_WITHIN_S, "counting everything", _LOOK_EVERY_S),
        )

    def turn(self, seconds: float) -> None:
        """Load it for a time, wait until all is counted, and note what that took."""
        before, before_s = _by_role(self.server), self._engine.seconds()
        began_s = time.perf_counter()
        sent = self._load.run(seconds)
        self._until_counted()
        took_s = time.perf_counter() - began_s
        used = _by_role(self.server)
        used.subtract(before)
        costs = {role: each / sent.messages * 1e6 for role, each in sorted(used.items())}
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

    def freshness_rows(self, seconds: float, share: float) -> list[Row]:
        """How soon markers are visible: while nothing else comes, and under a steady load."""
        quiet = SteadyProber(self.server, self._probed, seconds, _MARKERS_A_SECOND).lags()
        rate = share * statistics.median(self.rates)
        prober = SteadyProber(self.server, self._probed, seconds, _MARKERS_A_SECOND)
        sent = self._load.run_steadily(seconds + _AFTER_MARKERS_S, rate)
        busy = prober.lags()
        self._until_counted()
        took = f"{sent.messages / sent.seconds:,.0f} messages/s"
        return [
            *_lag_rows(self.scenario, "quiet", quiet),
            *_lag_rows(self.scenario, f"at {took}", busy),
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
        wait_until(lambda: _is_exact(self._reader, self._visitors), _WITHIN_S, "being exact", 0.1)
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


@contextlib.contextmanager
def _one_node(folder: Path, engine: _Engine) -> Iterator[_Side]:
    data = folder / "alone" / "data"
    data.parent.mkdir()
    tenant, probed = add_tenant(data, "load"), add_tenant(data, "probe", LANES)
    with Server(data, _WORKERS).wait_announced() as server:
        # What the log's servers do meanwhile, they do for the other side.
        yield _Side("One node, no log", server, tenant, probed, _Engine(engine.address, []))


@contextlib.contextmanager
def _cluster(folder: Path, partitions: int, engine: _Engine) -> Iterator[tuple[_Side, _Heir]]:
    first, second = folder / "n1" / "data", folder / "n2" / "data"
    for each in (first, second):
        each.parent.mkdir()
    backups = folder / "backups"
    backups.mkdir()
    tenant, probed = add_tenant(first, "load"), add_tenant(first, "probe", LANES)
    shared = {
        "HEADCOUNT_CLUSTER": engine.address,
        "HEADCOUNT_BACKUPS": str(backups),
        "HEADCOUNT_BACKUP_MINUTES": "1",
    }
    key = folder / "hash.key"
    with settings_of_nodes({**shared, "HEADCOUNT_NODE": "n1"}):
        number = str(partitions)
        headcount_command(
            "cluster", "init", "--data", str(first), "--facts", number, "--keys", number
        )
        shutil.copy(DataFolder(first).hash_key, key)
        server = Server(first, _WORKERS).wait_announced()
    scenario = f"Cluster of one node, {partitions} + {partitions} partitions, {engine.kind}"
    more = {
        **shared,
        "HEADCOUNT_NODE": "n2",
        "HEADCOUNT_HASH_KEY": str(key),
        "HEADCOUNT_TAKE_OVER_AFTER": str(_TAKE_OVER_AFTER_S),
    }
    with server:
        side = _Side(scenario, server, tenant, probed, engine)
        yield side, _Heir(second, more, side, probed)


class _Heir(NamedTuple):
    """The node that takes over at the end.

    Attributes:
        data: its folder.
        settings: its settings.
        side: whose partitions it takes.
        tenant: whom it is sent something for.
    """

    data: Path
    settings: Mapping[str, str]
    side: _Side
    tenant: Tenant

    def takes_over(self) -> Row:
        """How long it needs, once the other is killed."""
        with settings_of_nodes(self.settings):
            heir = Server(self.data, _WORKERS).wait_announced()
        with heir:
            return _taken_over(self.side.scenario, self.side.server, heir, self.tenant)


def _taken_over(scenario: str, server: Server, heir: Server, tenant: Tenant) -> Row:
    """How long the other node needs until it counts what it is sent."""
    writer, reader = Client(heir.tracking, basic(tenant.write_keys[0])), heir.reader(tenant)

    def posted() -> None:
        marker = {"messageId": str(uuid.uuid4()), "userId": "heir", "event": "Posted"}
        writer.post("/v1/track", marker)

    seen = reader.api_calls()
    posted()
    wait_until(lambda: reader.api_calls() > seen, _WITHIN_S, "counting what the other was sent")
    seen = reader.api_calls()
    server.kill()
    began_s = time.perf_counter()
    posted()
    wait_until(lambda: reader.api_calls() > seen, _WITHIN_S, "the other node's take-over")
    took_s = time.perf_counter() - began_s
    asked = f"asked to after {_TAKE_OVER_AFTER_S} s of silence"
    return Row(scenario, "a node is killed, the other counts after", f"{took_s:.1f} s", asked)


def main() -> int:
    """Measure, and print the table.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__)
    parser.add_argument("address", nargs="?", default=os.environ.get("ENGINE_ADDRESS"))
    parser.add_argument("--pids", default=os.environ.get("ENGINE_PIDS", ""), help="of the servers")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each turn")
    parser.add_argument("--turns", type=int, default=7, help="of each side")
    parser.add_argument("--markers", type=int, default=240, help="by which freshness is measured")
    parser.add_argument(
        "--share", type=float, default=0.6, help="of what it can count, the load meanwhile"
    )
    parser.add_argument("--no-takeover", dest="takeover", action="store_false")
    parser.add_argument("--partitions", type=int, default=4, help="of each stage")
    parser.add_argument("--write", action="store_true", help="add the table to bench/results")
    options = parser.parse_args()
    if not options.address:
        parser.error("name the address of an engine")
    engine = _Engine(options.address, [int(each) for each in options.pids.split(",") if each])
    with tempfile.TemporaryDirectory(prefix="headcount-cluster-") as name:
        try:
            rows = _compared(Path(name), engine, options)
        except BenchError as error:
            print(f"The measurement failed: {error}", file=sys.stderr)
            return 1
    loads = " / ".join(f"{each:.1f}" for each in os.getloadavg())
    notes = machine_notes(Path.cwd()) | {"load average over 1, 5 and 15 minutes": loads}
    return tell(rows, notes, write=options.write)


def _compared(folder: Path, engine: _Engine, options: argparse.Namespace) -> list[Row]:
    """Both sides by turns, in one run."""
    with (
        _one_node(folder, engine) as alone,
        _cluster(folder, options.partitions, engine) as (cluster, heir),
    ):
        sides = (alone, cluster)
        for side in sides:
            side.warm_up()
        for _ in range(options.turns):
            for side in sides:
                side.turn(options.seconds)
        by_turns = [
            both[1] / both[0]
            for both in zip(alone.everything_us(), cluster.everything_us(), strict=True)
        ]
        lower = percentile(cluster.everything_us(), 25) / percentile(alone.everything_us(), 25)
        ratio = Row(
            *("Side by side", "a message in the cluster"),
            f"{statistics.median(by_turns):.2f} times one's",
            f"the middle of {len(by_turns)} turns; by their lower quarters {lower:.2f}",
        )
        rows = []
        for side in sides:
            rows += side.cost_rows()
            if options.markers:
                rows += side.freshness_rows(options.markers / _MARKERS_A_SECOND, options.share)
            rows += side.memory_rows()
            side.close()
        if options.takeover:
            rows.append(heir.takes_over())
    return [*rows, ratio]


if __name__ == "__main__":
    sys.exit(main())
