"""What a call of the client costs in CPU, beside decoding the same body by hand.

A process of its own answers with fixed bodies, so that only the client's work is counted.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import urllib3

import segment_public_api as sdk
from bench.report import Row, show
from segment_public_api import aio

__all__ = ["answer_for_ever", "calling", "users_body"]

__all__ = ["calling"]

_LIST = "dailyPerSourceMTUUsage"
_ROUNDS = 9
_CALLS_BY_ROWS = {31: 200, 1000: 30}
# The documented client spends four times the validation on a call of 1,000 rows.
_PROMISES = {31: "", 1000: "≤ 1.6 of validation: two fifths of the documented client"}


def users_body(rows: int) -> bytes:
    """An answer with the daily tracked users of as many sources."""
    listed = [
        {
            "sourceId": f"source-{number:06}",
            "periodStart": 1612137600,
            "periodEnd": 1614556800,
            "anonymous": str(1000 + number),
            "anonymousIdentified": str(100 + number),
            "identified": str(5000 + number),
            "neverIdentified": "900",
            "timestamp": f"2021-02-{number % 28 + 1:02}T00:00:00.000Z",
        }
        for number in range(rows)
    ]
    page = {_LIST: listed, "pagination": {"current": "MQ", "totalEntries": rows}}
    return json.dumps({"data": page}, separators=(",", ":")).encode()


def answer_for_ever(body: bytes, told: Connection) -> None:
    """Answer whatever is asked with this body, on a port that is told first."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    answer = head.encode() + b"\r\n\r\n" + body
    with socket.create_server(("127.0.0.1", 0)) as listener:
        told.send(listener.getsockname()[1])
        while True:
            connection, _ = listener.accept()
            with connection:
                # One small GET at a time: what arrives together is one request.
                while connection.recv(65536):
                    connection.sendall(answer)


def _by_hand(body: bytes) -> Any:
    """The same models, built from decoded JSON as a careful program would build them."""
    page = json.loads(body)["data"]
    rows = [sdk.UsersPerSourceSnapshotV1.model_validate(row) for row in page[_LIST]]
    pagination = sdk.PaginationOutput.model_validate(page["pagination"])
    output = sdk.GetDailyPerSourceMTUUsageV1Output.model_validate(
        {_LIST: rows, "pagination": pagination}
    )
    return sdk.GetDailyPerSourceMTUUsage200Response(data=output)


def _cheapest_ms(work: Callable[[], Any], calls: int) -> float:
    rounds = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(calls):
            work()
        rounds.append((time.process_time() - began) / calls * 1000)
    return min(rounds)


async def _cheapest_async_ms(host: str, calls: int) -> float:
    rounds = []
    async with aio.ApiClient(sdk.Configuration(host=host, access_token="bench")) as client:
        api = aio.MonthlyTrackedUsersApi(client)
        for _ in range(_ROUNDS):
            began = time.process_time()
            for _ in range(calls):
                await api.get_daily_per_source_mtu_usage("2021-02-01")
            rounds.append((time.process_time() - began) / calls * 1000)
    return min(rounds)


def _measured(rows: int, calls: int) -> list[Row]:
    here, there = multiprocessing.Pipe()
    body = users_body(rows)
    server = multiprocessing.get_context("spawn").Process(
        target=answer_for_ever, args=(body, there), daemon=True
    )
    server.start()
    try:
        host = f"http://127.0.0.1:{here.recv()}"
        with sdk.ApiClient(sdk.Configuration(host=host, access_token="bench")) as client:
            api = sdk.MonthlyTrackedUsersApi(client)
            assert api.get_daily_per_source_mtu_usage("2021-02-01") == _by_hand(body)
            ours_ms = _cheapest_ms(lambda: api.get_daily_per_source_mtu_usage("2021-02-01"), calls)
        # The server takes one connection at a time; each peer closes its own.
        async_ms = asyncio.run(_cheapest_async_ms(host, calls))
        with urllib3.PoolManager() as pool:
            bare_ms = _cheapest_ms(lambda: json.loads(pool.request("GET", host).data), calls)
        hand_ms = _cheapest_ms(lambda: _by_hand(body), calls)
        validation_ms = _cheapest_ms(
            lambda: sdk.GetDailyPerSourceMTUUsage200Response.model_validate_json(body), calls
        )
    finally:
        server.terminate()
        server.join()
    scenario = f"client: a call that returns {rows} rows"

    def row(measure: str, spent_ms: float, promise: str = "") -> Row:
        beside = (
            f"{spent_ms / hand_ms:.2f} of by hand, {spent_ms / validation_ms:.2f} of validation"
        )
        return Row(scenario, measure, f"{spent_ms:.2f} ms of CPU", beside, promise)

    return [
        row("synchronous", ours_ms, _PROMISES[rows]),
        row("asynchronous", async_ms),
        row("bare urllib3 and json.loads, no models", bare_ms),
        row("by hand: json.loads and the same models, no request", hand_ms),
        row("pydantic's validation of the body, no request", validation_ms),
    ]


def calling() -> list[Row]:
    """Measure calls of 31 and of 1,000 rows."""
    return [row for rows, calls in _CALLS_BY_ROWS.items() for row in _measured(rows, calls)]


if __name__ == "__main__":
    show(calling())
