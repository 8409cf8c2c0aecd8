"""A closed-loop load generator: takes an address and requests, gives how many were acknowledged.

One process, one thread, a few keep-alive connections, each with one request under way. Refuses to
go on when an answer is anything but a success without rejections: the count must come out exact.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.traffic import Population, Request

__all__ = ["BenchError", "Load", "Sent"]

# Enough that a group commit finds company, as on any server that is under load.
CONNECTIONS = 32
_ANSWER_BYTES_MAX = 65_536
_STALLED_AFTER_S = 30.0
_SEND_BUFFER_BYTES = 1 << 18


class BenchError(Exception):
    """A measurement cannot be trusted: something was refused, lost or miscounted."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One stretch of load.

    Attributes:
        messages: acknowledged.
        seconds: from the first byte sent to the last answer.
        cpu_s: processor time of the generator itself.
        latencies_s: time of each request, from its first byte sent to its answer.
    """

    messages: int
    seconds: float
    cpu_s: float
    latencies_s: list[float]


class _Connection:
    def __init__(self, host: str, port: int, request: Request) -> None:
        self.request = request
        self.view = memoryview(request.data)
        self.unsent = self.view[:0]
        self.answer = b""
        self.began_s = 0.0
        self.socket = socket.create_connection((host, port), timeout=_STALLED_AFTER_S)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    def begin(self) -> None:
        """Start the next request."""
        self.request.renew()
        self.began_s = time.perf_counter()
        self.unsent = self.view
        self.push()

    def push(self) -> None:
        """Send what the socket takes."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            pass

    def pull(self) -> bool:
        """Receive what there is; whether the answer is whole."""
        chunk = self.socket.recv(_ANSWER_BYTES_MAX)
        self.answer += chunk
        if self.answer.startswith(b"HTTP/1.1 200") and self.answer.endswith(b'{"success":true}'):
            self.answer = b""
            return True
        if not chunk or self.answer.endswith(b"}"):
            raise BenchError(f"a request was not simply acknowledged: {self.answer[-300:]!r}")
        return False


class Load:
    """Connections that stay open over several stretches of load.

    Args:
        url: where the tracking API listens.
        write_key: of the source that everything goes to.
        messages_a_request: 1 for single posts, more for batches.
        visitors: who sends.
        connections: how many requests are under way at once.
        repeat_every: after so many requests of a connection the last one is sent once more.
        proxied: whether each request of a connection is of another client, as behind a proxy.
    """

    def __init__(
        self,
        url: str,
        write_key: str,
        messages_a_request: int,
        visitors: Population,
        connections: int = CONNECTIONS,
        repeat_every: int = 0,
        *,
        proxied: bool = False,
    ) -> None:
        place = urlsplit(url)
        assert place.hostname is not None
        assert place.port is not None
        self._connections = [
            _Connection(
                place.hostname,
                place.port,
                Request(write_key, messages_a_request, visitors, repeat_every, proxied=proxied),
            )
            for _ in range(connections)
        ]
        self.body_bytes = self._connections[0].request.body_bytes

    def run(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> Sent:
        """Send for a time, then wait for the last answers.

        Args:
            seconds: for how long requests are started.
            meanwhile: called once, when everything is under way.

        Raises:
            BenchError: an answer was no plain success, or none came.
        """
        latencies_s: list[float] = []
        cpu_before_s = time.process_time()
        began_s = time.perf_counter()
        until_s = began_s + seconds
        with selectors.DefaultSelector() as selector:
            for connection in self._connections:
                connection.begin()
                selector.register(connection.socket, _interest(connection), connection)
            meanwhile()
            busy = len(self._connections)
            while busy:
                ready = selector.select(_STALLED_AFTER_S)
                if not ready:
                    raise BenchError(f"no answer came for {_STALLED_AFTER_S:.0f} s")
                for key, _ in ready:
                    connection = key.data
                    if connection.unsent:
                        connection.push()
                    elif connection.pull():
                        now_s = time.perf_counter()
                        latencies_s.append(now_s - connection.began_s)
                        if now_s >= until_s:
                            selector.unregister(connection.socket)
                            busy -= 1
                            continue
                        connection.begin()
                    if key.events != (wanted := _interest(connection)):
                        selector.modify(connection.socket, wanted, connection)
        return Sent(
            messages=len(latencies_s) * self._connections[0].request.messages,
            seconds=time.perf_counter() - began_s,
            cpu_s=time.process_time() - cpu_before_s,
            latencies_s=latencies_s,
        )

    def run_steadily(self, seconds: float, messages_a_second: float) -> Sent:
        """Send at a pace for a time, then wait for the last answers.

        What finds no connection free is sent as soon as there is one.

        Args:
            seconds: for how long requests are started.
            messages_a_second: the pace.

        Raises:
            BenchError: an answer was no plain success, or none came.
        """
        latencies_s: list[float] = []
        every_s = self._connections[0].request.messages / messages_a_second
        cpu_before_s, began_s = time.process_time(), time.perf_counter()
        due_s, until_s = began_s, began_s + seconds
        idle = list(self._connections)
        with selectors.DefaultSelector() as selector:
            while due_s < until_s or len(idle) < len(self._connections):
                while idle and due_s < until_s and due_s <= time.perf_counter():
                    connection = idle.pop()
                    connection.begin()
                    selector.register(connection.socket, _interest(connection), connection)
                    due_s += every_s
                starts = idle and due_s < until_s
                pause_s = due_s - time.perf_counter() if starts else _STALLED_AFTER_S
                ready = selector.select(max(0.0, pause_s))
                if not ready and not starts:
                    raise BenchError(f"no answer came for {_STALLED_AFTER_S:.0f} s")
                for key, _ in ready:
                    connection = key.data
                    if connection.unsent:
                        connection.push()
                    elif connection.pull():
                        latencies_s.append(time.perf_counter() - connection.began_s)
                        selector.unregister(connection.socket)
                        idle.append(connection)
                        continue
                    if key.events != (wanted := _interest(connection)):
                        selector.modify(connection.socket, wanted, connection)
        return Sent(
            messages=len(latencies_s) * self._connections[0].request.messages,
            seconds=time.perf_counter() - began_s,
            cpu_s=time.process_time() - cpu_before_s,
            latencies_s=latencies_s,
        )

    def close(self) -> None:
        """End the connections."""
        for connection in self._connections:
            connection.socket.close()


def _interest(connection: _Connection) -> int:
    return selectors.EVENT_WRITE if connection.unsent else selectors.EVENT_READ
