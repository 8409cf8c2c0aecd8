"""Words for people that several rooms need: takes numbers, gives them with what they count."""

from __future__ import annotations

__all__ = ["number_of"]


def number_of(count: int, noun: str, does: str = "", do: str = "") -> str:
    """A number with the noun that it counts: `1 month`, `2 months`, `2 entries`.

    Args:
        count: the number.
        noun: what there is one of.
        does: what one of them does, such as `waits`.
        do: what several do.
    """
    verb = does if count == 1 else do
    if count != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{count:,} {noun} {verb}".rstrip()
