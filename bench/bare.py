"""The bounds: take tracking requests, decode every message of them, keep nothing, say success.

One is an application under the very HTTP stack that intake runs under, as a framework would have
it; the same under uvicorn as it comes is what others have. Another is nothing but a protocol on the
same parser, which is as little as any server in Python does. A last one is the first, which writes
what it decoded to a file and says success once that is synced, with all that came meanwhile, as one
would make it durable by hand. `python -m bench.bare LISTEN_FD ALIVE_FD [plain|stock|FILE]` is one
worker; `bare_servers` runs several on one address.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
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
# Of each request that is kept, and of the file: what an ordinary log takes before it begins anew.
_KEPT_BYTES, _LOG_BYTES = 56, 4 << 20
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_SUCCESS))]


def _application(keep: Callable[[bytes], Awaitable[None]] | None) -> Any:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        chunks = []
        more = True
        while more:
            event = await receive()
            chunks.append(event.get("body", b""))
            more = event.get("more_body", False)
        body = b"".join(chunks)
        _decode(scope["path"] == "/v1/batch", body)
        if keep is not None:
            await keep(body)
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _SUCCESS})

    return app


def _decode(is_batch: bool, body: bytes) -> None:
    if is_batch:
        for raw in _decode_batch(body).batch:
            _decode_message(raw)
    else:
        _decode_message(body)


class _Log:
    """A file that is written from its start again and again, so that it takes no more room."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.pwrite(self._file, bytes(2 * _LOG_BYTES), 0)
        os.fsync(self._file)
        self._at = 0
        self._thread = ThreadPoolExecutor(1)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._is_under_way = False

    async def keep(self, body: bytes) -> None:
        """Return once what a message leaves, of a fact's size, is durable."""
        loop = asyncio.get_running_loop()
        durable = loop.create_future()
        self._waiting.append((body[:_KEPT_BYTES], durable))
        if not self._is_under_way:
            self._is_under_way = True
            loop.call_soon(self._write, loop)
        await durable

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._waiting = self._waiting, []
        self._thread.submit(self._sync, loop, group)

    def _sync(
        self, loop: asyncio.AbstractEventLoop, group: list[tuple[bytes, asyncio.Future[None]]]
    ) -> None:
        data = b"".join([kept for kept, _ in group])
        os.pwrite(self._file, data, self._at)
        os.fdatasync(self._file)
        self._at = (self._at + len(data)) % _LOG_BYTES
        loop.call_soon_threadsafe(self._answer, loop, group)

    def _answer(
        self, loop: asyncio.AbstractEventLoop, group: list[tuple[bytes, asyncio.Future[None]]]
    ) -> None:
        for _, durable in group:
            if not durable.done():
                durable.set_result(None)
        self._is_under_way = bool(self._waiting)
        if self._waiting:
            self._write(loop)


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
def bare_servers(
    workers: int, *, how: str = "", log: Path | None = None
) -> Iterator[tuple[str, list[int]]]:
    """Workers on one address, for as long as the context lasts: its URL and their process ids.

    Args:
        workers: how many processes.
        how: "plain" for nothing but a protocol, "stock" for uvicorn as it comes.
        log: the file in which what comes is kept, of a single worker; None to keep nothing.
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
                + ([how] if how else [] if log is None else [str(log)]),
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


async def _serve_stock(listen_fd: int, child: Any) -> None:
    import uvicorn

    config = uvicorn.Config(
        _application(None), loop="none", http="httptools", ws="none", lifespan="off",
        access_log=False, log_config=None, server_header=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    loop = asyncio.get_running_loop()
    child.on_stop(lambda: loop.call_soon_threadsafe(setattr, server, "should_exit", True))
    # It takes connections from the first moment: the socket listens already.
    child.ready()
    await server.serve(sockets=[socket.socket(fileno=listen_fd)])


def _main(listen_fd: int, alive_fd: int, how: str) -> None:
    import uvloop

    from headcount.http.serving import serve_http
    from headcount.wiring.lifetime import Child

    child = Child(alive_fd)
    if how in ("plain", "stock"):
        serve = _serve_plainly if how == "plain" else _serve_stock
        uvloop.run(serve(listen_fd, child))
    else:
        uvloop.run(
            serve_http(_application(_Log(Path(how)).keep if how else None), listen_fd, child)
        )


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), "".join(sys.argv[3:]))
