"""Which libraries sent what was admitted: tallies of messages by source, month and library.

They go the way of rejections, in the entry of their facts, in the commit of that entry and in the
same table, and so are as exact and as durable; there they stand under a word that no reason is, on
the first day of their month. Names are what senders say of themselves: they are made harmless, and
of a source and a month only so many are told apart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from headcount.counting.attributes import (
    ATTRIBUTES_PREFIX,
    Attributes,
    NumberedAttributes,
    attribute_tallies,
    told_attributes,
)
from headcount.counting.calendar import Period
from headcount.counting.facts import Rejection

__all__ = [
    "A_BROWSER",
    "NAMES_MAX",
    "OTHER_LIBRARY",
    "USE_PREFIX",
    "LibraryUse",
    "Told",
    "clean_name",
    "split_tallies",
    "tallies_of",
]

OTHER_LIBRARY = "other"
"""Libraries beyond those that are told apart, and those that say no name at all."""

A_BROWSER = "a browser"
"""Browsers, by pages that name no library."""

NAMES_MAX = 50
"""How many libraries of one source are told apart in a month; the others are one."""

USE_PREFIX = "library:"
"""What the word of a tally begins with that is none of rejections."""

_NAME_CHARACTERS_MAX = 60
_STRANGE = re.compile(r"[^A-Za-z0-9@/._+() -]+")


class LibraryUse(NamedTuple):
    """How many admitted messages of one source a library sent in the month of a day."""

    workspace: int
    source: int
    day: int
    library: str
    messages: int


Told = LibraryUse | NumberedAttributes
"""What intake tells of the senders of facts, beside them."""


def clean_name(name: str) -> str:
    """A library's name, as it is shown; `OTHER_LIBRARY` where nothing is left of it."""
    return _STRANGE.sub("?", name[:_NAME_CHARACTERS_MAX]).strip() or OTHER_LIBRARY


def tallies_of(told: Iterable[Told]) -> list[Rejection]:
    """Uses as the tallies that journals and stores keep, added up, and attributes behind them."""
    sums: Counter[tuple[int, int, int, str]] = Counter()
    numbered: list[NumberedAttributes] = []
    # Nearly all that a commit is told is the very same.
    for each, times in Counter(told).items():
        if isinstance(each, NumberedAttributes):
            numbered.append(each)
            continue
        workspace, source, day, library, messages = each
        sums[workspace, source, _first_day(day), USE_PREFIX + library] += messages * times
    uses = [Rejection(*place, messages) for place, messages in sums.items()]
    return uses + attribute_tallies(numbered) if numbered else uses


@lru_cache(maxsize=64)
def _first_day(day: int) -> int:
    """The first day of the month of a day."""
    return Period.of_day(day).first_day


def split_tallies(
    tallies: Iterable[Rejection],
) -> tuple[list[Rejection], list[LibraryUse], Mapping[int, Attributes]]:
    """The rejections among tallies, the uses, and which attributes numbers are."""
    rejections: list[Rejection] = []
    uses: list[LibraryUse] = []
    numbered: list[Rejection] = []
    for tally in tallies:
        workspace, source, day, word, messages = tally
        # What is damaged may be no text; whoever takes rejections sees to that.
        if not isinstance(word, str):
            rejections.append(tally)
        elif word.startswith(USE_PREFIX):
            uses.append(LibraryUse(workspace, source, day, word[len(USE_PREFIX) :], messages))
        elif word.startswith(ATTRIBUTES_PREFIX):
            numbered.append(tally)
        else:
            rejections.append(tally)
    return rejections, uses, told_attributes(numbered)
