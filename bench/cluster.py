"""`python -m bench.cluster ADDRESS`: what a message costs in a cluster, by part, beside one node.

Takes the address of an engine whose servers run on this machine, and their process ids. The same
load goes to one node without a log and to a cluster of one node, in one run; then two nodes, of
which one is killed: how long until the other counts what it is sent.

`make engine ENGINE=nats RUN="python -m bench.cluster"` starts servers for it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.load import BenchError, Load
from bench.machine import children_of, cpu_seconds, machine_notes, memory_of, whole_cpu_seconds
from bench.probe import Prober
from bench.report import Row, percentile, tell
from bench.server import Client, Server, Tenant, add_tenant, basic, wait_until
from bench.traffic import Population
from headcount.datafolder import DataFolder

__all__ = ["answers", "headcount_command", "main", "settings_of_nodes"]

_BATCH = 100
_WORKERS = 1
_WITHIN_S = 240.0
_WARM_UP_S = 1.0
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


def _measured(
    scenario: str, server: Server, tenant: Tenant, probed: Tenant, seconds: float, engine: _Engine
) -> tuple[list[Row], float]:
    """Rows of one side, and its processor time a message in microseconds."""
    visitors = Population()
    load = Load(server.tracking, tenant.write_keys[0], _BATCH, visitors)
    wait_until(lambda: answers(server, tenant), _WITHIN_S, "having something to show", 0.5)
    reader = server.reader(tenant)

    def counted() -> bool:
        return reader.api_calls() >= visitors.messages

    load.run(_WARM_UP_S)
    wait_until(counted, _WITHIN_S, "counting what it was warmed up with")
    quiet_s = Prober(server, probed, seconds).lags_s()
    before, before_s = _by_role(server), engine.seconds()
    began_s = time.perf_counter()
    sent = load.run(seconds)
    wait_until(counted, _WITHIN_S, "counting everything")
    took_s = time.perf_counter() - began_s
    used = _by_role(server)
    used.subtract(before)
    costs = {role: each / sent.messages * 1e6 for role, each in sorted(used.items())}
    costs["log servers"] = (engine.seconds() - before_s) / sent.messages * 1e6
    busy_s = _busy_lags(server, load, probed, seconds)
    wait_until(counted, _WITHIN_S, "counting the rest")
    # In a cluster ids are counted after messages.
    wait_until(lambda: _is_exact(reader, visitors), _WITHIN_S, "being exact")
    reader.close()
    load.close()
    rows = [
        Row(scenario, f"processor time, {role}", f"{cost:.2f} µs a message")
        for role, cost in costs.items()
    ]
    rows += [
        Row(scenario, "processor time, everything", f"{sum(costs.values()):.2f} µs a message"),
        Row(scenario, "counted until nothing is left", f"{sent.messages / took_s:,.0f} messages/s"),
        _lag_row(scenario, "acknowledged to visible, quiet", quiet_s),
        _lag_row(scenario, "acknowledged to visible, under load", busy_s),
        *(
            Row(scenario, f"memory of {role} (PSS)", f"{memory_of(pid).pss_bytes / 2**20:.0f} MiB")
            for pid, command in children_of(server.pid).items()
            for role in command[-1:]
        ),
    ]
    return rows, sum(costs.values())


def _is_exact(reader: Client, visitors: Population) -> bool:
    try:
        reader.assert_exact(visitors.expected())
    except BenchError:
        return False
    return True


def _busy_lags(server: Server, load: Load, probed: Tenant, seconds: float) -> list[float]:
    prober = Prober(server, probed, seconds)
    load.run(seconds)
    return prober.lags_s()


def _lag_row(scenario: str, name: str, lags_s: Sequence[float]) -> Row:
    middle, late = (percentile(lags_s, percent) * 1e3 for percent in (50, 99))
    return Row(scenario, f"{name}, p50 / p99", f"{middle:,.0f} / {late:,.0f} ms", f"{len(lags_s)}")


def _one_node(folder: Path, seconds: float, engine: _Engine) -> tuple[list[Row], float]:
    data = folder / "alone" / "data"
    data.parent.mkdir()
    tenant, probed = add_tenant(data, "load"), add_tenant(data, "probe")
    with Server(data, _WORKERS).wait_announced() as server:
        return _measured("One node, no log", server, tenant, probed, seconds, engine)


def _cluster(
    folder: Path, seconds: float, partitions: int, engine: _Engine
) -> tuple[list[Row], float]:
    first, second = folder / "n1" / "data", folder / "n2" / "data"
    for each in (first, second):
        each.parent.mkdir()
    backups = folder / "backups"
    backups.mkdir()
    tenant, probed = add_tenant(first, "load"), add_tenant(first, "probe")
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
    with server:
        scenario = f"Cluster of one node, {partitions} + {partitions} partitions, {engine.kind}"
        rows, cost_us = _measured(scenario, server, tenant, probed, seconds, engine)
        more = {
            "HEADCOUNT_NODE": "n2",
            "HEADCOUNT_HASH_KEY": str(key),
            "HEADCOUNT_TAKE_OVER_AFTER": str(_TAKE_OVER_AFTER_S),
        }
        with settings_of_nodes({**shared, **more}):
            heir = Server(second, _WORKERS).wait_announced()
        with heir:
            rows.append(_taken_over(scenario, server, heir, probed))
        return rows, cost_us


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
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each stretch")
    parser.add_argument("--partitions", type=int, default=4, help="of each stage")
    parser.add_argument("--write", action="store_true", help="add the table to bench/results")
    options = parser.parse_args()
    if not options.address:
        parser.error("name the address of an engine")
    engine = _Engine(options.address, [int(each) for each in options.pids.split(",") if each])
    with tempfile.TemporaryDirectory(prefix="headcount-cluster-") as name:
        folder = Path(name)
        try:
            alone, alone_us = _one_node(folder, options.seconds, engine)
            rows, cost_us = _cluster(folder, options.seconds, options.partitions, engine)
        except BenchError as error:
            print(f"The measurement failed: {error}", file=sys.stderr)
            return 1
    ratio = Row("Side by side", "a message in the cluster", f"{cost_us / alone_us:.2f} times one's")
    return tell([*alone, *rows, ratio], machine_notes(Path.cwd()), write=options.write)


if __name__ == "__main__":
    sys.exit(main())
