"""Heads of answers are made once, and fit each request that they are sent for."""

from __future__ import annotations

from typing import Any

import pytest

from headcount import tracing
from headcount.http.cycle import Cycle

HEADERS = ((b"content-length", b"2"), (b"x-made", b"once"))
SERVER = [(b"date", b"today")]


class _Flow:
    write_paused = False


class _Transport:
    def __init__(self) -> None:
        self.sent = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True


class _Event:
    def set(self) -> None: ...


async def answered(
    *,
    status: int = 200,
    headers: Any = HEADERS,
    server: Any = SERVER,
    keep_alive: bool = True,
    method: str = "POST",
    body: bytes = b"ok",
    is_whole: bool = True,
) -> tuple[bytes, bool]:
    transport: Any = _Transport()
    unused: Any = None
    cycle = Cycle(
        scope={"method": method},  # type: ignore[arg-type]
        transport=transport,
        flow=_Flow(),  # type: ignore[arg-type]
        logger=unused,
        access_logger=unused,
        access_log=False,
        default_headers=server,
        message_event=_Event(),  # type: ignore[arg-type]
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )
    cycle.more_body = not is_whole
    named = b"x-request-id: %b\r\n" % tracing.id_of(cycle.scope).encode()
    await cycle.send({"type": "http.response.start", "status": status, "headers": headers})
    await cycle.send({"type": "http.response.body", "body": body})
    # Every answer has the id of its own request, once.
    assert transport.sent.partition(b"\r\n\r\n")[0].count(named.strip()) == 1
    return transport.sent.replace(named, b""), transport.closed


async def test_a_head_is_sent_again_only_where_everything_is_the_same() -> None:
    plain = b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\nx-made: once\r\n\r\n"
    for _ in range(2):
        assert await answered() == (plain + b"ok", False)
    assert await answered(method="HEAD") == (plain, False)
    assert await answered(keep_alive=False) == (
        plain[:-2] + b"connection: close\r\n\r\nok",
        True,
    )
    assert (await answered(server=[(b"date", b"tomorrow")]))[0] == plain.replace(
        b"today", b"tomorrow"
    ) + b"ok"
    assert (await answered(status=404))[0] == plain.replace(b"200 OK", b"404 Not Found") + b"ok"
    with pytest.raises(RuntimeError):
        await answered(body=b"too long")


async def test_the_head_of_an_answer_without_a_length_is_made_each_time() -> None:
    headers = ((b"x-made", b"each time"),)
    assert (await answered(headers=headers, method="HEAD", body=b""))[0].endswith(b"time\r\n\r\n")
    assert b"transfer-encoding: chunked" in (await answered(headers=headers))[0]


async def test_a_list_of_headers_may_change_between_two_answers() -> None:
    headers = [*HEADERS]
    await answered(headers=headers)
    headers[1] = (b"x-made", b"twice")
    assert b"x-made: twice" in (await answered(headers=headers))[0]


async def test_a_connection_is_not_closed_behind_the_answer_to_a_request_that_still_comes() -> None:
    sent, closed = await answered(keep_alive=False, is_whole=False)
    assert b"connection: close" in sent
    assert not closed
    # Nor is its head taken for that of an answer after which the connection goes on.
    assert b"connection: close" not in (await answered())[0]
