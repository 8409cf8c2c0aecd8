"""What a `…_with_http_info` call gives: the decoded data with the answer it came in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

__all__ = ["ApiResponse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse(Generic[T]):
    """One answer.

    Attributes:
        status_code: HTTP status.
        headers: the answer's headers; names are found in any case.
        data: the decoded model.
        raw_data: the body as it came.
    """

    status_code: int
    headers: Mapping[str, str] | None = None
    data: T
    raw_data: bytes
