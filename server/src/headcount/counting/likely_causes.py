"""Named causes of a change of tracked users, and what to do about each.

Takes what the messages of two months brought, source by source; gives the causes that the numbers
show, the one that explains most first. Each looks at what the others leave: what bots
bring is no fault of a library, and what a new source brings is not held against a month in which it
was not there. What varies by itself from month to month is no cause.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from headcount.counting.attributes import Attributes
from headcount.counting.explaining import BroughtBy
from headcount.counting.source_causes import (
    LikelyCause,
    Months,
    causes_of_source,
    is_more,
    total_of,
)

__all__ = ["CAUSES", "CauseWords", "LikelyCause", "LikelyCauses"]

_CAUSES_MAX = 50
_SHARE_MIN, _IDS_MIN = 0.02, 20
_TOOLS = re.compile(
    r"(?i)\b(?:curl|postman|insomnia|httpie|k6|jmeter|locust|cypress|playwright|selenium|puppeteer|"
    r"webdriver|headlesschrome|loadtest)"
)
_INTERNAL = re.compile(
    r"(?i)(?:^|[^a-z])(?:dev|development|test|testing|tests|staging|stage|qa|sandbox|localhost|"
    r"internal|e2e)(?:$|[^a-z])"
)


class CauseWords(NamedTuple):
    """What a cause is called, what to do about it, and what its effect is told in."""

    title: str
    remedy: str
    unit: str = "tracked users"


CAUSES: Mapping[str, CauseWords] = {
    "bots": CauseWords(
        "Known bots",
        "Bots are counted like anybody. If they should not be, let the source refuse them, on its"
        " page or with: headcount source bots SOURCE --refuse.",
    ),
    "library_version": CauseWords(
        "One library version makes more ids than others",
        "Look at what that release changed: a reset() with each page or launch, storage that is not"
        " written, or an anonymousId that is made anew. Go back to the version before, or update.",
    ),
    "reset_or_cookie": CauseWords(
        "More anonymous ids for the same traffic",
        "Look for a reset() that is called too often, cookies or storage that are cleared or"
        " refused, a changed cookie domain, or several anonymous ids of one visitor.",
    ),
    "single_message_ids": CauseWords(
        "Ids seen in one message only",
        "An id that never comes again is seldom a person's. Look for an anonymousId that is made"
        " anew with each message, as servers and pages without storage do.",
    ),
    "identify_missing": CauseWords(
        "Fewer visitors become known users",
        "Look for an identify() that is not called any more after a login, or is called without the"
        " anonymousId: who is also known from elsewhere is counted twice until linked.",
        "missing links to known users",
    ),
    "new_source": CauseWords(
        "A new source",
        "It had no usage in these days of the other month. If its users are already counted"
        " elsewhere, let it send the same userId, so that they are counted once.",
    ),
    "internal_traffic": CauseWords(
        "Internal traffic",
        "Tests, tools and staging are counted like anybody. Give them a write key of a workspace of"
        " their own, or disable it.",
    ),
}
"""By their names."""


class LikelyCauses:
    """Looks for the causes that the numbers show, source by source.

    Args:
        source_names: of the sources by their numbers, to know what is internal.
        users: tracked users of the month: a cause explains a part of them that matters.
        has_before: whether there was any usage in the month before.
    """

    def __init__(self, source_names: Mapping[int, str], users: int, *, has_before: bool) -> None:
        self._source_names, self._has_before = source_names, has_before
        self._least = max(_IDS_MIN, _SHARE_MIN * users)
        self._bots, self._internal = _BroughtByKind(), _BroughtByKind()
        self._found: list[LikelyCause] = []

    def add(self, source: int, now: BroughtBy, before: BroughtBy, *, is_new: bool) -> None:
        """Look at a source; at each once.

        Args:
            source: its number.
            now, before: what its messages brought in each month.
            is_new: whether it had no usage in the days of the month before.
        """
        bots, people = _split((now, before), lambda attributes: attributes.bot)
        is_internal = bool(_INTERNAL.search(self._source_names.get(source, "")))
        internal, ordinary = _split(
            people, lambda attributes: is_internal or bool(_TOOLS.search(attributes.library))
        )
        self._bots.add(source, bots)
        self._internal.add(source, internal)
        of_now, of_before = map(total_of, (each.values() for each in ordinary))
        if is_new and self._has_before:
            evidence = "tracked users that it was the first to bring"
            users = of_now.users
            found = [LikelyCause("new_source", source, users, users, 0, evidence)]
        else:
            found = causes_of_source(source, of_now, of_before, ordinary)
        self._found += [each for each in found if each.effect >= self._least]
        self._found.sort(key=_place)
        del self._found[_CAUSES_MAX:]

    def ranked(self) -> list[LikelyCause]:
        """What was found, that first which explains most."""
        groups = (
            *self._bots.causes("bots", "tracked users brought by known bots"),
            *self._internal.causes("internal_traffic", "tracked users brought by tests and tools"),
        )
        found = [*self._found, *(each for each in groups if each.effect >= self._least)]
        return sorted(found, key=_place)


def _place(cause: LikelyCause) -> tuple[int, str, int]:
    return -cause.effect, cause.name, cause.source or 0


def _split(months: Months, is_in: Callable[[Attributes], bool]) -> tuple[Months, Months]:
    inside = [{of: each for of, each in month.items() if is_in(of)} for month in months]
    outside = [{of: each for of, each in month.items() if not is_in(of)} for month in months]
    return (inside[0], inside[1]), (outside[0], outside[1])


class _BroughtByKind:
    """What messages of one kind bring, of whichever source they are."""

    def __init__(self) -> None:
        self._now = self._before = 0
        # The source that brings most of it now, and how many users.
        self._most: tuple[int, int | None] = (0, None)

    def add(self, source: int, months: Months) -> None:
        """Add what messages of this kind bring to a source."""
        now, before = (total_of(month.values()).users for month in months)
        self._now += now
        self._before += before
        if now > self._most[0]:
            self._most = now, source

    def causes(self, name: str, evidence: str) -> Iterator[LikelyCause]:
        """What they bring more than before; of the source that brings most of it, if one does."""
        if not is_more(self._now, self._before):
            return
        users, source = self._most
        whose = source if users >= 0.8 * self._now else None
        effect = self._now - self._before
        yield LikelyCause(name, whose, effect, self._now, self._before, evidence)
