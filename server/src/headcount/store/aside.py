"""Rows of what is set aside, as the embedded store has them, for the store and its moments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headcount.counting.aside import AsideSum
from headcount.counting.calendar import Period

__all__ = ["aside_sums"]


def aside_sums(found: Iterable[tuple[Any, ...]]) -> list[AsideSum]:
    """The sums that the statement `ASIDE` gave."""
    return [
        AsideSum(reason, workspace, None if number is None else Period(number), *rest)
        for reason, workspace, number, *rest in found
    ]
