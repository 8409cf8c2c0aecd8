"""`python -m bench.forward`: what it costs to forward a message, beside one that is only counted.

One server with one worker and two sources, of which one forwards to a vendor on loopback that takes
everything at once; posts to both in turns, batches and then single messages. Gives the processor
time of the intake process a message on either side and their ratio, that of the process which
delivers, and how many messages a second it delivers; at the end the vendor must hold what was
acknowledged, and the counts must be exact. Time on a clock would measure whoever else uses the
machine, so only delivery is given by it.
"""

from __future__ import annotations

import argparse
import http.server
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

from bench.load import CONNECTIONS, BenchError, Load
from bench.machine import machine_notes, run_seconds
from bench.report import Row, tell
from bench.server import Server, add_tenant, wait_until
from bench.traffic import Population

__all__ = ["forwarding_cost", "main"]

_SIZES = (100, 1)
_WARM_UP_S = 0.3
_DELIVERED_WITHIN_S = 120.0


class _Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes, of which the second would wait for word of the first.
    disable_nagle_algorithm = True
    messages = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        _Sink.messages += body.count(b'"messageId"')
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def _vendor(told: Connection) -> None:
    """A vendor, until the other end asks for the last time."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    server.timeout = 0.02
    told.send(server.server_port)
    while True:
        server.handle_request()
        if told.poll():
            if not told.recv():
                return
            told.send(_Sink.messages)


def forwarding_cost(folder: Path, turns: int, seconds: float) -> list[Row]:
    """Measure it.

    Args:
        folder: for temporary data.
        turns: of each side and size.
        seconds: length of one.

    Raises:
        BenchError: something was refused, lost or miscounted.
    """
    data = folder / "forwarding"
    tenant = add_tenant(data, "load", sources=2)
    ours, theirs = multiprocessing.Pipe()
    vendor = multiprocessing.get_context("spawn").Process(target=_vendor, args=(theirs,))
    vendor.start()
    try:
        url = f"http://127.0.0.1:{ours.recv()}"
        _forward(data, url)
        rows: list[Row] = []
        with Server(data, 1).wait_announced() as server:
            wait_until(lambda: bool(server.pids("forward")), 30, "the process that forwards")
            counted, sent = Population(), 0
            for size in _SIZES:
                loads = [
                    Load(server.tracking, key, size, counted, CONNECTIONS)
                    for key in tenant.write_keys
                ]
                sent += sum(load.run(_WARM_UP_S).messages for load in loads[:1])
                loads[1].run(_WARM_UP_S)
                more, messages = _in_turns(server, loads, size, turns, seconds)
                sent += messages
                rows += more
                for load in loads:
                    load.close()
            began_s, begun = time.monotonic(), _held(ours)
            wait_until(lambda: _held(ours) >= sent, _DELIVERED_WITHIN_S, "delivering the rest")
            took_s = max(time.monotonic() - began_s, 1e-9)
            if sent - begun > 1000:
                rate = f"{(sent - begun) / took_s:,.0f}/s"
                rows.append(Row("Forwarding", "delivered, batches and single posts", rate))
            reader = server.reader(tenant)
            wait_until(
                lambda: reader.api_calls() >= counted.messages, _DELIVERED_WITHIN_S, "metering"
            )
            reader.assert_exact(counted.expected())
            reader.close()
            if _held(ours) != sent:
                raise BenchError(f"{sent:,} were acknowledged, the vendor holds {_held(ours):,}")
        return rows
    finally:
        ours.send(False)
        vendor.join(10)
        vendor.kill()


def _forward(data: Path, url: str) -> None:
    from headcount.catalog import Catalog
    from headcount.layout import DataFolder

    with Catalog(DataFolder(data).catalog) as catalog:
        [first, *_] = catalog.sources()
        catalog.set_forwarding(first.number, url, "key", "refuse", 0, by_token=False)


def _held(ours: Connection) -> int:
    ours.send(True)
    return int(ours.recv())


def _in_turns(
    server: Server, loads: list[Load], size: int, turns: int, seconds: float
) -> tuple[list[Row], int]:
    [intake], [forward] = server.pids("intake"), server.pids("forward")
    costs: list[list[float]] = [[], []]
    delivering, messages = 0.0, 0
    server.signal_meter(SIGSTOP)
    try:
        for turn in range(turns):
            for side in (0, 1) if turn % 2 else (1, 0):
                before_s, forward_s = run_seconds(intake), run_seconds(forward)
                sent = loads[side].run(seconds)
                costs[side].append((run_seconds(intake) - before_s) / sent.messages * 1e6)
                if not side:
                    messages += sent.messages
                delivering += run_seconds(forward) - forward_s
    finally:
        server.signal_meter(SIGCONT)
    ratio = statistics.median(a / b for a, b in zip(*costs, strict=True))
    name = f"{size} a request" if size > 1 else "single posts"
    forwarded, plain = (statistics.median(each) for each in costs)
    return [
        Row(
            "Forwarding", f"{name}: intake, forwarded", f"{forwarded:.1f} µs", f"{ratio:.2f} times"
        ),
        Row("Forwarding", f"{name}: intake, only counted", f"{plain:.1f} µs", "1"),
        Row("Forwarding", f"{name}: delivering", f"{delivering / messages * 1e6:.1f} µs"),
    ], messages


def main() -> int:
    """Measure, and print the table.

    Returns:
        The exit status: 1 when something was refused, lost or miscounted.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.forward", description=__doc__)
    parser.add_argument("--turns", type=int, default=9, help="of each side and size")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a turn")
    parser.add_argument("--write", action="store_true", help="add the table to bench/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headcount-forward-") as name:
        try:
            rows = forwarding_cost(Path(name), options.turns, options.seconds)
        except (BenchError, subprocess.CalledProcessError) as error:
            print(f"The measurement failed: {error}", file=sys.stderr)
            return 1
        return tell(rows, machine_notes(Path(name)), write=options.write)


if __name__ == "__main__":
    sys.exit(main())
