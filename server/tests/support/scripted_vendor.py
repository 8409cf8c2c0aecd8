"""A vendor on loopback that does what a script says: takes, delays, refuses, resets, answers
garbage, or is away; and keeps what it was given, in order.

Takes a function from the number of a request to what is done with it; gives the messages that it
holds. What it was given before its answer was lost, it holds all the same: as the real ones do.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Doing", "Held", "ScriptedVendor", "scripted_vendor"]


@dataclass(frozen=True)
class Doing:
    """What is done with one request.

    Attributes:
        status: what it is answered; 0 for bytes that are no HTTP.
        after_s: how long it takes.
        reset: the connection is reset instead of an answer.
        holds: whether the messages are taken; as the status says when None.
        headers: more of the answer's.
    """

    status: int = 200
    after_s: float = 0.0
    reset: bool = False
    holds: bool | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def keeps(self) -> bool:
        """Whether its messages are held."""
        return 200 <= self.status < 300 and not self.reset if self.holds is None else self.holds


@dataclass(frozen=True)
class Held:
    """One request that came."""

    write_key: str
    path: str
    body: bytes
    held: bool

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What is in it."""
        data = json.loads(self.body)
        return data["batch"] if self.path == "/v1/batch" else [data]


@dataclass
class ScriptedVendor:
    """The vendor.

    Attributes:
        script: request number (from 0) to what is done with it.
        came: every request, in order.
        probes: ids of messages that were sent to learn whether their source forwards already.
    """

    script: Callable[[int], Doing] = lambda _: Doing()
    port: int = 0
    came: list[Held] = field(default_factory=list)
    probes: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: _Server | None = None

    @property
    def url(self) -> str:
        """The beginning of its addresses."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, at the port that it had before if it had one."""
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def die(self) -> None:
        """Be away, in the middle of what is under way; idempotent."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.end_all()
            self._server = None

    def note(self, write_key: str, path: str, body: bytes) -> Doing:
        """A request came: what to do with it."""
        with self._lock:
            doing = self.script(len(self.came))
            self.came.append(Held(write_key, path, body, doing.keeps))
            return doing

    def messages(self, write_key: str) -> list[dict[str, Any]]:
        """What it holds of one key, in order, those that came again included."""
        with self._lock:
            held = [each for each in self.came if each.held and each.write_key == write_key]
        return [message for each in held for message in each.messages]

    def distinct(self, write_key: str) -> list[dict[str, Any]]:
        """The same, de-duplicated by message id: the first of each."""
        found: dict[str, dict[str, Any]] = {}
        for message in self.messages(write_key):
            found.setdefault(message["messageId"], message)
        return list(found.values())


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], vendor: ScriptedVendor) -> None:
        self.vendor = vendor
        self.open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def end_all(self) -> None:
        for each in list(self.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: it is this vendor's way to lose connections."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # it died while it was given this
            self.close_connection = True
            return
        scheme, _, token = self.headers["Authorization"].partition(" ")
        assert scheme == "Basic"
        write_key = base64.b64decode(token).decode().rstrip(":")
        doing = self.server.vendor.note(write_key, self.path, body)
        time.sleep(doing.after_s)
        if doing.reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            self.connection.close()
            return
        if not doing.status:
            self.close_connection = True
            self.wfile.write(b"\x00\xff no HTTP \r\n\r\n")
            return
        answer = b'{"success":true}' if doing.status == 200 else b"<html>no</html>"
        self.send_response(doing.status)
        for name, value in (*doing.headers, ("Content-Length", str(len(answer)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def scripted_vendor(script: Callable[[int], Doing] = lambda _: Doing()) -> Iterator[ScriptedVendor]:
    """A vendor that listens, until the block ends."""
    vendor = ScriptedVendor(script)
    vendor.start()
    try:
        yield vendor
    finally:
        vendor.die()
