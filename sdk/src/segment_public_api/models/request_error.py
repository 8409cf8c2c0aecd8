"""One thing that is wrong with a request."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, StrictStr

from ._base import NullableModel, Number

__all__ = ["RequestError"]


class RequestError(NullableModel):
    """One thing that is wrong with a request."""

    nullable_fields: ClassVar[frozenset[str]] = frozenset({"data"})

    type: StrictStr = Field(description="Kind of error, such as `input-validation`.")
    message: StrictStr | None = Field(default=None, description="What is wrong, in words.")
    var_field: StrictStr | None = Field(
        default=None, alias="field", description="The argument that is wrong."
    )
    data: Any | None = Field(
        default=None, description="More about the error, for example the state of a rate limit."
    )
    status: Number | None = Field(default=None, description="HTTP status of this error.")
