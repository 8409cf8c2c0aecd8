"""A receiver of webhooks on loopback that does what a script says, and keeps what it was posted."""

from __future__ import annotations

import contextlib
import http.server
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Does", "Posted", "ScriptedReceiver", "scripted_receiver"]


@dataclass(frozen=True)
class Does:
    """What is done with one post.

    Attributes:
        status: what it is answered; 0 for bytes that are no HTTP.
        after_s: how long it takes.
        reset: the connection is reset instead of an answer.
        headers: more of the answer's.
        body: the answer's.
    """

    status: int = 204
    after_s: float = 0.0
    reset: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True)
class Posted:
    """One post that came."""

    path: str
    headers: dict[str, str]
    body: bytes
    does: Does


@dataclass
class ScriptedReceiver:
    """The receiver.

    Attributes:
        script: number of a post (from 0) to what is done with it.
        came: every post, in order.
    """

    script: Callable[[int], Does] = lambda _: Does()
    port: int = 0
    came: list[Posted] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def taken(self) -> list[Posted]:
        """Those that it took."""
        return [p for p in self.came if 200 <= p.does.status < 300 and not p.does.reset]


class _Handler(http.server.BaseHTTPRequestHandler):
    receiver: ScriptedReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.receiver.lock:
            does = self.receiver.script(len(self.receiver.came))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.receiver.came.append(Posted(self.path, headers, body, does))
        time.sleep(does.after_s)
        if does.reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            self.connection.close()
            return
        with contextlib.suppress(OSError):
            if does.status == 0:
                self.wfile.write(b"nonsense\r\n\r\n")
                self.close_connection = True
                return
            self.send_response(does.status)
            for name, value in does.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(does.body)))
            self.end_headers()
            self.wfile.write(does.body)

    def log_message(self, *args: object) -> None:
        """Nothing."""

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A receiver that is left says nothing."""


@contextmanager
def scripted_receiver(
    script: Callable[[int], Does] = lambda _: Does(),
) -> Iterator[ScriptedReceiver]:
    """A receiver that runs meanwhile."""
    receiver = ScriptedReceiver(script)
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with _Server(("127.0.0.1", 0), handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()
