"""Accepting: takes a listening socket, gives sockets, many in a round of the loop.

The loop's own server accepts one connection a round: where each round has work to do, whoever comes
behind a thousand others waits for a thousand rounds before anybody sees what it asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable

__all__ = ["Accepting", "Listener"]

# The system has no descriptor or memory for one more connection: later it may.
_TRY_LATER = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_IN_ROUND_MAX = 256
_PAUSE_S = 0.1


class Accepting:
    """Accepts until it is closed.

    Args:
        sock: listens, and is closed by whoever opened it.
        begin: is given each socket, and the address of its client.
    """

    def __init__(self, sock: socket.socket, begin: Callable[[socket.socket, str], None]) -> None:
        self._sock = sock
        self._begin = begin
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._is_closed = False
        sock.setblocking(False)
        self._listen()

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock, self._accept)

    def close(self) -> None:
        """Accept no more."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._pause is not None:
            self._pause.cancel()
        # uvicorn has closed the socket by now, which the loop may not be asked about any more.
        with contextlib.suppress(OSError, ValueError):
            self._loop.remove_reader(self._sock)

    def _accept(self) -> None:
        for _ in range(_IN_ROUND_MAX):
            try:
                sock, place = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _TRY_LATER:
                    self._loop.remove_reader(self._sock)
                    self._pause = self._loop.call_later(_PAUSE_S, self._listen)
                    return
                continue  # whoever it was has left
            sock.setblocking(False)
            self._begin(sock, place[0])


class Listener:
    """Gives connections without TLS until it is closed.

    Args:
        sock: listens, and is closed by whoever opened it.
        protocol: makes the protocol of a connection.
    """

    def __init__(self, sock: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        self._accepting = Accepting(sock, self._begin)

    def close(self) -> None:
        """Accept no more."""
        self._accepting.close()

    async def wait_closed(self) -> None:
        """Wait until nothing is on its way."""
        await asyncio.gather(*self._beginning, return_exceptions=True)

    def _begin(self, sock: socket.socket, _address: str) -> None:
        beginning = self._loop.create_task(self._connect(sock))
        self._beginning.add(beginning)
        beginning.add_done_callback(self._beginning.discard)

    async def _connect(self, sock: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, sock)
        except OSError:
            sock.close()
