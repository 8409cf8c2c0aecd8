"""Asking the API in the same process, as any client would, but without a socket.

Takes a token, a method and a path, gives the decoded answer; raises what the API refuses. The
token's access, the checks and the words of every error are thereby the API's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar.types import ASGIApp

from headcount.api.opened_links import OpenedLink
from headcount.api.wire.context import LINK_KEY

__all__ = ["Api", "ApiRefusal", "Query"]

Answer = TypeVar("Answer")
Query = Sequence[tuple[str, str]]


class ApiRefusal(Exception):
    """The API answered with an error.

    Attributes:
        status: the HTTP status.
        message: the API's sentence for people.
        retry_after_s: when to try again, in seconds; None when it does not say.
    """

    def __init__(self, status: int, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s


class _Success(msgspec.Struct, Generic[Answer]):
    data: Answer


class _Error(msgspec.Struct):
    message: str


class _Failure(msgspec.Struct):
    errors: list[_Error]


class _Readiness(msgspec.Struct):
    troubles: list[_Error] = []


class Api:
    """The API.

    Args:
        app: the ASGI application that serves it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def ask(
        self,
        who: str | OpenedLink,
        shape: type[Answer],
        path: str,
        *,
        method: str = "GET",
        query: Query = (),
        body: object = None,
    ) -> Answer:
        """Ask one thing.

        Args:
            who: the secret of an API token, in ASCII; or the link by which somebody looks, whose
                secret opens nothing there.
            shape: what a success's `data` holds, as far as it is wanted.
            path: the path, not escaped.
            method: the HTTP method.
            query: names and values of the query string.
            body: what to send as JSON; None for nothing.

        Raises:
            ApiRefusal: it answered with an error.
        """
        status, headers, content = await self._exchange(who, path, method, query, body)
        if status < 400:
            return msgspec.json.decode(content, type=_Success[shape]).data  # type: ignore[valid-type]
        refused = msgspec.json.decode(content, type=_Failure)
        wait = headers.get(b"retry-after")
        raise ApiRefusal(status, refused.errors[0].message, int(wait) if wait is not None else None)

    async def hindrances(self) -> list[str]:
        """Why the server is not ready, else what its operator should know, as `/readyz` says it.

        Returns:
            Sentences for people; none when all is well.
        """
        status, _, content = await self._exchange(None, "/readyz", "GET", (), None)
        if status < 400:
            said = msgspec.json.decode(content, type=_Readiness).troubles
        else:
            said = msgspec.json.decode(content, type=_Failure).errors
        return [each.message for each in said]

    async def document(self) -> dict[str, Any]:
        """What describes the API, as plain JSON values."""
        _, _, content = await self._exchange(None, "/openapi.json", "GET", (), None)
        document: dict[str, Any] = msgspec.json.decode(content)
        return document

    async def _exchange(
        self, who: str | OpenedLink | None, path: str, method: str, query: Query, body: object
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": urlencode(query).encode(),
            "root_path": "",
            "headers": [],
            "client": None,
            "server": None,
        }
        if isinstance(who, OpenedLink):
            scope[LINK_KEY] = who.link
        elif who is not None:
            scope["headers"] = [(b"authorization", f"Bearer {who}".encode("ascii"))]
        content = b"" if body is None else msgspec.json.encode(body)
        parts: list[bytes] = []
        status, headers = 500, dict[bytes, bytes]()

        async def receive() -> Any:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], dict(message["headers"])
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        await self._app(scope, receive, send)  # type: ignore[arg-type]
        return status, headers, b"".join(parts)
