"""Words for people that several rooms need: takes numbers, gives them with their nouns."""

from __future__ import annotations

__all__ = ["number_of"]


def number_of(count: int, noun: str) -> str:
    """A number with the noun that it counts: `1 month`, `2 months`, `2 entries`."""
    if count != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{count:,} {noun}"
