"""`python -m bench.overload`: what a flooded source does to a modest one beside it.

Measures what the server carries of one source, then offers it 1, 2, 4 and 8 times as much, by
clients that heed no Retry-After, while another source posts single messages now and then. Prints
what was taken and refused, how long the modest source waited, calm and meanwhile, how soon
`/healthz` answered, and the memory of each process; refuses a count that is not exactly what was
acknowledged. The generator shares the cores, so what it could offer is stated, not assumed.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.load import BenchError, Load, _Connection
from bench.machine import Neighbours, machine_notes
from bench.report import Row, percentile, tell
from bench.server import Server, Tenant, add_tenant, basic, wait_until
from bench.traffic import Population, Request

__all__ = ["main"]

_WORKERS = 2
_TIMES = (1, 2, 4, 8)
_MESSAGES_A_REQUEST = 100
_CONNECTIONS, _CONNECTIONS_MAX = 32, 256
_EVERY_S = 0.05
# The generators share the cores with the server, and shall be seen to wait for it and not for one
# another: whoever measures comes first, and whoever floods comes last.
_MODEST_NICENESS, _FLOOD_NICENESS = -10, 10
# 503 where parts of bodies take too much room, closed where a refusal did not wait for the body.
_EXPECTED = {"200", "429", "503", "closed"}
_HEALTH_EVERY = 5
_COUNTED_WITHIN_S = 60.0


class _FloodConnection(_Connection):
    """One whose answers may be refusals, also before its request is sent whole."""

    def status(self) -> str | None:
        """The status of the answer, once it is whole; "closed" where the server hung up."""
        try:
            if self.unsent:
                self.push()
            chunk = self.socket.recv(65_536)
        except BlockingIOError:
            return None
        except OSError:
            chunk = b""
        self.answer += chunk
        if self.answer.endswith(b"}"):
            return self.answer[9:12].decode()
        return None if chunk else "closed"


def _flood(url: str, write_key: str, requests_per_s: float, seconds: float) -> dict[str, int]:
    """Send at a rate for a time, as far as connections are free; statuses to requests."""
    os.nice(_FLOOD_NICENESS)
    place = urlsplit(url)
    host, port = str(place.hostname), int(place.port or 0)
    visitors = Population()
    wanted = min(_CONNECTIONS_MAX, max(_CONNECTIONS, round(requests_per_s / 20)))
    requests = [Request(write_key, _MESSAGES_A_REQUEST, visitors) for _ in range(wanted)]
    free = [_FloodConnection(host, port, request) for request in requests]
    statuses: dict[str, int] = {}
    began_s = time.perf_counter()
    due = 0.0
    with selectors.DefaultSelector() as selector:
        busy = 0
        while True:
            passed_s = time.perf_counter() - began_s
            if passed_s >= seconds and not busy:
                return statuses
            # What could not be sent in time is not made up for later.
            due = max(due, passed_s * requests_per_s - wanted)
            while free and passed_s < seconds and due < passed_s * requests_per_s:
                due += 1
                connection = free.pop()
                connection.begin()
                selector.register(connection.socket, _both(connection), connection)
                busy += 1
            for key, _ in selector.select(0.002):
                connection = key.data
                if (status := connection.status()) is not None:
                    statuses[status] = statuses.get(status, 0) + 1
                    selector.unregister(connection.socket)
                    busy -= 1
                    if connection.unsent or status == "closed":
                        connection.socket.close()
                        connection = _FloodConnection(host, port, connection.request)
                    connection.answer = b""
                    free.append(connection)
                elif key.events != (wanted_events := _both(connection)):
                    selector.modify(connection.socket, wanted_events, connection)


def _both(connection: _Connection) -> int:
    """A refusal may come before a request is sent whole."""
    return selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)


def _modest(tracking: str, api: str, write_key: str, seconds: float) -> dict[str, list[float]]:
    """Post a message now and then; times of what was taken and refused, and of `/healthz`."""
    with contextlib.suppress(PermissionError):  # else it waits for the processor as all do
        os.nice(_MODEST_NICENESS)
    writer = http.client.HTTPConnection(urlsplit(tracking).netloc, timeout=60)
    reader = http.client.HTTPConnection(urlsplit(api).netloc, timeout=60)
    headers = {"Authorization": basic(write_key)}
    found: dict[str, list[float]] = {"taken": [], "refused": [], "health": []}
    began_s = time.perf_counter()
    number = 0
    while (passed_s := time.perf_counter() - began_s) < seconds:
        number += 1
        body = json.dumps({"userId": f"modest {number}", "messageId": f"{began_s} {number}"})
        status, took_s = _timed(writer, "POST", "/v1/page", body, headers)
        found["taken" if status == 200 else "refused"].append(took_s)
        if number % _HEALTH_EVERY == 0:
            asked = writer if number % (2 * _HEALTH_EVERY) else reader
            status, took_s = _timed(asked, "GET", "/healthz", None, {})
            if status != 200:
                raise BenchError(f"/healthz was answered {status}")
            found["health"].append(took_s)
        time.sleep(max(0.0, _EVERY_S - (time.perf_counter() - began_s - passed_s)))
    return found


def _timed(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: str | None,
    headers: dict[str, str],
) -> tuple[int, float]:
    began_s = time.perf_counter()
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status, time.perf_counter() - began_s


def _started(name: str, *task: object) -> subprocess.Popen[str]:
    """A process of its own, so that neither waits for the other."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.overload", name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(json.dumps(task) + "\n")
    process.stdin.flush()
    return process


def _said(process: subprocess.Popen[str]) -> Any:
    text, _ = process.communicate()
    if process.returncode != 0:
        raise BenchError("a process of the benchmark failed; what it said stands above")
    return json.loads(text)


def _capacity(server: Server, tenant: Tenant, seconds: float) -> tuple[float, int]:
    """Messages a second that are acknowledged of one source, and how many those were."""
    load = Load(server.tracking, tenant.write_keys[0], _MESSAGES_A_REQUEST, Population())
    warm, sent = load.run(1.0), load.run(seconds)
    load.close()
    return sent.messages / sent.seconds, warm.messages + sent.messages


def _commits(server: Server) -> tuple[float, float]:
    """How many commits to journals there were, and how many seconds they took, by the server."""
    place = urlsplit(server.api)
    asked = http.client.HTTPConnection(place.netloc, timeout=60)
    asked.request("GET", "/metrics")
    lines = asked.getresponse().read().decode().splitlines()
    asked.close()
    found = {}
    for part in ("count", "sum"):
        name = f'headcount_commit_seconds_{part}{{to="journal"}} '
        [found[part]] = [float(line.removeprefix(name)) for line in lines if line.startswith(name)]
    return found["count"], found["sum"]


def _mean(before: tuple[float, float], after: tuple[float, float]) -> float:
    return (after[1] - before[1]) / max(1.0, after[0] - before[0])


def _times(latencies_s: list[float]) -> str:
    return " / ".join(f"{1000 * percentile(latencies_s, part):.1f}" for part in (50, 95, 99))


def _measured(server: Server, flooded: Tenant, modest: Tenant, seconds: float) -> list[Row]:
    per_s, acknowledged = _capacity(server, flooded, seconds)
    rows = [
        Row("Capacity", "one source, batches of 100", f"{per_s:,.0f} messages/s"),
    ]
    task = (server.tracking, server.api, modest.write_keys[0])
    calm = _said(_started("modest", *task, seconds))
    posted = len(calm["taken"])
    calm_p95_s = percentile(calm["taken"], 95)
    rows.append(Row("Calm", "the modest source, p50 / p95 / p99", f"{_times(calm['taken'])} ms"))
    for times in _TIMES:
        rate = times * per_s / _MESSAGES_A_REQUEST
        before = _commits(server)
        flood = _started("flood", server.tracking, flooded.write_keys[0], rate, seconds + 1)
        time.sleep(0.5)
        beside = _said(_started("modest", *task, seconds))
        memory = ", ".join(
            f"{role} {server.memory(role).pss_bytes / 2**20:.0f}"
            for role in ("intake", "meter", "api", "supervisor")
        )
        statuses = _said(flood)
        commit_s = _mean(before, _commits(server))
        acknowledged += statuses.get("200", 0) * _MESSAGES_A_REQUEST
        posted += len(beside["taken"])
        rows += _rows(times, statuses, beside, seconds + 1, calm_p95_s, memory, commit_s)
    _wait_for_exactly(server, flooded, acknowledged, "what was acknowledged")
    _wait_for_exactly(server, modest, posted, "what the modest source sent")
    return rows


def _wait_for_exactly(server: Server, tenant: Tenant, messages: int, what: str) -> None:
    """Wait until a workspace's usage is just that.

    Raises:
        BenchError: it is not in time.
    """
    with contextlib.closing(server.reader(tenant)) as reader:

        def counted() -> bool:
            return reader.api_calls() == messages

        wait_until(counted, _COUNTED_WITHIN_S, f"counting exactly {what}")


def _rows(
    times: int,
    statuses: dict[str, int],
    beside: dict[str, list[float]],
    seconds: float,
    calm_p95_s: float,
    memory: str,
    commit_s: float,
) -> list[Row]:
    scenario = f"{times} times capacity from one source"
    offered = sum(statuses.values())
    refused = offered - statuses.get("200", 0)
    per_s = _MESSAGES_A_REQUEST / seconds
    others = {
        status: n for status, n in statuses.items() if status not in ("200", "429", "503", "closed")
    }
    if others:
        raise BenchError(f"the flood was answered {others}")
    ratio = percentile(beside["taken"], 95) / calm_p95_s
    asked = len(beside["taken"]) + len(beside["refused"])
    return [
        Row(scenario, "offered", f"{offered * per_s:,.0f} messages/s"),
        Row(scenario, "goodput", f"{(offered - refused) * per_s:,.0f} messages/s"),
        Row(scenario, "answered 429 or 503", f"{refused / max(offered, 1):.0%}"),
        Row(
            scenario,
            "the modest source, p50 / p95 / p99",
            f"{_times(beside['taken'])} ms",
            f"{ratio:.1f} of its calm p95; {len(beside['refused'])} of {asked} refused",
            "≤ 5 of its calm p95",
        ),
        Row(scenario, "a commit to a journal, mean", f"{1000 * commit_s:.1f} ms"),
        Row(scenario, "/healthz, longest", f"{1000 * max(beside['health']):.0f} ms"),
        Row(scenario, "memory (PSS)", f"{memory} MiB"),
    ]


def main() -> int:
    """Run the measurement.

    Returns:
        The exit status: 1 when a count was not exact or an answer was neither 200 nor 429.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="length of each part")
    parser.add_argument("--write", action="store_true", help="keep the table, dated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headcount-bench-") as name:
        folder = Path(name)
        notes = machine_notes(folder)
        neighbours = Neighbours()
        data = folder / "data"
        flooded, modest = add_tenant(data, "flooded"), add_tenant(data, "modest")
        try:
            with Server(data, _WORKERS) as server:
                server.wait_announced()
                rows = _measured(server, flooded, modest, options.seconds)
        except BenchError as error:
            print(f"The measurement failed: {error}", file=sys.stderr)
            return 1
        notes["taken by other programs meanwhile"] = f"{neighbours.share():.0%} of the cores"
    return tell(rows, notes, write=options.write)


if __name__ == "__main__":
    if sys.argv[1:] in (["flood"], ["modest"]):
        work: Callable[..., object] = _flood if sys.argv[1] == "flood" else _modest
        print(json.dumps(work(*json.loads(sys.stdin.readline()))))
    else:
        sys.exit(main())
