"""The bounds: take tracking requests, decode every message of them, keep nothing, say success.

One is an application under the very HTTP stack that intake runs under, as a framework would have
it. The other is nothing but a protocol on the same parser, which is as little as any server in
Python does. `python -m bench.bare LISTEN_FD ALIVE_FD [plain]` is one worker; `bare_servers` runs
several on one address.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httptools
import msgspec

__all__ = ["bare_servers"]

_IdValue = str | int | float | None


class _Message(msgspec.Struct, rename="camel", gc=False):
    type: str | None = None
    write_key: str | None = None
    message_id: _IdValue = None
    user_id: _IdValue = None
    anonymous_id: _IdValue = None
    previous_id: _IdValue = None
    group_id: _IdValue = None
    event: str | None = None


class _Batch(msgspec.Struct, rename="camel"):
    batch: list[msgspec.Raw]
    write_key: str | None = None


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_batch = msgspec.json.Decoder(_Batch).decode
_SUCCESS = b'{"success":true}'
_ANSWER = (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b") % (
    len(_SUCCESS),
    _SUCCESS,
)
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_SUCCESS))]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The application."""
    chunks = []
    more = True
    while more:
        event = await receive()
        chunks.append(event.get("body", b""))
        more = event.get("more_body", False)
    _decode(scope["path"] == "/v1/batch", b"".join(chunks))
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _SUCCESS})


def _decode(is_batch: bool, body: bytes) -> None:
    if is_batch:
        for raw in _decode_batch(body).batch:
            _decode_message(raw)
    else:
        _decode_message(body)


class _Plain(asyncio.Protocol):
    """Parses, keeps the headers, decodes, answers; bounds nothing, and serves no other request."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        _decode(self._url == b"/v1/batch", b"".join(self._body))
        self._transport.write(_ANSWER)


@contextmanager
def bare_servers(workers: int, *, plain: bool = False) -> Iterator[tuple[str, list[int]]]:
    """Workers on one address, for as long as the context lasts: its URL and their process ids.

    Args:
        workers: how many processes.
        plain: whether there is nothing but a protocol.
    """
    from headcount.config import Address
    from headcount.http.listening import listen, url_of

    with ExitStack() as stack:
        sockets = [
            stack.enter_context(sock)
            for sock in listen(Address("127.0.0.1", 0), workers, "--tracking")
        ]
        # The workers end when the end that only this process holds is closed.
        alive_fd, kept_fd = os.pipe()
        stack.callback(os.close, alive_fd)
        processes = []
        for sock in sockets:
            started = subprocess.Popen(
                [sys.executable, "-m", "bench.bare", str(sock.fileno()), str(alive_fd)]
                + ["plain"] * plain,
                pass_fds=(sock.fileno(), alive_fd),
                stdout=subprocess.PIPE,
            )
            stack.enter_context(started)
            processes.append(started)
        stack.callback(os.close, kept_fd)
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        yield url_of(sockets[0], "http"), [process.pid for process in processes]


async def _serve_plainly(listen_fd: int, child: Any) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    child.on_stop(lambda: loop.call_soon_threadsafe(stopped.set))
    async with await loop.create_server(_Plain, sock=socket.socket(fileno=listen_fd)):
        child.ready()
        await stopped.wait()


def _main(listen_fd: int, alive_fd: int, *, plain: bool) -> None:
    import uvloop

    from headcount.http.serving import serve_http
    from headcount.wiring.lifetime import Child

    child = Child(alive_fd)
    uvloop.run(_serve_plainly(listen_fd, child) if plain else serve_http(app, listen_fd, child))


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), plain=sys.argv[3:] == ["plain"])
