"""Which page a call asks for."""

from __future__ import annotations

from pydantic import Field, StrictInt, StrictStr

from ._base import ApiModel

__all__ = ["PaginationInput"]


class PaginationInput(ApiModel):
    """Which page a call asks for, and how long it may be. Without both: the server's first page."""

    cursor: StrictStr | None = Field(
        default=None,
        description="Where to go on: `next` or `previous` of an earlier answer. "
        "Without it, the first page.",
    )
    count: StrictInt | None = Field(
        default=None,
        description="How many rows a page holds at most, 1 to 1000. Without it, the server's "
        "default applies.",
    )
