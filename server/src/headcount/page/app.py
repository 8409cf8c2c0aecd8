"""The page as an ASGI application: routes, the headers of every answer, and failures.

Takes the API's own application, which it asks in the process; gives an application for `/`,
`/docs` and everything under `/page/`. Whatever fails is answered with a page that says what to do
next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, NotFoundException
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from headcount import telemetry, tracing
from headcount.api.opened_links import LinkOver, Links, link_secret
from headcount.page.alert_pages import ALERT_PAGE_HANDLERS
from headcount.page.asking import Api, ApiRefusal
from headcount.page.assets import Assets
from headcount.page.cluster_state import CLUSTER_PAGE_HANDLERS
from headcount.page.connecting import CONNECTING_HANDLERS
from headcount.page.dashboard import DASHBOARD_HANDLERS
from headcount.page.descriptions import Descriptions
from headcount.page.docs import DOCS_HANDLERS
from headcount.page.explained import EXPLAINED_HANDLERS
from headcount.page.link_visits import LINK_VISIT_HANDLERS
from headcount.page.login import LOGIN_HANDLERS, sign_in_address
from headcount.page.managing import MANAGING_HANDLERS
from headcount.page.one_month import MONTH_HANDLERS
from headcount.page.one_source import SOURCE_PAGE_HANDLERS
from headcount.page.pages import Pages, redirect
from headcount.page.sessions import Sessions
from headcount.page.sharing import SHARING_HANDLERS
from headcount.page.taking_along import TAKING_HANDLERS
from headcount.page.visits import Forbidden, Parts, SignedOut, parts_of, renewed_cookie

__all__ = ["PAGE_STATUSES", "create_page", "is_of_page"]

PAGE_STATUSES = frozenset((200, 303, 304, 400, 401, 403, 404, 405, 413, 422, 429, 500, 503))
"""The statuses that the page answers with."""

_LINK_OVER = (
    "It was revoked, has expired, or was not copied whole. Ask whoever gave it to you for another."
)
_log = logging.getLogger(__name__)

_BODY_BYTES_MAX = 64 * 1024
_HARDENING = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self';"
    b" img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self';"
    b" frame-ancestors 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    b"referrer-policy": b"same-origin",
    b"x-content-type-options": b"nosniff",
}
# Whoever sees the address of a link can use it: no other site is told, and nothing finds it.
_OF_LINKS = {b"referrer-policy": b"no-referrer", b"x-robots-tag": b"noindex, nofollow, noarchive"}
_HANDLERS = (
    *DASHBOARD_HANDLERS,
    *SOURCE_PAGE_HANDLERS,
    *MONTH_HANDLERS,
    *EXPLAINED_HANDLERS,
    *TAKING_HANDLERS,
    *CONNECTING_HANDLERS,
    *MANAGING_HANDLERS,
    *SHARING_HANDLERS,
    *ALERT_PAGE_HANDLERS,
    *LINK_VISIT_HANDLERS,
    *LOGIN_HANDLERS,
    *DOCS_HANDLERS,
    *CLUSTER_PAGE_HANDLERS,
)
_FOR_PROGRAMS = "/page/fresh"


def is_of_page(path: str) -> bool:
    """Whether a path is the page's to answer."""
    return path in ("/", "/page", "/docs") or path.startswith("/page/")


def create_page(
    *,
    api: ASGIApp,
    sessions: Sessions,
    links: Links,
    clock: Callable[[], int],
    tracking_url: str,
    tracking_document: Mapping[str, Any],
) -> ASGIApp:
    """The page, for one process and one event loop.

    Args:
        api: the API's application; it should grant a larger budget of requests than to programs,
            since an open page asks often.
        sessions: who is signed in.
        links: what opens views without a token.
        clock: the time, in milliseconds since 1970.
        tracking_url: where tracking SDKs post, as shown in snippets.
        tracking_document: what describes that address, in OpenAPI.
    """
    asked, pages = Api(api), Pages()
    descriptions = Descriptions(asked, tracking_document, pages)
    parts = Parts(
        *(asked, sessions, links, pages, Assets(), clock, tracking_url),
        descriptions,
    )
    app = Litestar(
        route_handlers=[*_HANDLERS, asset],
        state=State({"parts": parts}),
        exception_handlers={Exception: _refuse},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=_BODY_BYTES_MAX,
    )

    async def hardened(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return

        without_body = scope["method"] == "HEAD"

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                telemetry.PAGE_REQUESTS.labels(str(message["status"])).inc()
                if message["status"] >= 400:
                    tracing.tell_outcome(scope, str(inner.get("path_template") or "the page"))
                present = {name.lower() for name, _ in message["headers"]}
                added = {**_HARDENING, b"cache-control": b"no-store"}
                if link_secret(scope["path"]) is not None:
                    added |= _OF_LINKS
                message["headers"] = [
                    *message["headers"],
                    *(pair for pair in added.items() if pair[0] not in present),
                ]
                if (renewed := renewed_cookie(sessions, inner)) is not None:
                    message["headers"] = [*message["headers"], (b"set-cookie", renewed)]
            elif message["type"] == "http.response.body" and without_body:
                message["body"] = b""
            await send(message)

        inner: HTTPScope = {**scope, "state": {**scope.get("state", {})}}
        if without_body:
            inner["method"] = "GET"
        await app(inner, receive, send_on)

    return hardened


@get("/page/assets/{name:str}")
async def asset(request: Request[Any, Any, Any]) -> Response[bytes]:
    """A file that pages load; its address changes with it, unless it is the library."""
    found = await parts_of(request).assets.find(request.path_params["name"])
    if found is None:
        raise NotFoundException("There is no such file.")
    tag = f'"{found.digest}"'
    headers = {
        "Cache-Control": (
            "public, max-age=31536000, immutable"
            if request.query_params.get("v") == found.digest
            else "no-cache"
        ),
        "ETag": tag,
    }
    if request.headers.get("if-none-match") == tag:
        return Response(b"", status_code=304, headers=headers, media_type=found.media_type)
    headers["Content-Encoding"] = "gzip"
    return Response(found.content, headers=headers, media_type=found.media_type)


def _refuse(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """What is answered instead of what was asked for."""
    if isinstance(error, SignedOut):
        if request.url.path == _FOR_PROGRAMS:
            return _for_programs(401, "Your session is over.")
        if not error.ended and request.headers.get("sec-fetch-site") == "cross-site":
            # Whoever follows a link from another site comes without the cookie, which is kept from
            # such requests; the page asks once more by itself, and is then its own visitor.
            parts = parts_of(request)
            return parts.pages.send_small(request, "again", asset=parts.assets.address)
        # What a form has sent is not sent again; the page that it stood on is one click away.
        wanted = f"{request.url.path}?{request.url.query}" if request.method == "GET" else ""
        return redirect(sign_in_address(ended=error.ended, wanted=wanted))
    if isinstance(error, LinkOver):
        return _failure(request, 404, "This link shows nothing", _LINK_OVER, onward=False)
    headers = {}
    if isinstance(error, ApiRefusal):
        status, title, message = error.status, "That did not work", error.message
        if error.retry_after_s is not None:
            headers["Retry-After"] = str(error.retry_after_s)
    elif isinstance(error, Forbidden):
        status, title, message = 403, "Nothing was changed", str(error)
    elif isinstance(error, HTTPException) and error.status_code < 500:
        status, title = error.status_code, "There is nothing here"
        message = "This address leads nowhere. Your usage is on the first page."
        headers |= error.headers or {}
    else:
        _log.exception("a page could not be made", exc_info=error)
        status, title = 500, "Something went wrong here"
        message = (
            "The server could not make this page. What was wrong is in its log; try again. The"
            f" request was {tracing.current_id()}."
        )
    if request.url.path == _FOR_PROGRAMS:
        answer = _for_programs(status, message)
    else:
        answer = _failure(request, status, title, message)
    answer.headers.update(headers)
    return answer


def _for_programs(status: int, message: str) -> Response[bytes]:
    body = msgspec.json.encode({"message": message})
    return Response(body, status_code=status, media_type="application/json")


def _failure(
    request: Request[Any, Any, Any], status: int, title: str, message: str, *, onward: bool = True
) -> Response[bytes]:
    parts = parts_of(request)
    return parts.pages.send_small(
        request,
        "failure",
        status,
        asset=parts.assets.address,
        title=title,
        message=message,
        link_address="/" if onward else "",
        link="To the first page",
    )
