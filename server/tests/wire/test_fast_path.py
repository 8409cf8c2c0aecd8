"""Requests that came whole take the fast path, where there is one, and are answered in order."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.served_app import served

SUCCESS: tuple[Any, Any] = (
    {"type": "http.response.start", "status": 200, "headers": ((b"content-length", b"4"),)},
    {"type": "http.response.body", "body": b"fast"},
)
Send = Callable[[dict[str, object]], Awaitable[None]]


async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Send) -> None:
    """Says how long the body was."""
    size, more = 0, True
    while more:
        event = await receive()
        size, more = size + len(event["body"]), event["more_body"]
    body = b"slow %d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Taken:
    """Takes what is posted to `/fast`, and answers it in the next round of the loop."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.waited = threading.Event()
        self.left = threading.Event()

    def __call__(self, request: Any) -> bool:
        path = request.scope["path"]
        if not path.startswith("/fast"):
            return False
        assert request.fields[b"host"] == b"t"
        self.bodies.append(bytes(request.body))

        def later() -> None:
            if path == "/fast/not":
                request.pass_on()
            elif path == "/fast/lost" and not request.transport.is_closing():
                request.transport.abort()
                asyncio.get_running_loop().call_later(0.01, later)
            elif path != "/fast/wait" or self.left.is_set():
                if path == "/fast/lost":
                    self.waited.set()
                request.answer(*SUCCESS)
            else:
                asyncio.get_running_loop().call_later(0.01, later)

        asyncio.get_running_loop().call_soon(later)
        return True


def post(path: bytes, body: bytes, more: bytes = b"") -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: t\r\n%bContent-Length: %d\r\n\r\n"
    return head % (path, more, len(body)) + body


@contextmanager
def connected(taken: Taken) -> Iterator[socket.socket]:
    with (
        served(app, fast_path=taken) as (_, port),
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
    ):
        yield connection


def answers(connection: socket.socket, count: int) -> list[bytes]:
    """The bodies of so many answers."""
    received = b""
    while received.count(b"HTTP/1.1 200 OK") < count or not received[-1:].isalnum():
        if not (part := connection.recv(4096)):
            break
        received += part
    return [each.partition(b"\r\n\r\n")[2] for each in received.split(b"HTTP/1.1 200 OK")[1:]]


def test_whole_requests_are_taken_and_the_others_go_to_the_application() -> None:
    taken = Taken()
    with connected(taken) as connection:
        for body in (b"one", b"", b"x" * 5000):
            connection.sendall(post(b"/fast", body))
            assert answers(connection, 1) == [b"fast"]
        for path in (b"/else", b"/fast/not"):
            connection.sendall(post(path, b"four"))
            assert answers(connection, 1) == [b"slow 4"]
        # A body that comes later, or waits to be asked for, is not whole.
        start = post(b"/fast", b"12345")
        connection.sendall(start[:-3])
        taken.left.wait(0.05)
        connection.sendall(start[-3:])
        assert answers(connection, 1) == [b"slow 5"]
        connection.sendall(post(b"/fast", b"1", b"Expect: 100-continue\r\n"))
        assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert answers(connection, 1) == [b"slow 1"]
    assert taken.bodies == [b"one", b"", b"x" * 5000, b"four"]


def test_a_body_in_chunks_and_an_offer_of_another_protocol_are_whole_as_well() -> None:
    taken = Taken()
    chunks = b"POST /fast HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    with connected(taken) as connection:
        connection.sendall(chunks + b"0\r\n\r\n")
        connection.sendall(post(b"/fast", b"two", offer))
        found = answers(connection, 1)
        found += answers(connection, 2 - len(found)) if len(found) < 2 else []
    assert found in ([b"fast"] * 2, [b"slow 3", b"fast"])


@pytest.mark.parametrize("pieces", [1, 50])
def test_requests_behind_one_another_are_answered_in_order(pieces: int) -> None:
    taken = Taken()
    paths = [b"/fast", b"/else", b"/fast", b"/fast", b"/fast/not"] * 20
    stream = b"".join(post(path, b"body") for path in paths)
    with connected(taken) as connection:
        size = len(stream) // pieces
        for at in range(0, len(stream), size):
            connection.sendall(stream[at : at + size])
        found = answers(connection, len(paths))
    assert len(found) == len(paths)
    if pieces == 1:
        assert found == [b"fast" if path == b"/fast" else b"slow 4" for path in paths]


def test_the_last_request_of_a_connection_is_told_that_it_is() -> None:
    with connected(Taken()) as connection:
        connection.sendall(post(b"/fast", b"1", b"Connection: close\r\n"))
        received = b""
        while part := connection.recv(4096):
            received += part
    assert b"connection: close" in received
    assert received.endswith(b"fast")


def test_a_client_that_leaves_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    taken = Taken()
    with served(app, fast_path=taken) as (_, port):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(post(b"/fast/wait", b"1"))
            while not taken.bodies:
                taken.left.wait(0.01)
        taken.left.set()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(post(b"/fast", b"2"))
            assert answers(connection, 1) == [b"fast"]
    assert not caplog.records


CHUNKED = (
    b"POST /fast HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n"
)


def test_a_connection_that_breaks_off_with_several_requests_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken = Taken()
    with served(app, fast_path=taken) as (_, port):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            # Those behind a body in chunks are parsed with it, and so before it is answered.
            connection.sendall(CHUNKED + post(b"/fast/lost", b"2") + post(b"/fast", b"3"))
            taken.waited.wait()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(post(b"/fast", b"4"))
            assert answers(connection, 1) == [b"fast"]
    assert taken.bodies == [b"one", b"2", b"4"]
    assert not caplog.records


def test_a_large_head_stays_until_its_own_request_is_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    large = b"".join(b"X-%d: %d\r\n" % (number, number) for number in range(60))
    with connected(Taken()) as connection:
        connection.sendall(CHUNKED + post(b"/fast", b"2", large) + post(b"/else", b"3", large))
        assert answers(connection, 3) == [b"fast", b"fast", b"slow 1"]
    assert not caplog.records
