"""Which media type an answer is labelled with: the one body there is has several names.

Takes an Accept header, gives a name or None when none of ours is acceptable.
"""

from __future__ import annotations

import re

__all__ = ["JSON", "NAMES", "negotiate"]

JSON = "application/json"
NAMES = (
    JSON,
    "application/vnd.segment.v1+json",
    "application/vnd.segment.v1beta+json",
    "application/vnd.segment.v1alpha+json",
    "application/vnd.segment.stable+json",
    "application/vnd.segment.beta+json",
    "application/vnd.segment.alpha+json",
)
"""Names of the one JSON body; the first is used when the client does not care."""

_QUALITY = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE | re.ASCII)


def negotiate(accept: str | None) -> str | None:
    """The name that the client likes best.

    Of equally liked names the more specific wins, then the one that was listed first. A range
    whose quality cannot be read counts as fully liked: nobody is refused for a typing mistake
    beside a name that we do have.

    Args:
        accept: the Accept header, several of them joined with commas, or None without one.

    Returns:
        One of `NAMES`; None when the header excludes all of them.
    """
    if accept is None or not accept.strip():
        return JSON
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    # A name's quality is that of the most specific range that covers it, also when that is 0.
    best: tuple[float, int, int] | None = None
    chosen = None
    for name in NAMES:
        covering = [
            (specificity, -place, quality)
            for place, (pattern, quality) in enumerate(ranges)
            if (specificity := _covers(pattern, name)) > 0
        ]
        if not covering:
            continue
        specificity, place, quality = max(covering)
        if quality > 0 and (best is None or (quality, specificity, place) > best):
            best, chosen = (quality, specificity, place), name
    return chosen


def _range(part: str) -> tuple[str, float]:
    pattern, *parameters = (piece.strip() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        if match := _QUALITY.fullmatch(parameter):
            quality = float(match[1])
    return pattern.lower(), quality


def _covers(pattern: str, name: str) -> int:
    """How specifically a range covers a name: 3 exactly, 2 by type, 1 by `*/*`, 0 not at all."""
    if pattern == name:
        return 3
    if pattern == "application/*":
        return 2
    return 1 if pattern in ("*/*", "*") else 0
