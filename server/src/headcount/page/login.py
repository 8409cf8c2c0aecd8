"""Signing in with an API token, and out.

Takes a token from a form, once; gives the browser a cookie that names a session. The cookie goes to
no other site, scripts cannot read it, and the token itself is never in it or in an address.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post

from headcount.api.v1.workspace import WorkspaceBody
from headcount.page.asking import ApiRefusal
from headcount.page.assets import LIBRARY
from headcount.page.pages import redirect
from headcount.page.sessions import Grant
from headcount.page.visits import (
    SESSION_COOKIE,
    check_origin,
    form_of,
    parts_of,
    posted,
    session_of,
)

__all__ = ["LOGIN_HANDLERS", "sign_in_address"]

_ENDED = "ended"


def sign_in_address(*, ended: bool) -> str:
    """Where to sign in; says, when a session has ended, that it has."""
    return f"/page/sign-in?{_ENDED}=1" if ended else "/page/sign-in"


@get("/page/sign-in")
async def sign_in_form(request: Request[Any, Any, Any]) -> Response[bytes]:
    return await _form(request, ended=_ENDED in request.query_params)


@post("/page/sign-in", status_code=200)
async def sign_in(request: Request[Any, Any, Any]) -> Response[bytes]:
    check_origin(request)
    secret = (await form_of(request)).get("token", "").strip()
    if not (secret.isascii() and secret.isprintable() and secret):
        return await _form(request, 422, problem="Paste an API token; it begins with hct_.")
    parts = parts_of(request)
    try:
        body = await parts.api.ask(secret, WorkspaceBody, "/headcount/v1/workspace")
    except ApiRefusal as refusal:
        # A token that is no token gets a sentence about headers, which nobody here has typed.
        problem = refusal.message if " " not in secret else "This is no API token."
        return await _form(request, refusal.status, problem=problem)
    grant = Grant(body.workspace.id, body.workspace.name, secret)
    session = parts.sessions.sign_in(session_of(request), grant)
    answer = redirect("/")
    _set_cookie(request, answer, session.id)
    return answer


@post("/page/sign-out", status_code=200)
async def sign_out(request: Request[Any, Any, Any]) -> Response[bytes]:
    visit, _ = await posted(request)
    visit.parts.sessions.end(visit.session)
    answer = redirect("/page/sign-in")
    _set_cookie(request, answer, "", max_age=0)
    return answer


async def _form(
    request: Request[Any, Any, Any],
    status: int = 200,
    *,
    ended: bool = False,
    problem: str | None = None,
) -> Response[bytes]:
    parts = parts_of(request)
    session = session_of(request)
    return await parts.pages.send(
        request,
        "sign_in",
        status,
        ended=ended,
        problem=problem,
        asset=parts.assets.address,
        # Made and loaded while the person looks for the token, so that charts need no waiting.
        prefetch=parts.assets.address(LIBRARY) if parts.assets.can_draw else None,
        held=[grant.workspace_name for grant in session.grants.values()] if session else [],
    )


def _set_cookie(
    request: Request[Any, Any, Any],
    answer: Response[bytes],
    value: str,
    max_age: int | None = None,
) -> None:
    # Behind a proxy that ends TLS, the browser's own word for where it is.
    origin = request.headers.get("origin", "")
    secure = request.url.scheme == "https" or origin.startswith("https:")
    answer.set_cookie(
        SESSION_COOKIE,
        value,
        max_age=max_age,
        path="/",
        httponly=True,
        samesite="strict",
        secure=secure,
    )


LOGIN_HANDLERS = [sign_in_form, sign_in, sign_out]
