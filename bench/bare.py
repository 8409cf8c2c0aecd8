"""The bound: takes tracking requests, decodes every message of them, keeps nothing, says success.

Runs under the very HTTP stack that intake runs under, so the difference between the two is what
Headcount itself costs. `python -m bench.bare LISTEN_FD ALIVE_FD` is one worker; `bare_servers`
runs several on one address.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

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
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_SUCCESS))]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The application."""
    chunks = []
    more = True
    while more:
        event = await receive()
        chunks.append(event.get("body", b""))
        more = event.get("more_body", False)
    body = b"".join(chunks)
    if scope["path"] == "/v1/batch":
        for raw in _decode_batch(body).batch:
            _decode_message(raw)
    else:
        _decode_message(body)
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _SUCCESS})


@contextmanager
def bare_servers(workers: int) -> Iterator[tuple[str, list[int]]]:
    """Workers on one address, for as long as the context lasts: its URL and their process ids."""
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
                [sys.executable, "-m", "bench.bare", str(sock.fileno()), str(alive_fd)],
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


def _main(listen_fd: int, alive_fd: int) -> None:
    import uvloop

    from headcount.http.serving import serve_http
    from headcount.wiring.lifetime import Child

    uvloop.run(serve_http(app, listen_fd, Child(alive_fd)))


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]))
