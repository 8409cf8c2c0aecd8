"""An answer is read by whoever is still sending: a connection does not break off behind it.

Otherwise a proxy that is in the middle of a body would make a 502 of the refusal, and the clients
behind it would send the same again for ever.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from headcount.http import ending
from support.server_fixture import Server, eventually, serving

PART = b"10000\r\n" + b"x" * 65536 + b"\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("last"), "--workers", "1") as server:
        yield server


def everything(connection: socket.socket) -> bytes:
    """What is answered, up to where the server says that it sends no more."""
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def goes_on(connection: socket.socket) -> bool:
    try:
        connection.sendall(PART)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"POST /page/sign-in HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" + 3 * PART,
         b"413"),
        (b"POST /page/sign-in HTTP/1.1\r\nHost: t\r\nA: " + b"x" * 100_000, b"400"),
        (b"\x16\x03\x01 is no HTTP", b"400"),
    ],
    ids=["a body that is too large", "a head that is too large", "no HTTP"],
)  # fmt: skip
def test_whoever_still_sends_reads_the_answer_and_then_the_end(
    server: Server, start: bytes, status: bytes
) -> None:
    place = urlsplit(server.api)
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall(start)
        answer = everything(connection)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert b"connection: close" in answer
        # Broken off, the first of these would be answered by the system, and the others fail.
        assert all(goes_on(connection) for _ in range(20))
        connection.settimeout(None)
        eventually(lambda: not goes_on(connection), "the end of what may still be sent")


def test_waiting_for_the_client_to_end_is_no_request_that_came_late(server: Server) -> None:
    """It is bounded, and whoever looks for those who hold connections is not told of these."""
    assert 0 < ending._LINGER_S < ending._HEAD_WITHIN_S
    dropped = server.ask("/metrics").body.decode()
    assert 'headcount_connections_dropped_total{address="api",why="late"} 1' not in dropped
