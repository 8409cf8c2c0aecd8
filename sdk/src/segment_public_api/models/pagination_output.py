"""Where a page stands among its neighbours."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, StrictStr

from ._base import NullableModel, Number

__all__ = ["PaginationOutput"]


class PaginationOutput(NullableModel):
    """Where a page stands among its neighbours."""

    nullable_fields: ClassVar[frozenset[str]] = frozenset({"next", "previous"})

    current: StrictStr = Field(description="Cursor of this page.")
    next: StrictStr | None = Field(
        default=None, description="Cursor of the page after this one; missing on the last."
    )
    previous: StrictStr | None = Field(
        default=None, description="Cursor of the page before this one; missing on the first."
    )
    total_entries: Number | None = Field(
        default=None,
        alias="totalEntries",
        description="How many rows all pages hold together.",
    )
