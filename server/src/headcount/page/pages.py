"""Templates and how HTML is sent: takes a template's name and values, gives an answer.

Every value is escaped by the templates; a name that a template uses and nobody gave is an error.
Large pages are made and compressed in a thread, so that readers of the API need not wait.
"""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response
from markupsafe import Markup

from headcount import wording
from headcount.page import figures

__all__ = ["Pages", "redirect", "theme_of"]

_COMPRESSION_LEVEL = 5
_COMPRESSED_BYTES_MIN = 1_000
_THEMES = ("light", "dark")
THEME_COOKIE = "headcount_theme"


def theme_of(request: Request[Any, Any, Any]) -> str | None:
    """The theme that a person chose over their system's; None without a choice."""
    chosen = request.cookies.get(THEME_COOKIE)
    return chosen if chosen in _THEMES else None


def redirect(address: str) -> Response[bytes]:
    """Send a browser to another address of this page, with a GET."""
    return Response(b"", status_code=303, headers={"Location": address}, media_type="text/html")


class Pages:
    """The templates of this package."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("headcount.page"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(
            count=wording.count_text,
            share=wording.percent_text,
            day=figures.day_text,
            weekday=figures.weekday_text,
            month=wording.month_text,
            moment=figures.moment_text,
            price=figures.price_text,
        )

    def part(self, template: str, **values: Any) -> Markup:
        """A part of a page, to be put into one.

        Args:
            template: its file's name without ending.
            values: what the template shows.
        """
        made = self._environment.get_template(f"{template}.html").render(values)
        return Markup(made)  # noqa: S704 - a template of ours, which has escaped what it was given

    async def send(
        self, request: Request[Any, Any, Any], template: str, status: int = 200, **values: Any
    ) -> Response[bytes]:
        """A page.

        Args:
            request: whose browser will show it.
            template: its file's name without ending.
            status: the HTTP status.
            values: what the template shows.
        """
        return await asyncio.to_thread(self.send_small, request, template, status, **values)

    def send_small(
        self, request: Request[Any, Any, Any], template: str, status: int = 200, **values: Any
    ) -> Response[bytes]:
        """A page that takes no time to make; as `send`."""
        values["theme"] = theme_of(request)
        may_compress = "gzip" in request.headers.get("accept-encoding", "")
        body = self._environment.get_template(f"{template}.html").render(values).encode()
        headers = {"Vary": "Accept-Encoding"}
        if may_compress and len(body) >= _COMPRESSED_BYTES_MIN:
            body = gzip.compress(body, _COMPRESSION_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return Response(body, status_code=status, media_type="text/html", headers=headers)
