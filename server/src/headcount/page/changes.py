"""Changes that forms of the page ask for: takes what each does, gives its route.

Whatever comes of it, the page that the form stood on is shown again, with a sentence about it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from headcount.page.asking import ApiRefusal
from headcount.page.pages import redirect
from headcount.page.sessions import Notice
from headcount.page.visits import Visit, posted

__all__ = ["ADDRESS", "Change", "changing"]

ADDRESS = "own_address"
"""Under which name a change finds the beginning of this site's addresses, as the browser has it."""

Change = Callable[[Visit, dict[str, str], str], Awaitable[Notice]]
"""Takes the visit, the form's fields and what the path names; does it through the API."""


def changing(path: str, *, back: str = "/page/manage") -> Callable[[Change], HTTPRouteHandler]:
    """Decorator: a change that a form asks for, and the notice that it leaves.

    Args:
        path: where the form is posted to; `named` in it is what the change is about.
        back: the page that is shown then.
    """

    def register(change: Change) -> HTTPRouteHandler:
        async def handler(request: Request[Any, Any, Any]) -> Response[bytes]:
            visit, form = await posted(request)
            form[ADDRESS] = _own_address(request)
            try:
                notice = await change(visit, form, str(request.path_params.get("named", "")))
            except ApiRefusal as refusal:
                notice = Notice(refusal.message, "failed")
            name = visit.session.leave_notice(notice)
            return redirect(visit.address(back, notice=name))

        return post(path, status_code=200)(handler)

    return register


def _own_address(request: Request[Any, Any, Any]) -> str:
    # Behind a proxy that ends TLS, the browser's own word for where it is.
    origin = request.headers.get("origin", "")
    if origin.startswith(("http:", "https:")):
        return origin
    return f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
