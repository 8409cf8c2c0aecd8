"""What the attacks share: strangers who hold connections, honest clients, and memory."""

from __future__ import annotations

import json
import resource
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import psutil
import urllib3

from support.server_fixture import PATIENCE_S, Server, Shop

__all__ = ["MIB", "Honest", "Memory", "answers_of", "asking", "connect", "held", "measured"]

MIB = 1 << 20
PROCESS_BYTES_MAX = 250 * MIB
_ROLES = ("intake", "meter", "api")


def connect(url: str, receive_bytes: int | None = None) -> socket.socket:
    """A connection to one of a server's addresses.

    Args:
        url: the address.
        receive_bytes: of the buffer for what is not read, where that matters.
    """
    host, _, port = url.removeprefix("http://").rpartition(":")
    connection = socket.socket()
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(PATIENCE_S)
    connection.connect((host, int(port)))
    return connection


@contextmanager
def held(
    url: str, count: int, data: bytes, *, drip: bytes = b"", receive_bytes: int | None = None
) -> Iterator[list[socket.socket]]:
    """So many connections on which something was sent, held open.

    Args:
        url: the address.
        count: how many.
        data: what each sends at once.
        drip: what each sends on, a few times a second.
        receive_bytes: as `connect` has it.
    """
    over = threading.Event()
    with ExitStack() as stack:
        stack.enter_context(_descriptors())
        connections = []
        for _ in range(count):
            connections.append(stack.enter_context(connect(url, receive_bytes)))
            # Whoever holds too much is hung up on in the middle of it.
            with suppress(OSError):
                connections[-1].sendall(data)

        def go_on() -> None:
            while not over.wait(0.3):
                for connection in connections:
                    with suppress(OSError):
                        connection.send(drip)

        dripping = threading.Thread(target=go_on)
        if drip:
            dripping.start()
            stack.callback(dripping.join)
        stack.callback(over.set)
        yield connections


@contextmanager
def asking(url: str, count: int, request: bytes) -> Iterator[Counter[str]]:
    """So many connections that ask again as soon as they are answered; statuses to answers.

    Args:
        url: the address.
        count: how many.
        request: what each asks; where it is hung up on, it comes again.
    """
    statuses: Counter[str] = Counter()
    over = threading.Event()

    def come(selector: selectors.BaseSelector) -> None:
        connection = connect(url)
        connection.setblocking(False)
        connection.send(request)
        selector.register(connection, selectors.EVENT_READ)

    def ask() -> None:
        with selectors.DefaultSelector() as selector:
            for _ in range(count):
                come(selector)
            while not over.is_set():
                for key, _ in selector.select(0.1):
                    connection = key.fileobj
                    assert isinstance(connection, socket.socket)
                    answer = b""
                    with suppress(OSError):
                        answer = connection.recv(1 << 18)
                        if answer.startswith(b"HTTP/1.1 "):
                            statuses[answer[9:12].decode()] += 1
                        connection.send(request)
                    if not answer or b"\r\nconnection: close" in answer:
                        selector.unregister(connection)
                        connection.close()
                        come(selector)
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]

    strangers = threading.Thread(target=ask)
    with _descriptors():
        strangers.start()
        try:
            yield statuses
        finally:
            over.set()
            strangers.join()


@contextmanager
def _descriptors() -> Iterator[None]:
    """As many as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Honest:
    """Clients of one source, in all the ways in which clients post.

    Attributes:
        statuses: how many of their posts were answered with which status.
    """

    def __init__(self, shop: Shop) -> None:
        self._url = shop.server.tracking
        self._key = shop.write_keys["web"]
        self._sent = 0
        self.statuses: Counter[int] = Counter()

    def post(self, times: int) -> None:
        """Post: with the key in the head, in the body, and with a body that follows its head."""
        in_head = urllib3.make_headers(basic_auth=f"{self._key}:")["authorization"]
        for _ in range(times):
            phones = [self._begin(b"Authorization: " + in_head.encode()), self._begin()]
            for head, rest in (
                self._request(b"Authorization: " + in_head.encode()), self._request(),
            ):  # fmt: skip
                with connect(self._url) as connection:
                    self._end(connection, head + rest)
            time.sleep(0.3)
            for connection, rest in phones:
                with connection:
                    self._end(connection, rest)

    def _request(self, header: bytes = b"X-None: 1") -> tuple[bytes, bytes]:
        self._sent += 1
        body = json.dumps({"userId": f"u{self._sent}", "writeKey": self._key}).encode()
        head = b"POST /v1/page HTTP/1.1\r\nHost: t\r\n%b\r\nContent-Length: %d\r\n\r\n"
        return head % (header, len(body)), body

    def _begin(self, header: bytes = b"X-None: 1") -> tuple[socket.socket, bytes]:
        head, rest = self._request(header)
        connection = connect(self._url)
        connection.sendall(head)
        return connection, rest

    def _end(self, connection: socket.socket, rest: bytes) -> None:
        status = 0
        with suppress(OSError):
            connection.sendall(rest)
            status = int(connection.recv(4096)[9:12] or 0)
        self.statuses[status] += 1

    def assert_answered(self) -> None:
        """At least 95 of 100 of them must have been."""
        assert self.statuses[200] >= 0.95 * self.statuses.total(), self.statuses


class Memory:
    """The most memory that each process of a server took while it was watched, in bytes."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.most: dict[int, int] = {}
        # Without libraries' pages, which weigh the more the fewer processes have them in use.
        self._own: dict[int, int] = {}
        self.look()
        self._own_before = dict(self._own)

    def look(self) -> None:
        """Measure."""
        for role in _ROLES:
            for process in self._server.children(role):
                with suppress(psutil.Error):
                    info = process.memory_full_info()
                    for most, size in (self.most, info.pss), (self._own, info.rss - info.shared):
                        most[process.pid] = max(size, most.get(process.pid, 0))

    def assert_bounded(self) -> None:
        """No process may take more than its bound, nor have died."""
        self.look()
        assert set(self._own) == set(self._own_before)
        assert max(self.most.values()) < PROCESS_BYTES_MAX, self.most

    def grown(self) -> int:
        """By how much the one grew that grew most, of what is its own."""
        return max(self._own[pid] - before for pid, before in self._own_before.items())


@contextmanager
def measured(server: Server) -> Iterator[Memory]:
    """Watch the memory of a server's processes, and see afterwards that it was bounded."""
    memory, over = Memory(server), threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            memory.look()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield memory
    finally:
        over.set()
        watching.join()
    memory.assert_bounded()


def answers_of(connection: socket.socket, count: int) -> int:
    """How many answers of status 200 come, until so many are there or the connection ends."""
    received, tail = 0, b""
    with suppress(OSError):
        while received < count and (part := connection.recv(1 << 16)):
            received += (tail + part).count(b"HTTP/1.1 200")
            tail = (tail + part)[-11:]
    return received
