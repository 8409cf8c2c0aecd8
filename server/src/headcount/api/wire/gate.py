"""The outermost layer: what holds for every request, known path or not, success or failure.

Takes any HTTP request, gives it an id, finds its token, counts it against the token's budget and
settles its media type, before any routing; labels every answer on its way out. Refuses the
request itself only for too many requests.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Message, Receive, Scope, Send

from headcount import tracing
from headcount.api.services import Services
from headcount.api.telemetry import UNMATCHED
from headcount.api.wire.context import LINK_KEY, STATE_KEY, RequestContext
from headcount.api.wire.media import JSON, negotiate
from headcount.api.wire.problems import Problem, RateLimitData, problem_of
from headcount.api.wire.ratelimit import RateLimiter, RateLimitStatus
from headcount.catalog import Link, Token

__all__ = ["Gate", "bearer_secret"]

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE | re.ASCII)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="headcount"'}
_BAD_TOKEN = {"WWW-Authenticate": 'Bearer realm="headcount", error="invalid_token"'}

_HARDENING = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Sent unless an answer brings its own: no browser may take an answer for more than data."""


class Gate:
    """The ASGI application that serves.

    Args:
        app: what answers the requests that are let through.
        services: for the clock and the tokens.
        limiter: counts requests by token.
        open_paths: paths that take no token, so that a token sent there is not looked at.
    """

    def __init__(
        self, app: Litestar, services: Services, limiter: RateLimiter, open_paths: frozenset[str]
    ) -> None:
        self._app = app
        self._services = services
        self._limiter = limiter
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or take part in the server's start and stop."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        # The page asks in the task of its own request, and what is logged is of that one.
        if tracing.current_id() is None:
            tracing.begin(scope)
        request_id = tracing.current_id() or tracing.id_of(scope)
        context = RequestContext(request_id, negotiate(_header(scope, b"accept")))
        # A HEAD is a GET whose body stays here; the copy leaves the server's own scope alone.
        inner: HTTPScope = {**scope, "state": {**scope.get("state", {}), STATE_KEY: context}}
        if scope["method"] == "HEAD":
            inner["method"] = "GET"
        answer = _Answer(context, scope, inner, send)
        try:
            self._identify(scope, context)
            await self._app(inner, receive, answer.send)
        except Exception as error:
            if answer.status is not None:
                raise
            await answer.refuse(problem_of(error))
        elapsed_s = time.perf_counter() - started_s
        self._services.metrics.observe(_route_of(inner), answer.status or 500, elapsed_s)

    def _identify(self, scope: HTTPScope, context: RequestContext) -> None:
        """Find the token, count the request.

        Raises:
            Problem: 429.
        """
        if "/" + scope["path"].strip("/") in self._open_paths:
            return
        now_ms = self._services.clock()
        link = scope.get(LINK_KEY)
        if isinstance(link, Link):
            self._admit(_reader_by(link, scope["method"]), context, now_ms)
            return
        secret = bearer_secret(scope)
        if secret is None:
            context.refusal = Problem(
                401,
                'An API token is needed, as one header "Authorization: Bearer <token>".',
                headers=_CHALLENGE,
            )
            return
        token = self._services.catalog.token_by_secret(secret)
        if token is None or not token.valid_at(now_ms):
            fault = (
                "is unknown" if token is None
                else "has been revoked" if token.revoked_at_ms is not None
                else "has expired"
            )  # fmt: skip
            context.refusal = Problem(
                401, f"This API token {fault}; make a new one.", headers=_BAD_TOKEN
            )
            return
        self._admit(token, context, now_ms)

    def _admit(self, token: Token, context: RequestContext, now_ms: int) -> None:
        """Let a request through, if there is room in its budget.

        Raises:
            Problem: 429.
        """
        context.token = token
        standing = self._limiter.take(token.id, now_ms)
        context.headers.update(_standing_headers(standing))
        if standing.refused:
            raise _too_many(standing)


def _reader_by(link: Link, method: str) -> Token:
    """What a link is to the API: a token that reads."""
    assert method == "GET", "the page only looks, where somebody has a link"
    made, expires, revoked = link.created_at_ms, link.expires_at_ms, link.revoked_at_ms
    return Token(link.id, link.workspace, "read", made, expires, revoked)


def bearer_secret(scope: Mapping[str, Any]) -> str | None:
    """The secret of the one token that a request brings in its head; None unless it is one."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    match = _BEARER.fullmatch(values[0].decode("latin-1").strip()) if values else None
    return match[1] if match is not None and len(values) == 1 else None


class _Answer:
    """Sends an answer on, with the headers that every answer carries.

    Attributes:
        status: HTTP status; None until the answer has started.
    """

    def __init__(
        self, context: RequestContext, scope: HTTPScope, inner: HTTPScope, send: Send
    ) -> None:
        self._context = context
        self._scope = scope
        self._inner = inner
        self._send = send
        self._without_body = scope["method"] == "HEAD"
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Take one message of the app, in ASGI's terms."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status >= 400:
                tracing.tell_outcome(self._scope, _route_of(self._inner))
            message["headers"] = self._headers(message["headers"])
        elif message["type"] == "http.response.body" and self._without_body:
            message["body"] = b""
        await self._send(message)

    async def refuse(self, problem: Problem) -> None:
        """Answer with an error envelope."""
        body = problem.body()
        headers = {
            **problem.headers,
            "Content-Type": JSON,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
        }
        await self.send(
            {"type": "http.response.start", "status": problem.status, "headers": _encoded(headers)}
        )
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    def _headers(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = []
        for name, value in given:
            lowered = name.lower()
            if lowered == b"content-type" and value == JSON.encode():
                value = (self._context.label or JSON).encode()
            elif lowered == b"allow" and b"GET" in value and b"HEAD" not in value:
                value += b", HEAD"
            headers.append((lowered, value))
        present = {name for name, _ in headers}
        common = {**_HARDENING, **self._context.headers, "X-Request-Id": self._context.request_id}
        return headers + [pair for pair in _encoded(common) if pair[0] not in present]


def _route_of(inner: HTTPScope) -> str:
    """The path's template: anybody can make up paths, and put anything into them."""
    return str(inner.get("path_template") or UNMATCHED)


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def _header(scope: HTTPScope, wanted: bytes) -> str | None:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]
    return ",".join(values) if values else None


def _standing_headers(standing: RateLimitStatus) -> dict[str, str]:
    # Rounded up: whoever waits until the second named has waited long enough.
    resets_at = datetime.fromtimestamp(-(-standing.resets_at_ms // 1000), UTC)
    return {
        "X-RateLimit-Remaining": str(standing.remaining),
        "X-RateLimit-Consumed": str(standing.consumed),
        "X-RateLimit-Reset": format_datetime(resets_at),
    }


def _too_many(standing: RateLimitStatus) -> Problem:
    wait_s = max(1, -(-standing.ms_before_next // 1000))
    return Problem(
        429,
        f"This API token has made its {standing.points} requests of a minute;"
        f" try again in {wait_s} s.",
        data=RateLimitData(standing.remaining, standing.ms_before_next, standing.consumed),
        headers={"Retry-After": str(wait_s)},
    )
