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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.freshness import LANES, MARKERS_A_SECOND
from bench.load import BenchError
from bench.machine import machine_notes
from bench.report import Row, percentile, tell
from bench.server import Client, Server, Tenant, add_tenant, basic, wait_until
from bench.sides import WITHIN_S, Engine, Side
from headcount.datafolder import DataFolder

__all__ = ["headcount_command", "main", "settings_of_nodes"]

_WORKERS = 1
_TAIL = 2_000
_TAKE_OVER_AFTER_S = 4


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


@contextlib.contextmanager
def _one_node(folder: Path, engine: Engine) -> Iterator[Side]:
    data = folder / "alone" / "data"
    data.parent.mkdir()
    tenant, probed = add_tenant(data, "load"), add_tenant(data, "probe", LANES)
    with Server(data, _WORKERS).wait_announced() as server:
        # What the log's servers do meanwhile, they do for the other side.
        yield Side("One node, no log", server, tenant, probed, Engine(engine.address, []))


@contextlib.contextmanager
def _cluster(folder: Path, partitions: int, engine: Engine) -> Iterator[tuple[Side, _Heir]]:
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
        side = Side(scenario, server, tenant, probed, engine)
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
    side: Side
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
    wait_until(lambda: reader.api_calls() > seen, WITHIN_S, "counting what the other was sent")
    seen = reader.api_calls()
    server.kill()
    began_s = time.perf_counter()
    posted()
    wait_until(lambda: reader.api_calls() > seen, WITHIN_S, "the other node's take-over")
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
        "--share", type=float, default=0.6, help="of what both can count, the load meanwhile"
    )
    parser.add_argument("--no-takeover", dest="takeover", action="store_false")
    parser.add_argument("--partitions", type=int, default=4, help="of each stage")
    parser.add_argument("--write", action="store_true", help="add the table to bench/results")
    options = parser.parse_args()
    if not options.address:
        parser.error("name the address of an engine")
    engine = Engine(options.address, [int(each) for each in options.pids.split(",") if each])
    with tempfile.TemporaryDirectory(prefix="headcount-cluster-") as name:
        try:
            rows = _compared(Path(name), engine, options)
        except BenchError as error:
            print(f"The measurement failed: {error}", file=sys.stderr)
            for log in sorted(Path(name).glob("*/serve.log")):
                print(f"{log}:\n{log.read_text()[-_TAIL:]}", file=sys.stderr)
            return 1
    loads = " / ".join(f"{each:.1f}" for each in os.getloadavg())
    notes = machine_notes(Path.cwd()) | {"load average over 1, 5 and 15 minutes": loads}
    return tell(rows, notes, write=options.write)


def _compared(folder: Path, engine: Engine, options: argparse.Namespace) -> list[Row]:
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
        rate = options.share * min(statistics.median(side.rates) for side in sides)
        for side in sides:
            rows += side.cost_rows()
            if options.markers:
                rows += side.freshness_rows(options.markers / MARKERS_A_SECOND, rate)
            rows += side.memory_rows()
            side.close()
        if options.takeover:
            rows.append(heir.takes_over())
    return [*rows, ratio]


if __name__ == "__main__":
    sys.exit(main())
