"""Clients that leave in the middle are no errors: on neither address the log says a word."""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from sdk_tls import self_signed
from support.server_fixture import Server, Shop, eventually, serving

RESET = struct.pack("ii", 1, 0)


@pytest.fixture(scope="module", params=["http", "https"])
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("departures")
    options: tuple[str, ...] = ("--workers", "1")
    certificate, key = self_signed(folder)
    if request.param == "https":
        options += ("--tls-cert", str(certificate), "--tls-key", str(key))
    with serving(folder, *options) as server:
        server.http = urllib3.PoolManager(ca_certs=str(certificate), retries=False, timeout=60)
        yield server.shop("Shop", "web")


class Client:
    """One connection that can be ended in any way."""

    def __init__(self, server: Server, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.raw = self.sock = socket.create_connection((parts.hostname, parts.port), 60)
        if parts.scheme == "https":
            context = urllib3.util.create_urllib3_context()
            context.load_verify_locations(server.program.cwd / "cert.pem")
            self.sock = context.wrap_socket(self.raw, server_hostname="usage.example")

    def leave(self, how: str) -> None:
        if how == "half":
            # It says that it will send no more, and waits for what still comes.
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.close()
            return
        if how == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()


def requests_of(shop: Shop) -> Iterator[tuple[str, bytes, int]]:
    """An address, what is sent of a request, and how much of the answer is read."""
    server, key = shop.server, shop.write_keys["web"]
    body = json.dumps({"userId": "u", "event": "x", "writeKey": key}).encode() * 400
    post = b"POST /v1/batch HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(body)
    chunked = b"POST /v1/batch HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield server.tracking, b"POST /v1/ba", 0
    yield server.tracking, post, 0
    yield server.tracking, post + body[:10_000], 0
    yield server.tracking, chunked + b"fff\r\nhalf a chunk", 0
    yield server.tracking, chunked + b"no size\r\n", 0
    yield (
        server.tracking,
        post.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") + body,
        0,
    )
    yield server.tracking, post + body, 1
    yield server.tracking, b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n" * 50, 5
    head = f" HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {shop.token}\r\n".encode()
    form = b"Content-Type: application/x-www-form-urlencoded\r\n"
    sign_in = b"POST /page/sign-in HTTP/1.1\r\nHost: t\r\n" + form
    yield server.api, b"GET /usage", 0
    for path in (
        b"/metrics",
        b"/docs",
        b"/headcount/v1/sources",
        b"/",
        b"/page/sign-in",
        b"/readyz",
    ):
        yield server.api, b"GET " + path + head + b"\r\n", 0
        yield server.api, b"GET " + path + head + b"\r\n", 3
    yield server.api, b"POST /headcount/v1/sources" + head + b"Content-Length: 500\r\n\r\n{", 0
    yield server.api, sign_in + b"Content-Length: 500\r\n\r\ntoken=", 0
    yield server.api, sign_in + b"Transfer-Encoding: chunked\r\n\r\nff\r\nx", 0
    yield server.api, b"\x16\x03\x01 a greeting for TLS, or for what is none", 0


def test_the_log_says_nothing_of_them(shop: Shop) -> None:
    server = shop.server
    before = len(server.log)
    for how in ("close", "reset", "half"):
        for url, said, read in requests_of(shop):
            client = Client(server, url)
            client.sock.sendall(said)
            if read:
                client.sock.recv(read)
            client.leave(how)
    for url in (server.tracking, server.api):
        assert server.send("GET", f"{url}/healthz").status == 200
    # What was under way then has come to its end.
    eventually(
        lambda: (
            'headcount_connections{address="tracking"} 1.0' in server.ask("/metrics").body.decode()
        ),
        "all that left to be gone",
    )
    # Who was still there to be told that this is no HTTP, or no gzip, is named as all who are.
    refused = re.compile(r"(intake|api) INFO \[[0-9a-f]{32}\] answered 4\d\d ")
    assert [line for line in server.log[before:] if not refused.search(line)] == []


def test_a_stop_while_clients_leave_says_nothing_either(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        before = len(server.log)
        clients = []
        for url, said, _ in requests_of(shop):
            clients.append(Client(server, url))
            clients[-1].sock.sendall(said)
        for client in clients[::2]:
            client.leave("reset")
        server.stop()
        for client in clients[1::2]:
            client.leave("close")
        assert [
            line for line in server.log[before:] if "ERROR" in line or "Traceback" in line
        ] == []
