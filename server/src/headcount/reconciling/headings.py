"""What the columns of a statement are, by what they are usually called: takes a heading.

A count is taken from a column only where all of its name is known: "MTU %", "MTU ($)" or
"MTU 09/2026" is another number than MTU.
"""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Sequence

from headcount.counting.metrics import HEADLINES
from headcount.errors import UsageError

__all__ = ["columns_in", "part_of"]

_NAMES = {
    "day": ("day", "date", "dateutc", "dateutc+0", "dateutc+0000", "timestamp", "usagedate",
            "chargeperiodstart"),
    "period": ("period", "month", "billingperiod", "billingmonth", "usagemonth",
               "billingperiodstart"),
    "source_id": ("sourceid", "source"),
    "source_name": ("sourcename", "name", "sourceslug"),
    "api_calls": ("apicalls", "calls", "apicall", "events", "messages"),
    "mtu": ("mtu", "mtus", "monthlytrackedusers", "trackedusers", "users"),
}  # fmt: skip
_PARTS = (",", ";", "\t", "|")
_SHOWN = 6


def part_of(heading: str) -> str:
    """What parts the cells of a heading: by what most of its columns are found."""

    def found(part: str) -> tuple[int, int]:
        try:
            cells = next(csv.reader([heading], delimiter=part), [])
        except csv.Error:
            return 0, 0
        return len({_meant(each) for each in cells} - {""}), len(cells)

    return max(_PARTS, key=found)


def columns_in(file: str, heading: Sequence[str]) -> dict[str, int]:
    """Where what stands.

    Raises:
        UsageError: two columns are the same, or none is a count.
    """
    meant = [_meant(each) for each in heading]
    if "sourceid" in (plain := [_plain(each) for each in heading]):
        # Beside an id, what is called source alone is its name.
        meant = [
            "source_name" if each == "source" else m for m, each in zip(meant, plain, strict=True)
        ]
    found: dict[str, int] = {}
    for at, name in enumerate(meant):
        if not name:
            continue
        if name in found:
            raise UsageError(
                f'{file} has two columns for the same: "{heading[found[name]]}" and'
                f' "{heading[at]}".',
                "Leave one of them out of the file.",
            )
        found[name] = at
    if not any(metric.name in found for metric in HEADLINES):
        raise UsageError(f"{file} has no column of counts{_shown(heading)}.",
            "Call one api_calls or mtu, in its first line; others are day or month, and source.",
        )  # fmt: skip
    return found


def _shown(heading: Sequence[str]) -> str:
    """The first line, as much of it as helps to see which it is."""
    named = [each.strip() for each in heading if each.strip()]
    if not named or sum(map(len, named[:_SHOWN])) > 120:
        return ""
    words = ", ".join(f'"{each}"' for each in named[:_SHOWN])
    return f": its first line has {words}{' and more' if len(named) > _SHOWN else ''}"


def _meant(column: str) -> str:
    """What a column is, by what it is called; empty where nobody can say."""
    plain = _plain(column)
    return next((name for name, words in _NAMES.items() if plain in words), "")


def _plain(column: str) -> str:
    """A name without what only parts its words. A share, a sum of money and a year are more."""
    return "".join(
        each
        for each in unicodedata.normalize("NFKC", column).casefold()
        if each == "%" or unicodedata.category(each)[0] not in "PZC"
    )
