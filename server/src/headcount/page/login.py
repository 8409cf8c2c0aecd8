"""Signing in with an API token, and out.

Takes a token from a form, once; gives the browser a cookie that names a session or, in a cluster,
is one, sealed. The cookie goes to no other site, scripts cannot read it, and the token itself is
never in an address, nor in a cookie as it is. Whoever was sent here from a page of this server gets
to that page, and to no other address.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from litestar import Request, Response, get, post

from headcount.api.v1.workspace import WorkspaceBody
from headcount.page.asking import ApiRefusal
from headcount.page.assets import LIBRARY
from headcount.page.pages import redirect
from headcount.page.sessions import Grant
from headcount.page.visits import (
    check_origin,
    form_of,
    give_cookie,
    keep_session,
    parts_of,
    posted,
    session_of,
)

__all__ = ["LOGIN_HANDLERS", "page_within", "sign_in_address"]

_ENDED = "ended"
_ONLY_HERE = "only-here"
_NEXT = "next"
_NEXT_CHARACTERS_MAX = 2_000
_PAGES = ("/", "/page/source", "/page/manage", "/page/connect")
_OF_ONE_VISIT = "notice"


def page_within(address: str) -> str:
    """An address of this server's pages, to go to after signing in.

    Args:
        address: whatever a link or a form holds.

    Returns:
        The address with its path and query and nothing else; empty for anything but a page.
    """
    if len(address) > _NEXT_CHARACTERS_MAX or not (address.isascii() and address.isprintable()):
        return ""
    try:
        split = urlsplit(address)
        query = [pair for pair in parse_qsl(split.query) if pair[0] != _OF_ONE_VISIT]
    except ValueError:
        return ""
    # A page's path begins with one slash: what browsers take for another host has two.
    if split.scheme or split.netloc or split.path not in _PAGES:
        return ""
    return f"{split.path}?{urlencode(query)}" if query else split.path


def sign_in_address(*, ended: bool, wanted: str = "") -> str:
    """Where to sign in.

    Args:
        ended: whether a session has ended, which is said there.
        wanted: what was asked for; the page leads to it afterwards.
    """
    query = {_ENDED: "1"} if ended else {}
    wanted = page_within(wanted)
    if wanted not in ("", "/"):
        query[_NEXT] = wanted
    return f"/page/sign-in?{urlencode(query)}" if query else "/page/sign-in"


@get("/page/sign-in")
async def sign_in_form(request: Request[Any, Any, Any]) -> Response[bytes]:
    asked = request.query_params
    wanted = page_within(asked.get(_NEXT, ""))
    return await _form(request, ended=_ENDED in asked, wanted=wanted)


@post("/page/sign-in", status_code=200)
async def sign_in(request: Request[Any, Any, Any]) -> Response[bytes]:
    check_origin(request)
    form = await form_of(request)
    secret, wanted = form.get("token", "").strip(), page_within(form.get(_NEXT, ""))
    if not (secret.isascii() and secret.isprintable() and secret):
        problem = "Paste an API token; it begins with hct_."
        return await _form(request, 422, problem=problem, wanted=wanted)
    parts = parts_of(request)
    try:
        body = await parts.api.ask(secret, WorkspaceBody, "/headcount/v1/workspace")
    except ApiRefusal as refusal:
        # A token that is no token gets a sentence about headers, which nobody here has typed.
        problem = refusal.message if " " not in secret else "This is no API token."
        return await _form(request, refusal.status, problem=problem, wanted=wanted)
    grant = Grant(body.workspace.id, body.workspace.name, secret)
    former = session_of(request)
    session = parts.sessions.sign_in(former, grant)
    if former is not None:
        await parts.sessions.end(former)
    [workspace] = parse_qs(urlsplit(wanted).query).get("workspace", [grant.workspace_id])[-1:]
    # A link to a workspace that this token does not open would only ask for another one.
    answer = redirect(wanted if wanted and workspace in session.grants else "/")
    session.secure = _is_secure(request)
    give_cookie(answer.set_cookie, parts.sessions.cookie_of(session), secure=session.secure)
    keep_session(request, None)
    return answer


@post("/page/sign-out", status_code=200)
async def sign_out(request: Request[Any, Any, Any]) -> Response[bytes]:
    visit, _ = await posted(request)
    is_over = await visit.parts.sessions.end(visit.session)
    answer = redirect("/page/sign-in" if is_over else f"/page/sign-in?{_ONLY_HERE}=1")
    give_cookie(answer.set_cookie, "", secure=_is_secure(request), max_age=0)
    keep_session(request, None)
    return answer


async def _form(
    request: Request[Any, Any, Any],
    status: int = 200,
    *,
    ended: bool = False,
    problem: str | None = None,
    wanted: str = "",
) -> Response[bytes]:
    parts = parts_of(request)
    session = session_of(request)
    return await parts.pages.send(
        request,
        "sign_in",
        status,
        ended=ended,
        only_here=_ONLY_HERE in request.query_params,
        problem=problem,
        wanted=wanted,
        asset=parts.assets.address,
        # Made and loaded while the person looks for the token, so that charts need no waiting.
        prefetch=parts.assets.address(LIBRARY) if parts.assets.can_draw else None,
        held=[grant.workspace_name for grant in session.grants.values()]
        if session and not ended
        else [],
    )


def _is_secure(request: Request[Any, Any, Any]) -> bool:
    # Behind a proxy that ends TLS, the browser's own word for where it is.
    origin = request.headers.get("origin", "")
    return request.url.scheme == "https" or origin.startswith("https:")


LOGIN_HANDLERS = [sign_in_form, sign_in, sign_out]
