"""The asynchronous transport, on aiohttp. Takes one request; gives its answer; decides nothing."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
import yarl
from urllib3 import HTTPHeaderDict

from segment_public_api import _tls
from segment_public_api._exchange import REDIRECT_STATUSES, Send
from segment_public_api.exceptions import (
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

    from segment_public_api.configuration import Configuration

__all__ = ["ApiException", "RESTClientObject", "RESTResponse"]


class RESTResponse:
    """An answer; its body is there after `await read()`.

    Attributes:
        response: aiohttp's own response.
        status, reason: of the status line.
        data: the body, or None before `read()`.
        url: what was asked.
        secrets: what the request carried and no message may show.
    """

    def __init__(self, response: aiohttp.ClientResponse, url: str = "") -> None:
        self.response = response
        self.status = response.status
        self.reason = response.reason
        self.data: bytes | None = None
        self.url = url
        self.secrets: tuple[str, ...] = ()
        self._headers = HTTPHeaderDict(response.headers.items())

    async def read(self) -> bytes:
        """The body, read to its end at the first call."""
        if self.data is None:
            self.data = await self.response.read()
        return self.data

    def discard(self) -> None:
        """Give up the answer: an unread one closes its connection."""
        if self.data is None:
            self.response.close()

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers; names are found in any case."""
        return self._headers

    def getheaders(self) -> Mapping[str, str]:
        """The answer's headers; names are found in any case."""
        return self._headers

    def getheader(self, name: str, default: str | None = None) -> str | None:
        """One header, or `default`."""
        return self._headers.get(name, default)

    def get_redirect_location(self) -> str | None:
        """Where the answer points, if it is a redirect."""
        return self.getheader("location") if self.status in REDIRECT_STATUSES else None


class RESTClientObject:
    """Connections of one client, opened at its first request."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._session: aiohttp.ClientSession | None = None
        # Which process opened it: after a fork it stands in the child too.
        self._process = 0
        self._tls: ssl.SSLContext | None = None
        if configuration.proxy and configuration.proxy.startswith("socks"):
            raise ApiValueError("segment_public_api.aio has no SOCKS; use an http:// proxy")

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy, in this process or another, opens connections of its own.
        return (type(self), (self._configuration,))

    async def send(self, request: Send, *, read: bool) -> RESTResponse:
        """Make one request.

        Args:
            request: what to send, and its bounds.
            read: whether to read the body within the same bounds.

        Raises:
            ConnectionException: no whole answer came.
            ApiValueError: an address that cannot be asked, or connections of another process.
        """
        session = self._open_session()
        configuration = self._configuration
        headers = dict(request.headers)
        if configuration.proxy and configuration.proxy_headers and request.url.startswith("http:"):
            # aiohttp sends them with CONNECT alone; a plain request is for the proxy to read too.
            headers = {**configuration.proxy_headers, **headers}
        bounds = request.timeouts
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=bounds.connect_s, sock_read=bounds.read_s
        )
        try:
            # Not aiohttp's own total: that one would go on to bound a body that is read later.
            async with asyncio.timeout(bounds.total_s):
                response = await session.request(
                    request.method,
                    # Encoded already: the same bytes go out as from the synchronous client.
                    yarl.URL(request.url, encoded=True),
                    data=request.body,
                    headers=headers,
                    allow_redirects=False,
                    timeout=timeout,
                    proxy=configuration.proxy,
                    proxy_headers=configuration.proxy_headers,
                    **self._tls_options(request.url),
                )
                answer = RESTResponse(response, request.url)
                if read:
                    await answer.read()
                return answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _translated(error) from error

    async def close(self) -> None:
        """Close every connection; the next request opens new ones.

        Connections that were inherited in a fork stay as they are: they are the parent's.
        """
        if self._session is not None and self._process == os.getpid():
            await self._session.close()
            self._session = None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._process = os.getpid()
            configuration = self._configuration
            options: dict[str, Any] = {}
            if configuration.socket_options is not None:
                options["socket_factory"] = self._socket
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit_per_host=configuration.connection_pool_maxsize,
                    **options,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=(_once,),
                # As urllib3 does it: what comes is what was asked for, and no type without a body.
                headers={"Accept-Encoding": "identity"},
                skip_auto_headers=("Content-Type",),
            )
        if self._process != os.getpid():
            raise ApiValueError(
                "this segment_public_api.aio.ApiClient was used before the process was forked, and"
                " its connections belong to the parent; make a new one in the child"
            )
        return self._session

    def _socket(self, address: Any) -> socket.socket:
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        try:
            for option in self._configuration.socket_options or ():
                made.setsockopt(*option)
        except BaseException:
            made.close()
            raise
        return made

    def _tls_options(self, url: str) -> dict[str, Any]:
        if not url.startswith("https:"):
            return {}
        configuration = self._configuration
        if self._tls is None:
            self._tls = _tls.context(configuration)
        name = configuration.assert_hostname or configuration.tls_server_name
        return {"ssl": self._tls, **({"server_hostname": name} if isinstance(name, str) else {})}


class _EndedError(aiohttp.ClientError):
    """A connection that ended, under a name that aiohttp does not act upon."""


async def _once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating requests by itself: unseen, uncounted, and with retries off."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _EndedError(f"{type(error).__name__}: {error}") from error


def _translated(error: Exception) -> Exception:
    """The exception of this package for one of aiohttp or the socket."""
    named = "" if isinstance(error, _EndedError) else f"{type(error).__name__}: "
    reason = f"{named}{error}"
    if isinstance(error, aiohttp.InvalidURL):
        return ApiValueError(f"host cannot be asked: {error}")
    # The order matters: aiohttp makes its TLS errors a kind of connection error.
    kinds: tuple[tuple[type[Exception], type[ConnectionException]], ...] = (
        (aiohttp.ConnectionTimeoutError, ConnectTimeoutException),
        (TimeoutError, ReadTimeoutException),
        (aiohttp.ClientSSLError, TlsException),
        (aiohttp.ClientConnectorError, ConnectFailedException),
        (aiohttp.ClientHttpProxyError, ConnectFailedException),
    )
    for theirs, ours in kinds:
        if isinstance(error, theirs):
            return ours(status=0, reason=reason)
    return BrokenConnectionException(status=0, reason=reason)
