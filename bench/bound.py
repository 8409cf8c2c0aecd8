"""`python -m bench.bound`: what a request costs, beside what it would cost anybody.

Starts a real server with one worker and four bounds (`bench.bare`): a bare application under
Headcount's HTTP stack, the same under uvicorn as it comes, and nothing but a protocol on the same
parser, which keep nothing; and the first with what came written to a file that is synced before the
answers. Posts to all of them in turns, over connections that are kept: single messages with the
same head each time, as a client of its own sends them; single messages of many clients, as a proxy
does; batches. Gives the processor time of each process for a message: the lower quartile and the
median of all turns, since neighbours only ever add to it, and how many messages a commit of the
server shared. The meter is paused meanwhile. With several numbers of connections, all is measured
with each of them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from bench.bare import bare_servers
from bench.load import CONNECTIONS, BenchError, Load
from bench.machine import machine_notes, run_seconds
from bench.report import Row, percentile, tell
from bench.server import Server, add_tenant, wait_until
from bench.traffic import Population

__all__ = ["main"]

# How many messages a request has, and whether each is of another client of one proxy.
_SHAPES = {
    "single posts": (1, False),
    "single posts of many clients behind a proxy": (1, True),
    "batches of 100": (100, False),
}
_WARM_UP_S = 0.5
_COUNTED_WITHIN_S = 120.0
_DURABLE = "acknowledged and durable"


def _measured(stack: ExitStack, folder: Path, options: argparse.Namespace) -> list[Row]:
    data = folder / "data"
    tenant, visitors = add_tenant(data, "load"), Population()
    server = stack.enter_context(Server(data, 1).wait_announced())
    server.signal_meter(SIGSTOP)
    stack.callback(server.signal_meter, SIGCONT)
    plain_url, plain_pids = stack.enter_context(bare_servers(1, how="plain"))
    stock_url, stock_pids = stack.enter_context(bare_servers(1, how="stock"))
    bare_url, bare_pids = stack.enter_context(bare_servers(1))
    kept_url, kept_pids = stack.enter_context(bare_servers(1, log=folder / "kept"))
    sides = {
        "nothing but a protocol": (plain_url, plain_pids[0]),
        "a bare application under uvicorn as it comes": (stock_url, stock_pids[0]),
        "a bare application": (bare_url, bare_pids[0]),
        "a bare application that syncs": (kept_url, kept_pids[0]),
        _DURABLE: (server.tracking, server.pids("intake")[0]),
    }
    shapes = [
        (f"{name}, {connections} connections", size, proxied, connections)
        for name, (size, proxied) in _SHAPES.items()
        for connections in options.connections
        if size == 1 or not options.singles
    ]
    rows = []
    for name, size, proxied, connections in shapes:
        loads = {
            side: Load(
                url,
                tenant.write_keys[0],
                size,
                visitors if side == _DURABLE else Population(),
                connections,
                proxied=proxied,
            )
            for side, (url, _) in sides.items()
        }
        costs_us: dict[str, list[float]] = {side: [] for side in sides}
        generator_us: list[float] = []
        for load in loads.values():
            load.run(_WARM_UP_S)
        before = visitors.messages, _commits(server)
        for turn in range(options.turns):
            for side in list(sides)[:: -1 if turn % 2 else 1]:
                before_s = run_seconds(sides[side][1])
                sent = loads[side].run(options.seconds)
                used_s = run_seconds(sides[side][1]) - before_s
                costs_us[side].append(used_s / sent.messages * 1e6)
                generator_us.append(sent.cpu_s / sent.messages * 1e6)
        for load in loads.values():
            load.close()
        shared = (visitors.messages - before[0]) / (_commits(server) - before[1])
        rows += _rows(name, costs_us, percentile(generator_us, 25))
        rows.append(Row(f"Processor time: {name}", "a commit", f"shared by {shared:.0f} messages"))
    server.signal_meter(SIGCONT)
    with closing(server.reader(tenant)) as reader:

        def counted() -> bool:
            return reader.api_calls() >= visitors.messages

        wait_until(counted, _COUNTED_WITHIN_S, "metering everything")
        reader.assert_exact(visitors.expected())
    return rows


def _commits(server: Server) -> float:
    """How often the server has made something durable in its journals."""
    return server.metrics("headcount_commit_seconds_count")['to="journal"']


def _rows(name: str, costs_us: dict[str, list[float]], generator_us: float) -> list[Row]:
    rows = []
    durable = percentile(costs_us[_DURABLE], 25)
    for side, each in costs_us.items():
        quarter = percentile(each, 25)
        beside = ""
        if side != _DURABLE:
            share = quarter / durable
            # As a rate would be, on cores that server and generator fill between them.
            by_rate = (quarter + generator_us) / (durable + generator_us)
            beside = f"{share:.0%} of durable; {by_rate:.0%} with the generator's part"
        measured = f"{quarter:.2f} µs a message (median {statistics.median(each):.2f})"
        rows.append(Row(f"Processor time: {name}", side, measured, beside))
    return [*rows, Row(f"Processor time: {name}", "generator", f"{generator_us:.2f} µs a message")]


def main() -> int:
    """Measure, and print the table.

    Returns:
        The exit status: 1 when anything was refused, or a count was not exact.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.bound", description=__doc__)
    parser.add_argument("--turns", type=int, default=15, help="of each side and size")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a turn")
    parser.add_argument("--connections", type=int, nargs="+", default=[CONNECTIONS])
    parser.add_argument("--singles", action="store_true", help="no batches")
    parser.add_argument("--write", action="store_true", help="keep the table, dated")
    options = parser.parse_args()
    # Where hashes of texts fall makes a few hundredths.
    os.environ["PYTHONHASHSEED"] = "0"
    with tempfile.TemporaryDirectory(prefix="headcount-bound-") as name, ExitStack() as stack:
        folder = Path(name)
        notes = machine_notes(folder) | {"load average": f"{os.getloadavg()[0]:.1f}"}
        try:
            rows = _measured(stack, folder, options)
        except BenchError as error:
            print(f"The measurement failed: {error}", file=sys.stderr)
            return 1
    return tell(rows, notes, write=options.write)


if __name__ == "__main__":
    sys.exit(main())
