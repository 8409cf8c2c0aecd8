"""Accepting by TLS: takes a listening socket, gives connections whose handshake is done.

A handshake has bounded time, and there is a bounded number of them under way: at the bound the
oldest makes room, so that connections which say nothing keep nobody out. What fails here is a
client that leaves, a scanner, or an old version of TLS: counted, and no error of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable

from headcount import metrics
from headcount.http.accepting import TRY_LATER
from headcount.http.certificates import Certificates
from headcount.http.crowd import connections_max

__all__ = ["TlsListener", "handshakes_max"]

_WITHIN_S = 10.0
_SHUTDOWN_WITHIN_S = 3.0
_UNDER_WAY_MAX = 1024
_PAUSE_S = 0.1


def handshakes_max() -> int:
    """How many handshakes may be under way: half of the descriptors that connections leave."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return _UNDER_WAY_MAX
    return max(1, min(_UNDER_WAY_MAX, (hard - connections_max()) // 2))


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
        self._sock = sock
        self._certificates = certificates
        self._protocol = protocol
        self._failed = metrics.CONNECTIONS_DROPPED.labels(address, "handshake")
        self._most = handshakes_most
        # In the order in which they began.
        self._under_way: dict[asyncio.Task[None], None] = {}
        sock.setblocking(False)
        self._accepting = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Accept no more, and give up what is under way."""
        self._accepting.cancel()
        for handshake in self._under_way:
            handshake.cancel()

    async def wait_closed(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(self._accepting, *self._under_way, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(self._sock)
            except OSError as error:
                if error.errno in TRY_LATER:
                    await asyncio.sleep(_PAUSE_S)
                continue
            if len(self._under_way) >= self._most:
                next(iter(self._under_way)).cancel()
            handshake = asyncio.create_task(self._greet(sock))
            self._under_way[handshake] = None
            handshake.add_done_callback(self._over)

    def _over(self, handshake: asyncio.Task[None]) -> None:
        self._under_way.pop(handshake, None)

    async def _greet(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
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
