"""`python -m bench.cluster_takeover ADDRESS`: how long nobody counts when who counts has died.

Two nodes, of which one counts all partitions: it is killed, and the time runs from there until what
is then posted to the other one is shown by it. It is started again, and the other is killed: so
often as asked for. Takes the address of an engine; gives the median and the worst.

`make engine ENGINE=nats RUN="python -m bench.cluster_takeover"` starts servers for it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import uuid
from functools import partial
from pathlib import Path

from bench.cluster import headcount_command, settings_of_nodes
from bench.load import BenchError
from bench.machine import machine_notes
from bench.report import Row, percentile, tell
from bench.server import Client, Server, Tenant, add_tenant, basic, wait_until
from bench.sides import answers
from headcount.datafolder import DataFolder

__all__ = ["main"]

_WITHIN_S = 240.0


class _Node:
    """A node that is killed and started again."""

    def __init__(self, folder: Path, name: str, shared: dict[str, str]) -> None:
        self.data = folder / name / "data"
        self.data.parent.mkdir()
        self.settings = {**shared, "HEADCOUNT_NODE": name}

    def start(self) -> None:
        with settings_of_nodes(self.settings):
            self.server = Server(self.data, 1).wait_announced()

    def counts(self, tenant: Tenant) -> float:
        """Seconds from now until a message that is posted here is shown here."""
        writer = Client(self.server.tracking, basic(tenant.write_keys[0]))
        reader = self.server.reader(tenant)
        began_s = time.perf_counter()
        seen = reader.api_calls()
        posted = {"messageId": str(uuid.uuid4()), "userId": "u", "event": "Posted"}
        writer.post("/v1/track", posted)
        wait_until(lambda: reader.api_calls() > seen, _WITHIN_S, "counting what was posted")
        reader.close()
        return time.perf_counter() - began_s


def _times_s(folder: Path, address: str, partitions: int, after_s: int, times: int) -> list[float]:
    backups = folder / "backups"
    backups.mkdir()
    shared = {
        "HEADCOUNT_CLUSTER": address,
        "HEADCOUNT_BACKUPS": str(backups),
        "HEADCOUNT_BACKUP_MINUTES": "1",
        "HEADCOUNT_TAKE_OVER_AFTER": str(after_s),
    }
    first, second = _Node(folder, "n1", shared), _Node(folder, "n2", shared)
    tenant = add_tenant(first.data, "probe")
    number = str(partitions)
    with settings_of_nodes(first.settings):
        headcount_command(
            *("cluster", "init", "--data", str(first.data), "--facts", number, "--keys", number)
        )
    key = folder / "hash.key"
    shutil.copy(DataFolder(first.data).hash_key, key)
    second.settings["HEADCOUNT_HASH_KEY"] = str(key)
    first.start()
    try:
        second.start()
        for node in (first, second):
            server = node.server
            wait_until(partial(answers, server, tenant), _WITHIN_S, "having something to show")
        wait_until(
            lambda: len(list(backups.glob("*/*/*/backup.json"))) >= 2 * partitions,
            _WITHIN_S,
            "the first backups",
        )
        took_s = []
        for _ in range(times):
            second.counts(tenant)
            first.server.kill()
            took_s.append(second.counts(tenant))
            print(f"  {took_s[-1]:.1f} s", flush=True)
            first.start()
            first.counts(tenant)
            first, second = second, first
        return took_s
    finally:
        for node in (first, second):
            if hasattr(node, "server"):
                node.server.kill()


def main() -> int:
    """Measure, and print the table.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.cluster_takeover", description=__doc__)
    parser.add_argument("address", nargs="?", default=os.environ.get("ENGINE_ADDRESS"))
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--after", type=int, default=4, help="seconds of silence")
    parser.add_argument("--partitions", type=int, default=4, help="of each stage")
    parser.add_argument("--write", action="store_true", help="add the table to bench/results")
    options = parser.parse_args()
    if not options.address:
        parser.error("name the address of an engine")
    kind = options.address.partition(":")[0]
    with tempfile.TemporaryDirectory(prefix="headcount-takeover-") as name:
        try:
            took_s = _times_s(
                Path(name), options.address, options.partitions, options.after, options.times
            )
        except BenchError as error:
            print(f"The measurement failed: {error}", file=sys.stderr)
            return 1
    scenario = f"Two nodes, {options.partitions} + {options.partitions} partitions, {kind}"
    figures = f"{percentile(took_s, 50):.1f} / {max(took_s):.1f} s"
    beside = f"{len(took_s)} times, asked to after {options.after} s of silence"
    rows = [Row(scenario, "killed until the other one counts, median / worst", figures, beside)]
    notes = machine_notes(Path.cwd())
    notes["load of the machine meanwhile"] = f"{os.getloadavg()[1]:.0f}"
    return tell(rows, notes, write=options.write)


if __name__ == "__main__":
    sys.exit(main())
