"""Accepting by TLS: takes a listening socket, gives connections whose handshake is done.

A handshake takes more time than many requests, and whoever asks for one need not say anything of
itself. So one begins only when its client has said something, a few in a round of the event loop,
and addresses take turns. Where many come from one address, as they do through some proxies, the
newest and the oldest are served by turns: a client that has just come waits for a few others
instead of for all, and nobody is passed by for ever.

A handshake has bounded time, and there is a bounded number of them under way: at the bound the
oldest makes room, so that connections which say nothing keep nobody out. What fails here is a
client that leaves, a scanner, or an old version of TLS: counted, and no error of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import resource
import socket
from collections import OrderedDict, deque
from collections.abc import Callable

from headcount import telemetry
from headcount.http.accepting import Accepting
from headcount.http.certificates import Certificates
from headcount.http.crowd import connections_max

__all__ = ["Handshakes", "TlsListener", "handshakes_max"]

_WITHIN_S = 10.0
_SHUTDOWN_WITHIN_S = 3.0
# Each that stops half way holds some 55 KiB.
_UNDER_WAY_MAX = 512
# Each is a millisecond and more.
_IN_ROUND = 2
_RECEIVE_BYTES = 32 * 1024
# An address of IPv6 is mostly one of as many as its holder likes.
_NETWORK_BITS = 64


def handshakes_max() -> int:
    """How many handshakes may be under way: half of the descriptors that connections leave."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return _UNDER_WAY_MAX
    return max(1, min(_UNDER_WAY_MAX, (hard - connections_max()) // 2))


class Handshakes:
    """Lets handshakes begin, a few in a round of the loop.

    Args:
        in_round: how many.
    """

    def __init__(self, in_round: int = _IN_ROUND) -> None:
        self._in_round = in_round
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._turns = False
        self._newest = False

    async def turn(self, address: str) -> None:
        """Return when it is the turn of a handshake.

        Args:
            address: where its client is, as the socket says it.
        """
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(_network(address), deque()).append(turn)
        if not self._turns:
            self._turns = True
            asyncio.get_running_loop().call_soon(self._turn)
        await turn

    def _turn(self) -> None:
        """Once a round, while any wait."""
        begun = 0
        while self._waiting and begun < self._in_round:
            network, queue = self._waiting.popitem(last=False)
            self._newest = not self._newest
            turn = queue.pop() if self._newest else queue.popleft()
            if queue:
                self._waiting[network] = queue
            if not turn.done():  # its client may have gone
                turn.set_result(None)
                begun += 1
        self._turns = begun > 0
        if self._turns:
            asyncio.get_running_loop().call_soon(self._turn)


def _network(address: str) -> str:
    if ":" not in address:
        return address
    place = ipaddress.IPv6Address(address.partition("%")[0])
    mapped = place.ipv4_mapped
    return str(mapped or int(place) >> 128 - _NETWORK_BITS)


class TlsListener:
    """Accepts until it is closed.

    Args:
        sock: listens, and is closed by whoever opened it.
        certificates: hold the TLS context for the next connection.
        protocol: makes the protocol of a connection.
        address: which one it is, `"tracking"` or `"api"`; a metric's label.
        handshakes_most: how many may be under way.
    """

    def __init__(
        self,
        sock: socket.socket,
        certificates: Certificates,
        protocol: Callable[[], asyncio.Protocol],
        address: str,
        handshakes_most: int,
    ) -> None:
        self._certificates = certificates
        self._protocol = protocol
        self._failed = telemetry.CONNECTIONS_DROPPED.labels(address, "handshake")
        self._most = handshakes_most
        # In the order in which they began.
        self._under_way: dict[asyncio.Task[None], None] = {}
        self._handshakes = Handshakes()
        self._loop = asyncio.get_running_loop()
        # What comes at once of a connection is what TLS keeps room for until it ends.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        self._accepting = Accepting(sock, self._begin)

    def close(self) -> None:
        """Accept no more, and give up what is under way."""
        self._accepting.close()
        for handshake in self._under_way:
            handshake.cancel()

    async def wait_closed(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _begin(self, sock: socket.socket, address: str) -> None:
        if len(self._under_way) >= self._most:
            next(iter(self._under_way)).cancel()
        handshake = self._loop.create_task(self._greet(sock, address))
        self._under_way[handshake] = None
        handshake.add_done_callback(self._over)

    def _over(self, handshake: asyncio.Task[None]) -> None:
        self._under_way.pop(handshake, None)

    async def _greet(self, sock: socket.socket, address: str) -> None:
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._said_something(sock)
                await self._handshakes.turn(address)
            await self._loop.connect_accepted_socket(
                self._protocol,
                sock,
                ssl=self._certificates.context,
                ssl_handshake_timeout=_WITHIN_S,
                ssl_shutdown_timeout=_SHUTDOWN_WITHIN_S,
            )
        except (OSError, asyncio.CancelledError):  # ssl.SSLError and TimeoutError are OSErrors
            self._failed.inc()
            with contextlib.suppress(OSError):
                sock.close()

    async def _said_something(self, sock: socket.socket) -> None:
        """Wait without what a handshake takes: some 50 KiB for each client that says nothing."""
        said: asyncio.Future[None] = self._loop.create_future()

        def say() -> None:
            if not said.done():
                said.set_result(None)

        self._loop.add_reader(sock, say)
        try:
            await said
        finally:
            self._loop.remove_reader(sock)
