"""Words for people that several rooms need: takes numbers, gives them with what they count."""

from __future__ import annotations

from datetime import date

__all__ = ["change_text", "count_text", "month_text", "number_of", "percent_text", "range_text"]

_MINUS = "\N{MINUS SIGN}"
_TIMES_FROM = 100


def count_text(count: int) -> str:
    """A count with its thousands apart: `1,234,567`."""
    return f"{count:,}".replace("-", _MINUS)


def month_text(period: str) -> str:
    """A month, named by its first day `2026-11-01`: `November 2026`."""
    return f"{date.fromisoformat(period):%B %Y}"


def range_text(low: int, high: int) -> str:
    """The ends of an estimate's range: `16,414 to 17,812`; empty where it has no width."""
    return "" if low == high else f"{count_text(low)} to {count_text(high)}"


def percent_text(part: float, whole: float) -> str:
    """A share: `12.4 %`; tiny and huge ones without false precision."""
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "< 0.1 %"
    digits = 1 if abs(share) < 100 else 0
    return f"{share:,.{digits}f} %".replace("-", _MINUS)


def change_text(now: int, before: int) -> str:
    """A change as a share of what was before, or in words where there is no such number."""
    if now == before:
        return "no change"
    if before <= 0:
        return "new"
    if now >= _TIMES_FROM * before:
        return f"{count_text(now // before)} times"
    return f"{'+' if now > before else ''}{percent_text(now - before, before)}"


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
