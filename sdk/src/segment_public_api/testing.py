"""A transport without a network, for tests of programs that use this package.

Takes a function that answers requests; gives clients, synchronous and asynchronous, that ask it in
place of a server, and keeps what was asked. Everything else is the real client: arguments are
checked, answers decoded, errors raised and retries made as ever.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import responses
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from urllib3 import HTTPHeaderDict, HTTPResponse

from .api_client import ApiClient
from .configuration import Configuration
from .models._base import ApiModel
from .rest import RESTClientObject, RESTResponse

if TYPE_CHECKING:
    from . import aio
    from ._exchange import Send
    from .aio.rest import RESTClientObject as AsyncTransport
    from .aio.rest import RESTResponse as AsyncAnswer

__all__ = ["FakeReply", "FakeRequest", "FakeTransport", "usage_reply"]

ROWS_DEFAULT = 200

_NAMES_OF_ROWS = {
    "/usage/api-calls/daily": "dailyWorkspaceAPICallsUsage",
    "/usage/api-calls/sources/daily": "dailyPerSourceAPICallsUsage",
    "/usage/mtu/daily": "dailyWorkspaceMTUUsage",
    "/usage/mtu/sources/daily": "dailyPerSourceMTUUsage",
}


@dataclass(frozen=True)
class FakeRequest:
    """A request as it would have been sent.

    Attributes:
        method: `GET`.
        path: below the host, such as `/usage/mtu/daily`.
        query: names and values, decoded; `pagination` is JSON text.
        headers: as sent, the access token too.
        body: None of every operation of this package.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes | str | None = None

    @property
    def pagination(self) -> dict[str, Any]:
        """The page that is asked for: `count` and `cursor`, where they are given."""
        decoded: dict[str, Any] = json.loads(self.query.get("pagination", "{}"))
        return decoded


@dataclass(frozen=True)
class FakeReply:
    """An answer to give.

    Attributes:
        body: a model of this package, or what becomes JSON; bytes are sent as they are.
        status: of the answer.
        headers: beside `Content-Type`.
    """

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, ApiModel):
            return self.body.to_json().encode()
        return json.dumps(self.body).encode()


class FakeTransport:
    """Answers requests by a function, or with replies one after the other.

    Attributes:
        requests: everything that was asked so far, retries too.

    Args:
        answer: takes a `FakeRequest`, gives a `FakeReply`; what it raises, such as a
            `ConnectTimeoutException`, the client meets. Or the replies, in order.
    """

    def __init__(self, answer: Callable[[FakeRequest], FakeReply] | Sequence[FakeReply]) -> None:
        self.requests: list[FakeRequest] = []
        self._answer = answer

    def client(self, configuration: Configuration | None = None) -> ApiClient:
        """A client that asks this transport.

        Args:
            configuration: default one with a made-up token, and without retries, which would wait.
        """
        made = ApiClient(configuration or _configuration())
        made.rest_client = _Synchronous(made.configuration, self)
        return made

    def async_client(self, configuration: Configuration | None = None) -> aio.ApiClient:
        """The same for `segment_public_api.aio`, whose extra has to be installed."""
        from . import aio

        made = aio.ApiClient(configuration or _configuration())
        made.rest_client = _asynchronous(made.configuration, self)
        return made

    def reply_to(self, request: FakeRequest) -> FakeReply:
        """Keep a request, and give what it is answered.

        Raises:
            AssertionError: the replies are used up.
        """
        self.requests.append(request)
        if callable(self._answer):
            return self._answer(request)
        if len(self.requests) > len(self._answer):
            raise AssertionError(f"request {len(self.requests)}, and there is no reply left")
        return self._answer[len(self.requests) - 1]


def usage_reply(request: FakeRequest, rows: Sequence[ApiModel | Mapping[str, Any]]) -> FakeReply:
    """The page of a month's rows that a request of one of the four operations asks for.

    Args:
        request: of one of the four operations.
        rows: all rows of the month, in order: models, or dicts under the API's names.

    Raises:
        ValueError: it is a request of something else.
    """
    name = _NAMES_OF_ROWS.get(request.path)
    if name is None:
        raise ValueError(f"{request.path} is none of the four operations")
    count = request.pagination.get("count") or ROWS_DEFAULT
    start = int(request.pagination.get("cursor") or 0)
    page: dict[str, Any] = {"current": str(start), "totalEntries": len(rows)}
    if start + count < len(rows):
        page["next"] = str(start + count)
    if start:
        page["previous"] = str(max(0, start - count))
    shown = rows[start : start + count]
    listed = [row.to_dict() if isinstance(row, ApiModel) else dict(row) for row in shown]
    return FakeReply({"data": {name: listed, "pagination": page}})


def _configuration() -> Configuration:
    return Configuration(host="https://usage.invalid", access_token="made-up", retries=False)  # noqa: S106


def _request_of(sent: Send) -> FakeRequest:
    parts = urlsplit(sent.url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return FakeRequest(sent.method, parts.path, query, dict(sent.headers), sent.body)


def _headers_of(reply: FakeReply) -> HTTPHeaderDict:
    return HTTPHeaderDict({"Content-Type": "application/json", **reply.headers})


class _Synchronous(RESTClientObject):
    def __init__(self, configuration: Configuration, transport: FakeTransport) -> None:
        super().__init__(configuration)
        self._transport = transport

    def send(self, request: Send, *, read: bool) -> RESTResponse:
        reply = self._transport.reply_to(_request_of(request))
        response = HTTPResponse(
            io.BytesIO(reply.content),
            _headers_of(reply),
            reply.status,
            reason=responses.get(reply.status),
            preload_content=False,
        )
        answer = RESTResponse(response, request.url)
        if read:
            answer.read()
        return answer


class _AsyncResponse:
    """What the asynchronous client, and a reader of raw answers, use of aiohttp's response."""

    def __init__(self, reply: FakeReply) -> None:
        self.status = reply.status
        self.reason = responses.get(reply.status)
        self.headers = _headers_of(reply)
        self._content = reply.content

    async def read(self) -> bytes:
        return self._content

    async def text(self) -> str:
        return self._content.decode()

    async def json(self) -> Any:
        return json.loads(self._content)

    def close(self) -> None:
        pass


def _asynchronous(configuration: Configuration, transport: FakeTransport) -> AsyncTransport:
    from .aio import rest

    class Asynchronous(rest.RESTClientObject):
        async def send(self, request: Send, *, read: bool) -> AsyncAnswer:
            response: Any = _AsyncResponse(transport.reply_to(_request_of(request)))
            answer = rest.RESTResponse(response, request.url)
            if read:
                await answer.read()
            return answer

    return Asynchronous(configuration)
