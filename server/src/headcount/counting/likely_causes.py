"""Named causes of a change of tracked users, and what to do about each.

Takes what the messages of two months brought, source by source; gives the causes that the numbers
show, the one that explains most first. Each looks at what the others leave: what bots
bring is no fault of a library, and what a new source brings is not held against a month in which it
was not there. What varies by itself from month to month is no cause.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple, TypeVar

from headcount.counting.attributes import Attributes
from headcount.counting.explaining import Brought, BroughtBy

__all__ = ["CAUSES", "CauseWords", "LikelyCause", "LikelyCauses"]

_CAUSES_MAX = 50
_SHARE_MIN, _IDS_MIN, _SIGMAS_MIN = 0.02, 20, 5.0
_FASTER, _FEWER_LINKS, _SINGLES_MIN = 1.4, 0.7, 0.5
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
        "missing links",
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


@dataclass(frozen=True, slots=True)
class LikelyCause:
    """A cause of a change.

    Attributes:
        name: one of `CAUSES`.
        source: number of the source in which it is seen; None for several.
        library, version: of the library, where it is one's.
        effect: how many it explains, about, of what `CAUSES` says: tracked users, or links.
        now, before: the number by which it is seen, and what that was, or would be without it.
        evidence: what that number is.
    """

    name: str
    source: int | None
    effect: int
    now: float
    before: float
    evidence: str
    library: str = ""
    version: str = ""


_K = TypeVar("_K")
_Months = tuple[BroughtBy, BroughtBy]


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
        of_now, of_before = map(_total, (each.values() for each in ordinary))
        if is_new and self._has_before:
            evidence = "tracked users that it was the first to bring"
            users = of_now.users
            found = [LikelyCause("new_source", source, users, users, 0, evidence)]
        else:
            found = _of_source(source, of_now, of_before, ordinary)
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


def _split(months: _Months, is_in: Callable[[Attributes], bool]) -> tuple[_Months, _Months]:
    inside = [{of: each for of, each in month.items() if is_in(of)} for month in months]
    outside = [{of: each for of, each in month.items() if not is_in(of)} for month in months]
    return (inside[0], inside[1]), (outside[0], outside[1])


class _BroughtByKind:
    """What messages of one kind bring, of whichever source they are."""

    def __init__(self) -> None:
        self._now = self._before = 0
        # The source that brings most of it now, and how many users.
        self._most: tuple[int, int | None] = (0, None)

    def add(self, source: int, months: _Months) -> None:
        """Add what messages of this kind bring to a source."""
        now, before = (_total(month.values()).users for month in months)
        self._now += now
        self._before += before
        if now > self._most[0]:
            self._most = now, source

    def causes(self, name: str, evidence: str) -> Iterator[LikelyCause]:
        """What they bring more than before; of the source that brings most of it, if one does."""
        if not _is_more(self._now, self._before):
            return
        users, source = self._most
        whose = source if users >= 0.8 * self._now else None
        effect = self._now - self._before
        yield LikelyCause(name, whose, effect, self._now, self._before, evidence)


def _is_more(now: float, expected: float) -> bool:
    return now - expected >= _SIGMAS_MIN * sqrt(max(expected, 1.0))


def _grouped(month: BroughtBy, key: Callable[[Attributes], _K]) -> dict[_K, Brought]:
    sums: defaultdict[_K, Brought] = defaultdict(Brought)
    for attributes, brought in month.items():
        sums[key(attributes)].add(brought)
    return dict(sums)


def _of_source(source: int, now: Brought, before: Brought, months: _Months) -> list[LikelyCause]:
    """What is seen in one source that was there before, or in the first month of all."""
    if not before.messages:
        return _singles(source, now, before, 0.0)
    growth = now.messages / before.messages
    found, explained = _of_versions(source, months)
    if not found:
        found = _singles(source, now, before, growth)
        explained = sum(each.effect for each in found)
    expected = before.anonymous * growth
    more = now.anonymous - explained
    if now.messages and more > _FASTER * expected and _is_more(more, expected):
        effect = _unlinked(more - expected, now.linked - before.linked * growth)
        found.append(
            LikelyCause(
                "reset_or_cookie", source, effect,
                _ratio(now.anonymous, now.messages), _ratio(before.anonymous, before.messages),
                "new anonymous ids a message",
            )
        )  # fmt: skip
    links = before.linked * growth
    if now.linked < _FEWER_LINKS * links and _is_more(links, now.linked):
        found.append(
            LikelyCause(
                "identify_missing", source, round(links - now.linked),
                now.linked, round(links), "anonymous ids that became a known user's",
            )
        )  # fmt: skip
    return found


def _ratio(count: int, of: int) -> float:
    return round(count / of, 4) if of else 0.0


def _unlinked(ids: float, links: float) -> int:
    """What more anonymous ids make in users: who is known is one, however many ids were linked."""
    return round(max(0.0, ids - max(0.0, links)))


def _singles(source: int, now: Brought, before: Brought, growth: float) -> list[LikelyCause]:
    """Users of whom some must have come in one message only: there are too few for two each.

    Of users and not of ids, since a message that links brings two of these.
    """
    alone, former = (max(0, 2 * each.users - each.messages) for each in (now, before))
    expected = former * growth
    if alone < max(1, _SINGLES_MIN * now.users) or not _is_more(alone, expected):
        return []
    effect = round(alone - expected)
    evidence = "ids, at least, that came in one message only"
    return [LikelyCause("single_message_ids", source, effect, alone, round(expected), evidence)]


def _of_versions(source: int, months: _Months) -> tuple[list[LikelyCause], int]:
    """Versions of a library that make more anonymous ids a message than everything else.

    Also gives how many these are, with those that were linked to a user.
    """
    found: list[LikelyCause] = []
    ids = 0
    now, before = (_grouped(month, lambda of: (of.library, of.version)) for month in months)
    former = _total(before.values())
    if not former.messages:
        return found, ids
    usual = former.anonymous / former.messages
    for (library, version), brought in now.items():
        others = _total(each for key, each in now.items() if key != (library, version))
        if not others.messages or not brought.messages:
            continue
        # Where the others are as they were, it is not the source.
        beside = others.anonymous / others.messages
        held = before.get((library, version))
        own = held.anonymous / held.messages if held is not None and held.messages else usual
        expected = max(own, beside) * brought.messages
        as_before = beside <= _FASTER * max(usual, 1 / former.messages)
        if (
            as_before
            and brought.anonymous > _FASTER * expected
            and _is_more(brought.anonymous, expected)
        ):
            more = round(brought.anonymous - expected)
            linked = others.linked / others.messages * brought.messages
            ids += more
            found.append(
                LikelyCause(
                    "library_version", source, _unlinked(more, brought.linked - linked),
                    _ratio(brought.anonymous, brought.messages), round(max(own, beside), 4),
                    "new anonymous ids a message", library, version,
                )
            )  # fmt: skip
    return found, ids


def _total(brought: Iterable[Brought]) -> Brought:
    total = Brought()
    for each in brought:
        total.add(each)
    return total
