"""A page for people at /docs, made from the OpenAPI document: nothing is fetched, nothing runs.

Takes the document, gives one HTML page; every text in it is escaped. The page may load no script,
and no style but its own, which its Content-Security-Policy names by digest.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from litestar import Request, Response
from markupsafe import Markup

from headcount.api.wire.contract import Contract, endpoint

__all__ = ["DOCS_HANDLERS", "docs_page"]

_ENVIRONMENT = Environment(
    loader=PackageLoader("headcount.api.description", ""),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE = Path(__file__).with_name("docs.css").read_text("utf-8")
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)


def docs_page(document: dict[str, Any]) -> str:
    """An OpenAPI document as one HTML page."""
    # The style is ours and holds nothing to escape, which would change its digest.
    style = Markup(_STYLE)  # noqa: S704
    return _ENVIRONMENT.get_template("docs.html").render(document, style=style)


@endpoint(
    "GET",
    "/docs",
    Contract(
        name="getDocs",
        summary="This page",
        description="The description for people; it loads nothing and runs nothing.",
        tag="Description",
        answer=None,
        media_type="text/html",
        access="open",
    ),
)
def docs(request: Request[Any, Any, Any]) -> Response[str]:
    return Response(
        request.app.state.docs_page,
        media_type="text/html",
        headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"},
    )


DOCS_HANDLERS = [docs]
