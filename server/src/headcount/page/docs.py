"""The page at /docs: what both addresses say about themselves, and where this server has them."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from headcount.page.connecting import tracking_url
from headcount.page.visits import parts_of, session_of

__all__ = ["DOCS_HANDLERS"]

_FOUND = {
    "TOKEN": ("hct_...", "headcount token add --workspace NAME --scope admin"),
    "WRITE_KEY": ("...", "headcount source list --workspace NAME"),
    "SOURCE_ID": ("...", "the same list"),
    "TOKEN_ID": ("...", "headcount token list --workspace NAME"),
}
"""What the variables of examples are to hold, and what tells it."""


@get("/docs")
async def docs(request: Request[Any, Any, Any]) -> Response[bytes]:
    parts = parts_of(request)
    content, variables = await parts.descriptions.content()
    known = {
        "API": (f"{request.url.scheme}://{request.url.netloc}", ""),
        "TRACKING": (tracking_url(request), ""),
    }
    return await parts.pages.send(
        request,
        "docs",
        asset=parts.assets.address,
        content=content,
        variables={name: (known | _FOUND).get(name, ("...", "")) for name in variables},
        tracking_url=known["TRACKING"][0],
        signed_in=session_of(request) is not None,
    )


DOCS_HANDLERS = [docs]
