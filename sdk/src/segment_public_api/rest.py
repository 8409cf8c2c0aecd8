"""The synchronous transport, on urllib3. Takes one request; gives its answer; decides nothing."""

from __future__ import annotations

# Else the first call imports it, and a fork amid that leaves the import's lock held in the child.
import encodings.idna  # noqa: F401
import functools
import http.client
import importlib.util
import os
import re
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3 import exceptions as urllib3_exceptions

from . import _decode  # noqa: F401 — for the same reason
from ._deadline import POOL_CLASSES, reads_end_within
from ._exchange import REDIRECT_STATUSES, Send
from .exceptions import (
    ApiException,
    ApiValueError,
    BrokenConnectionException,
    ConnectFailedException,
    ConnectionException,
    ConnectTimeoutException,
    ReadTimeoutException,
    TlsException,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .configuration import Configuration

__all__ = ["ApiException", "RESTClientObject", "RESTResponse"]


class RESTResponse:
    """An answer; its body is there after `read()`.

    Attributes:
        response: urllib3's own response.
        status, reason: of the status line.
        data: the body, or None before `read()`.
        url: what was asked.
        secrets: what the request carried and no message may show.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str = "") -> None:
        self.response = response
        self.status = response.status
        self.reason = response.reason
        self.data: bytes | None = None
        self.url = url
        self.secrets: tuple[str, ...] = ()

    def read(self) -> bytes:
        """The body, read to its end at the first call."""
        if self.data is None:
            self.data = self.response.data
        return self.data

    def discard(self) -> None:
        """Give up the answer: an unread one closes its connection."""
        if self.data is None:
            self.response.close()

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers; names are found in any case."""
        return self.response.headers

    def getheaders(self) -> Mapping[str, str]:
        """The answer's headers; names are found in any case."""
        return self.response.headers

    def getheader(self, name: str, default: str | None = None) -> str | None:
        """One header, or `default`."""
        return self.response.headers.get(name, default)

    def get_redirect_location(self) -> str | None:
        """Where the answer points, if it is a redirect."""
        return self.getheader("location") if self.status in REDIRECT_STATUSES else None


class _Timeout(urllib3.Timeout):
    """Made for one request, so that nobody needs copies of it."""

    def clone(self) -> _Timeout:
        return self


class RESTClientObject:
    """Connections of one client, of each process its own.

    After a fork, what the parent opened stands in the child too, and both would read one another's
    answers. So each process has connections of its own; the inherited ones are neither used nor
    closed, since to end them properly is to say so on the parent's sockets, and their locks may
    have been held, at the fork, by a thread that does not exist here.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        # By process and scheme.
        self._pools: dict[tuple[int, str], urllib3.PoolManager] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy, in this process or another, opens connections of its own.
        return (type(self), (self._configuration,))

    def send(self, request: Send, *, read: bool) -> RESTResponse:
        """Make one request.

        Args:
            request: what to send, and its bounds.
            read: whether to read the body within the same bounds.

        Raises:
            ConnectionException: no whole answer came.
            ApiValueError: an address that cannot be asked.
        """
        bounds = request.timeouts
        timeout = _Timeout(connect=bounds.connect_s, read=bounds.read_s)
        try:
            with reads_end_within(bounds.total_s):
                connections, target = self._way(request.url)
                response = connections.urlopen(
                    request.method,
                    target,
                    body=request.body,
                    headers=request.headers,
                    timeout=timeout,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
                answer = RESTResponse(response, request.url)
                if read:
                    answer.read()
                return answer
        except (urllib3_exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise _translated(error) from error

    def close(self) -> None:
        """Close every connection; the next request opens new ones."""
        for (process, _), pool in list(self._pools.items()):
            if process == os.getpid():
                pool.clear()

    def _way(self, url: str) -> tuple[urllib3.PoolManager | urllib3.HTTPConnectionPool, str]:
        """Who sends a request to `url`, and the target that it is given.

        A manager takes every address apart, character by character, which takes longer than to
        validate 31 rows. Where only the host matters, its connections are asked themselves.
        """
        manager = self._pool(url)
        start = url.find("/", len("https://"))
        if start < 0 or self._configuration.proxy or "/." in url:
            return manager, url
        place = _place(url[:start])
        if place is None:
            return manager, url
        scheme, host, port = place
        return manager.connection_from_host(host, port, scheme), url[start:]

    def _pool(self, url: str) -> urllib3.PoolManager:
        # One manager a scheme: reading the system's certificates takes longer than a plain call.
        scheme = url.partition(":")[0]
        whose = (os.getpid(), scheme)
        pool = self._pools.get(whose)
        # Of two threads that come first at once, both get the one that stays.
        return pool or self._pools.setdefault(whose, _pool_manager(self._configuration, scheme))


@functools.lru_cache(maxsize=256)
def _place(address: str) -> tuple[str | None, str | None, int | None] | None:
    """Scheme, host and port of an address without a path; None of anything else."""
    url = urllib3.util.parse_url(address)
    if url.path or url.query or url.fragment or url.auth:
        return None
    return url.scheme, url.host, url.port


def _pool_manager(configuration: Configuration, scheme: str) -> urllib3.PoolManager:
    options: dict[str, Any] = {"maxsize": configuration.connection_pool_maxsize}
    if scheme == "https":
        from . import _tls

        options["ssl_context"] = _tls.context(configuration)
        options["cert_reqs"] = "CERT_REQUIRED" if configuration.verify_ssl else "CERT_NONE"
        if configuration.assert_hostname is not None:
            options["assert_hostname"] = configuration.assert_hostname
        if configuration.tls_server_name:
            options["server_hostname"] = configuration.tls_server_name
    if configuration.socket_options is not None:
        options["socket_options"] = list(configuration.socket_options)
    if not configuration.proxy:
        manager = urllib3.PoolManager(**options)
    elif configuration.proxy.startswith("socks"):
        manager = _socks_manager(configuration, options)
    else:
        manager = urllib3.ProxyManager(
            configuration.proxy, proxy_headers=configuration.proxy_headers, **options
        )
    if not configuration.proxy or not configuration.proxy.startswith("socks"):
        manager.pool_classes_by_scheme = POOL_CLASSES
    return manager


def _socks_manager(configuration: Configuration, options: dict[str, Any]) -> urllib3.PoolManager:
    if importlib.util.find_spec("socks") is None:
        raise ApiValueError("a SOCKS proxy needs PySocks: pip install 'urllib3[socks]'")
    from urllib3.contrib.socks import SOCKSProxyManager

    return SOCKSProxyManager(
        str(configuration.proxy), headers=dict(configuration.proxy_headers or {}), **options
    )


def _translated(error: Exception) -> Exception:
    """The exception of this package for one of urllib3, http.client or the socket."""
    # urllib3 puts its own object in front of what happened.
    words = re.sub(r"^<?[\w.]*Connection(Pool)?\(.*?\): ", "", str(error))
    reason = f"{type(error).__name__}: {words}"
    if isinstance(error, urllib3_exceptions.LocationValueError):
        return ApiValueError(f"host cannot be asked: {error}")
    if isinstance(error, urllib3_exceptions.ProxyError):
        return ConnectFailedException(status=0, reason=f"the proxy failed: {error.original_error}")
    # The order matters: urllib3 makes a refused connection a kind of connect timeout.
    kinds: tuple[tuple[type[Exception], type[ConnectionException]], ...] = (
        (urllib3_exceptions.NewConnectionError, ConnectFailedException),
        (urllib3_exceptions.ConnectTimeoutError, ConnectTimeoutException),
        (urllib3_exceptions.ReadTimeoutError, ReadTimeoutException),
        (TimeoutError, ReadTimeoutException),
        (urllib3_exceptions.SSLError, TlsException),
    )
    for theirs, ours in kinds:
        if isinstance(error, theirs):
            return ours(status=0, reason=reason)
    return BrokenConnectionException(status=0, reason=reason)
