"""When something that a command makes is to expire: takes what a person typed, gives a moment."""

from __future__ import annotations

import re

from headcount.counting.calendar import MS_PER_DAY
from headcount.errors import UsageError

__all__ = ["EXPIRES_HELP", "expiry_ms"]

EXPIRES_HELP = (
    "30d or 12h from now, a date (its first second, UTC) or a date-time with a zone. Without it the"
    " {} does not expire."
)
_UNIT_MS = {"h": 3_600_000, "d": MS_PER_DAY}
_SPAN = re.compile(r"(\d{1,5})([hd])", re.ASCII)


def expiry_ms(text: str, made_at_ms: int) -> int:
    """The moment that `--expires` names.

    Args:
        text: what a person typed.
        made_at_ms: now, milliseconds since 1970.

    Raises:
        UsageError: it names none, or one that has passed.
    """
    from headcount.counting.calendar import parse_moment_ms

    if span := _SPAN.fullmatch(text):
        expires_at_ms = made_at_ms + int(span[1]) * _UNIT_MS[span[2]]
    else:
        try:
            expires_at_ms = parse_moment_ms(text if len(text) > 10 else f"{text}T00:00:00Z")
        except ValueError as error:
            raise UsageError(
                f'--expires is "{text}".',
                "Give 30d, 12h, a date such as 2027-01-01, or a date-time with a zone.",
            ) from error
    if expires_at_ms <= made_at_ms:
        raise UsageError(f"--expires {text} has passed already.", "Give a later moment.")
    return expires_at_ms
