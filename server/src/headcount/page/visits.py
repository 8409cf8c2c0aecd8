"""One request of somebody who is signed in, and where changes may come from.

Takes a request, gives the session behind it and the API to ask in its name; refuses requests
without a session, and changes that another site or an old form sent.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from litestar import Request, Response
from litestar.enums import RequestEncodingType
from litestar.exceptions import ClientException, InternalServerException
from litestar.types import HTTPScope

from headcount.api.opened_links import Links
from headcount.page.asking import Api, ApiRefusal, Query
from headcount.page.assets import Assets
from headcount.page.descriptions import Descriptions
from headcount.page.pages import Pages
from headcount.page.sessions import Grant, Session, Sessions

__all__ = [
    "SESSION_COOKIE",
    "Forbidden",
    "Parts",
    "SignedOut",
    "Viewer",
    "Visit",
    "check_origin",
    "form_of",
    "give_cookie",
    "keep_session",
    "parts_of",
    "posted",
    "renewed_cookie",
    "session_of",
    "visit_of",
    "workspace_seen",
]

SESSION_COOKIE = "headcount_session"
_KEPT = "headcount_session"
Answer = TypeVar("Answer")
Form = dict[str, str]

_FIELDS_MAX = 64


class SignedOut(Exception):
    """There is no session, or it has ended.

    Attributes:
        ended: whether there was one.
    """

    def __init__(self, *, ended: bool) -> None:
        super().__init__("signed out")
        self.ended = ended


class Forbidden(Exception):
    """A change did not come from a form of this page; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the handlers work with.

    Attributes:
        api: the API.
        sessions: who is signed in.
        links: what opens views without a token.
        pages: the templates.
        assets: the files that pages load.
        clock: the time, in milliseconds since 1970.
        tracking_url: where tracking SDKs post, as the server knows it.
        descriptions: what both addresses say about themselves.
    """

    api: Api
    sessions: Sessions
    links: Links
    pages: Pages
    assets: Assets
    clock: Callable[[], int]
    tracking_url: str
    descriptions: Descriptions


class Viewer(Protocol):
    """Whoever looks at pages of one workspace: signed in, or with a link that needs no token."""

    @property
    def shared(self) -> bool:
        """Whether a link is all that this person has: nothing is told of the server then."""

    @property
    def parts(self) -> Parts:
        """What the handlers work with."""

    async def ask(self, shape: type[Answer], path: str, *, query: Query = ()) -> Answer:
        """Ask the API in the name of this person; see `Api.ask`.

        Raises:
            ApiRefusal: it answered with an error.
        """

    def address(self, path: str, **query: str | None) -> str:
        """An address of a page that this person may see; empty for any other."""

    def common(self) -> dict[str, Any]:
        """What every page that this person sees shows."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is signed in, about one workspace."""

    parts: Parts
    session: Session
    grant: Grant

    @property
    def shared(self) -> bool:
        """As for `Viewer`."""
        return False

    async def ask(
        self,
        shape: type[Answer],
        path: str,
        *,
        method: str = "GET",
        query: Query = (),
        body: object = None,
    ) -> Answer:
        """Ask the API in the name of this person; see `Api.ask`.

        Raises:
            ApiRefusal: it answered with an error.
            SignedOut: the token was revoked or has expired, and is forgotten.
        """
        try:
            return await self.parts.api.ask(
                self.grant.secret, shape, path, method=method, query=query, body=body
            )
        except ApiRefusal as refusal:
            if refusal.status != 401:
                raise
            self.parts.sessions.drop(self.session, self.grant)
            raise SignedOut(ended=True) from refusal

    def address(self, path: str, **query: str | None) -> str:
        """An address of this page about this workspace."""
        named = {"workspace": self.grant.workspace_id, **query}
        return f"{path}?{urlencode({key: value for key, value in named.items() if value})}"

    def common(self) -> dict[str, Any]:
        """What every page of somebody who is signed in shows."""
        return {
            "frame": "signed_in.html",
            "shared": self.shared,
            "workspace_id": self.grant.workspace_id,
            "workspace_name": self.grant.workspace_name,
            "workspaces": sorted(
                self.session.grants.values(), key=lambda grant: grant.workspace_name.casefold()
            ),
            "form_key": self.session.form_key,
            "address": self.address,
        }


def parts_of(request: Request[Any, Any, Any]) -> Parts:
    """The parts of the app that handles a request."""
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


def session_of(request: Request[Any, Any, Any]) -> Session | None:
    """The session behind a request's cookie."""
    found = parts_of(request).sessions.find(request.cookies.get(SESSION_COOKIE))
    keep_session(request, found)
    return found


def keep_session(request: Request[Any, Any, Any], session: Session | None) -> None:
    """Say which session the answer to a request may have to give anew to the browser."""
    request.scope["state"][_KEPT] = session


def renewed_cookie(sessions: Sessions, scope: HTTPScope) -> bytes | None:
    """The header that gives a browser its session anew, where the request has changed it."""
    session: Session | None = scope.get("state", {}).get(_KEPT)
    renewed = None if session is None else sessions.renewed_cookie(session)
    if session is None or renewed is None:
        return None
    answer: Response[bytes] = Response(b"")
    give_cookie(answer.set_cookie, renewed, secure=session.secure)
    return answer.cookies[0].to_encoded_header()[1]


def give_cookie(
    set_cookie: Callable[..., None], value: str, *, secure: bool, max_age: int | None = None
) -> None:
    """Give a browser the cookie of its session, or none.

    Args:
        set_cookie: of the answer.
        value: what it holds.
        secure: whether it goes over TLS alone.
        max_age: 0 to take it away.
    """
    set_cookie(
        SESSION_COOKIE,
        value,
        max_age=max_age,
        path="/",
        httponly=True,
        samesite="strict",
        secure=secure,
    )


def workspace_seen(sessions: Sessions, cookies: bytes) -> str | None:
    """The id of the workspace that a browser with these cookies signed in to last, if it still is.

    For telling visitors from strangers before their requests are looked at: nothing is used, or
    proven, by it.
    """
    for cookie in cookies.split(b";"):
        name, _, value = cookie.strip().partition(b"=")
        if name == SESSION_COOKIE.encode():
            session = sessions.look_at(value.decode("latin-1"))
            grant = session.grant(None) if session is not None else None
            return grant.workspace_id if grant is not None else None
    return None


def visit_of(request: Request[Any, Any, Any], workspace_id: str | None = None) -> Visit:
    """The visit behind a request.

    Args:
        request: the request.
        workspace_id: the workspace that it is about; the address says when None.

    Raises:
        SignedOut: nobody is signed in, or not to that workspace.
    """
    session = session_of(request)
    if session is None:
        raise SignedOut(ended=SESSION_COOKIE in request.cookies)
    grant = session.grant(workspace_id or request.query_params.get("workspace"))
    if grant is None:
        raise SignedOut(ended=True)
    return Visit(parts_of(request), session, grant)


async def posted(request: Request[Any, Any, Any]) -> tuple[Visit, Form]:
    """The visit and the fields of a form of this session.

    Raises:
        Forbidden: another site sent it, or it is older than the session.
        SignedOut: nobody is signed in.
    """
    check_origin(request)
    form = await form_of(request)
    visit = visit_of(request, form.get("workspace", ""))
    if not hmac.compare_digest(form.get("form_key", "").encode(), visit.session.form_key.encode()):
        raise Forbidden("This form is older than your session. Go back, reload, and try again.")
    return visit, form


async def form_of(request: Request[Any, Any, Any]) -> Form:
    """The texts of a posted form, as forms of this page are sent: urlencoded.

    Anybody can post one, so a form of thousands of fields is refused before they are taken apart.

    Raises:
        ClientException: the client left before its end, or it is none of this page's forms.
    """
    try:
        body = await request.body()
    except InternalServerException:  # what Litestar raises for that, and for nothing else
        raise ClientException("The form did not come to its end.") from None
    if request.content_type[0] != RequestEncodingType.URL_ENCODED:
        return {}
    try:
        # As text: of bytes it gives back only what is ASCII.
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS_MAX))
    except ValueError:
        raise ClientException("This is no form of this page.") from None


def check_origin(request: Request[Any, Any, Any]) -> None:
    """Let only this page's own forms change anything.

    Browsers say where a request comes from: in `Sec-Fetch-Site` over https and on the machine
    itself, in `Origin` everywhere. What says neither is no browser that could be misled.

    Raises:
        Forbidden: it comes from another site.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        own = site in ("same-origin", "none")
    else:
        own = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if not own:
        raise Forbidden("This was sent by another site, and nothing was changed.")
