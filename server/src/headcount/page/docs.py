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
    "SOURCE_ID": ("...", "headcount source list --workspace NAME"),
    "TOKEN_ID": ("...", "headcount token list --workspace NAME"),
    "LINK_ID": ("...", "headcount link list --workspace NAME"),
    "VENDOR_WRITE_KEY": ("...", "the one that the vendor gave you"),
}
"""What the variables of examples are to hold, and what tells it, in the order of their use."""


@get("/docs")
async def docs(request: Request[Any, Any, Any]) -> Response[bytes]:
    parts = parts_of(request)
    content, variables = await parts.descriptions.content()
    known = {
        "API": (f"{request.url.scheme}://{request.url.netloc}", ""),
        "TRACKING": (tracking_url(request), ""),
        **_FOUND,
    }
    shown = [*(name for name in known if name in variables), *sorted({*variables} - {*known})]
    return await parts.pages.send(
        request,
        "docs",
        asset=parts.assets.address,
        content=content,
        variables={name: known.get(name, ("...", "")) for name in shown},
        tracking_url=known["TRACKING"][0],
        signed_in=session_of(request) is not None,
    )


DOCS_HANDLERS = [docs]
