"""The body of every answer that is an error."""

from __future__ import annotations

from pydantic import Field

from ._base import ApiModel
from .request_error import RequestError

__all__ = ["RequestErrorEnvelope"]


class RequestErrorEnvelope(ApiModel):
    """The body of every answer that is an error."""

    errors: list[RequestError] = Field(description="Everything that is wrong with the request.")
