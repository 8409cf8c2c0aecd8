"""A real HTTP server on a loopback socket that answers as its script says, well or badly.

Each reply is a function that gets the connection and the request and does with the socket what it
wants; it returns whether the connection may go on. The last reply answers every further request.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

JSON_TYPE = "application/vnd.segment.v1+json"
SLOW_PAUSE_S = 0.05


@dataclass(frozen=True)
class SeenRequest:
    """One request line with its headers, whose names are in lower case, and whence it came."""

    method: str
    target: str
    headers: dict[str, str]
    port: int


Reply = Callable[[socket.socket, "ScriptedServer"], bool]


class ScriptedServer:
    def __init__(self, *replies: Reply) -> None:
        self.requests: list[SeenRequest] = []
        self.stopping = threading.Event()
        self._replies = list(replies)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.host = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stopping.set()
        # A listener that another thread waits on is only woken by shutting it down first.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(SLOW_PAUSE_S)
        with connection, contextlib.suppress(OSError):
            while (request := self._next_request(connection)) is not None:
                with self._lock:
                    self.requests.append(request)
                    reply = self._replies[min(len(self.requests), len(self._replies)) - 1]
                if not reply(connection, self):
                    return

    def _next_request(self, connection: socket.socket) -> SeenRequest | None:
        head = b""
        while b"\r\n\r\n" not in head:
            if self.stopping.is_set():
                return None
            try:
                piece = connection.recv(65536)
            except TimeoutError:
                continue
            if not piece:
                return None
            head += piece
        first, *lines = head.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        named = {name.lower(): value.strip() for name, _, value in pairs}
        return SeenRequest(method, target, named, connection.getpeername()[1])


@contextlib.contextmanager
def dead_host() -> Iterator[str]:
    """An address on loopback that refuses every connection, and that nobody else can come to."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and nobody listens
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def answer(
    body: bytes | dict[str, Any],
    status: str = "200 OK",
    content_type: str | None = JSON_TYPE,
    **headers: str,
) -> Reply:
    """A whole answer. Header names are given with underscores."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(payload)}"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    data = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + payload

    def reply(connection: socket.socket, server: ScriptedServer) -> bool:
        connection.sendall(data)
        return True

    return reply


def refusal(status: str, *, field: str | None = None, data: Any = None, **headers: str) -> Reply:
    """An answer with an error envelope."""
    error = {"type": "refused", "message": f"refused: {status}", "field": field, "data": data}
    error = {name: value for name, value in error.items() if value is not None}
    return answer({"errors": [error]}, status, **headers)


def cut_off(connection: socket.socket, server: ScriptedServer) -> bool:
    """Half a body, then the end."""
    connection.sendall(
        f"HTTP/1.1 200 OK\r\nContent-Type: {JSON_TYPE}\r\nContent-Length: 1000\r\n\r\n".encode()
        + b'{"data": {"dailyWork'
    )
    return False


def hang_up(connection: socket.socket, server: ScriptedServer) -> bool:
    """Not a byte, then the end."""
    return False


def silence(connection: socket.socket, server: ScriptedServer) -> bool:
    """Not a byte, and no end."""
    server.stopping.wait()
    return False


def dripping(head: bytes) -> Reply:
    """`head`, then one byte after another, without end."""

    def reply(connection: socket.socket, server: ScriptedServer) -> bool:
        connection.sendall(head)
        while not server.stopping.wait(SLOW_PAUSE_S):
            connection.sendall(b" ")
        return False

    return reply


dripping_body = dripping(
    f"HTTP/1.1 200 OK\r\nContent-Type: {JSON_TYPE}\r\nContent-Length: 100000\r\n\r\n".encode()
)
dripping_headers = dripping(b"HTTP/1.1 200 OK\r\nX-Padding:")


def workspace_page(
    calls: list[int], *, current: str = "a", following: str | None = None, total: int | None = None
) -> dict[str, Any]:
    """A page of daily API calls of a workspace, from the first of February 2021 on."""
    pagination: dict[str, Any] = {"current": current}
    if following is not None:
        pagination["next"] = following
    if total is not None:
        pagination["totalEntries"] = total
    rows = [
        {"apiCalls": str(count), "timestamp": f"2021-02-{day:02}T00:00:00.000Z"}
        for day, count in enumerate(calls, start=1)
    ]
    return {"data": {"dailyWorkspaceAPICallsUsage": rows, "pagination": pagination}}
