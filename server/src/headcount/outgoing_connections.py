"""Connections to other people's servers, which do what HTTP allows and what it does not.

Takes where one is, gives urllib3's pool for it, of which: answers before the answer (1xx) are
passed over, so that none is ever taken for that of the next request; one answer takes so long at
most, however slowly it trickles; all of a conversation does, looking names up, TLS and redirects
too, where whoever begins it sets a limit; and where only public hosts may be reached, a name is
looked up, all its addresses are judged, and one of these is connected to: no other lookup comes in
between.
"""

from __future__ import annotations

import http.client
import io
import logging
import socket
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from headcount.forwarding_targets import public_addresses
from headcount.name_lookup import Address, addresses_of

__all__ = ["ANSWER_WITHIN_S", "TimeLimit", "connect_any", "connect_public", "pool_of"]

ANSWER_WITHIN_S = 60.0
"""For how long one answer is waited for and read, all in all."""

_INTERIM_MAX = 16
# A vendor's broken headers would be a warning with a trace for each of its answers. By a filter as
# well as by a level, since every configuration of the usage client sets the level anew.
logging.getLogger("urllib3").setLevel(logging.ERROR)
logging.getLogger("urllib3.connection").addFilter(lambda record: record.levelno >= logging.ERROR)


class TimeLimit:
    """Ends connections once their time is over, whatever they are waited for then.

    Limits of each step alone let each byte come in time, and the last one never.

    Args:
        within_s: for how long they may last, from when it is entered.

    Attributes:
        is_over: whether their time is over.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._until_s = 0.0
        self._lock = threading.Lock()
        self._held: list[socket.socket] = []
        self._timer = threading.Timer(within_s, self._end)
        self._timer.daemon = True
        self.is_over = False

    def __enter__(self) -> TimeLimit:
        self._until_s = time.monotonic() + self._within_s
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for each in self._held:
                each.close()
            self._held.clear()

    def left_s(self) -> float:
        """How many seconds are left, at least a little: nothing can be waited for in none."""
        return max(0.001, self._until_s - time.monotonic())

    def holds(self, sock: socket.socket) -> None:
        """End this connection too."""
        with self._lock:
            # One of our own: TLS takes the descriptor away from what it is put upon.
            self._held.append(sock.dup())
            is_over = self.is_over
        if is_over:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            for each in self._held:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


def pool_of(
    split: urllib.parse.SplitResult, *, by_token: bool, limit: TimeLimit | None = None
) -> urllib3.PoolManager:
    """The pool of connections to a vendor, through the proxy that the environment names for it.

    Args:
        split: its address.
        by_token: whether it has to be public.
        limit: ends them all when it is over.
    """
    context = ssl.create_default_context()
    proxies = urllib.request.getproxies_environment()
    proxy = proxies.get(split.scheme) or proxies.get("all")
    pool: urllib3.PoolManager
    if proxy and not urllib.request.proxy_bypass(split.hostname or ""):
        pool = urllib3.ProxyManager(proxy, num_pools=1, maxsize=1, ssl_context=context)
        by_token = False
    else:
        pool = urllib3.PoolManager(num_pools=1, maxsize=1, ssl_context=context)
    plain = _PublicPlainPool if by_token else _PlainPool
    secure = _PublicPool if by_token else _SecurePool
    pool.pool_classes_by_scheme = {
        "http": partial(plain, limit=limit),  # type: ignore[dict-item]
        "https": partial(secure, limit=limit),  # type: ignore[dict-item]
    }
    return pool


class _VendorResponse(http.client.HTTPResponse):
    """An answer that comes within its time, or not at all."""

    def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        until_s = time.monotonic() + ANSWER_WITHIN_S
        self.fp = io.BufferedReader(_Bounded(self.fp, sock, until_s))

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_INTERIM_MAX):
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if status[1] >= 200:
                return status
            http.client.parse_headers(self.fp)
        raise http.client.BadStatusLine("1xx without an end")


class _Bounded(io.RawIOBase):
    """The bytes of a socket until a moment."""

    def __init__(self, source: io.BufferedIOBase, sock: socket.socket, until_s: float) -> None:
        self._source = source.detach()
        self._sock = sock
        self._until_s = until_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer trickles")
        given_s = self._sock.gettimeout()
        if given_s is None or given_s > left_s:
            self._sock.settimeout(left_s)
        count: int | None = self._source.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()


class _Limited(HTTPConnection):
    """A connection that may have a limit of time."""

    response_class = _VendorResponse

    def __init__(self, *args: Any, limit: TimeLimit | None = None, **named: Any) -> None:
        super().__init__(*args, **named)
        self._limit = limit

    def _new_conn(self) -> Any:
        made = self._connected()
        if self._limit is not None:
            self._limit.holds(made)
        return made

    def _connected(self) -> Any:
        try:
            return connect_any(*self._place(), self._options())
        except socket.gaierror as error:
            raise urllib3.exceptions.NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise urllib3.exceptions.ConnectTimeoutError(self, "it does not answer") from error
        except OSError as error:
            raise urllib3.exceptions.NewConnectionError(self, str(error)) from error

    def _place(self) -> tuple[str, int, float]:
        """Where to, and for how long that is tried."""
        within = self.timeout
        within_s = within if isinstance(within, int | float) else ANSWER_WITHIN_S
        if self._limit is not None:
            within_s = min(within_s, self._limit.left_s())
        return self._dns_host.strip("[]"), self.port, within_s

    def _options(self) -> Sequence[tuple[int, int, int]]:
        return tuple(self.socket_options or ())  # type: ignore[arg-type]


class _PlainConnection(_Limited):
    """A connection in the clear."""


class _SecureConnection(_Limited, HTTPSConnection):
    """A connection by TLS."""


def connect_any(
    host: str, port: int, timeout_s: float | None, options: Sequence[tuple[int, int, int]] = ()
) -> socket.socket:
    """A connection to a host, whatever network it is of.

    Args:
        host, port: where it is.
        timeout_s: for how long it is tried, looking its name up and all its addresses together;
            each has its share.
        options: of the socket.

    Raises:
        OSError: it has no address, or none of them can be reached.
        UnicodeError: it is no name of a machine.
    """
    return _connected(addresses_of, host, port, timeout_s, options)


def connect_public(
    host: str, port: int, timeout_s: float | None, options: Sequence[tuple[int, int, int]] = ()
) -> socket.socket:
    """A connection to a host all of whose addresses are public, to one that was judged.

    Args:
        host, port, timeout_s, options: as for `connect_any`.

    Raises:
        OSError: it has none, or one that is not; or none of them can be reached.
    """
    return _connected(public_addresses, host, port, timeout_s, options)


def _connected(
    look_up: Callable[[str, int, float], Sequence[Address]],
    host: str,
    port: int,
    timeout_s: float | None,
    options: Sequence[tuple[int, int, int]],
) -> socket.socket:
    failure: OSError | None = None
    until_s = None if timeout_s is None else time.monotonic() + timeout_s
    found = look_up(host, port, ANSWER_WITHIN_S if timeout_s is None else timeout_s)
    for place, (family, kind, protocol, _, address) in enumerate(found):
        made = socket.socket(family, kind, protocol)
        try:
            for option in options:
                made.setsockopt(*option)
            if until_s is not None:
                share_s = (until_s - time.monotonic()) / (len(found) - place)
                made.settimeout(max(0.001, share_s))
            made.connect(address)
        except OSError as error:
            made.close()
            failure = error
        else:
            made.settimeout(timeout_s)
            return made
    raise failure or OSError(None, "it has no address")


class _PublicPlainConnection(_PlainConnection):
    """A connection to a public host, in the clear."""

    def _connected(self) -> Any:
        return connect_public(*self._place(), self._options())


class _PublicConnection(_SecureConnection):
    """A connection to a public host."""

    def _connected(self) -> Any:
        return connect_public(*self._place(), self._options())


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _PublicPlainPool(HTTPConnectionPool):
    ConnectionCls = _PublicPlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _PublicPool(HTTPSConnectionPool):
    ConnectionCls = _PublicConnection
