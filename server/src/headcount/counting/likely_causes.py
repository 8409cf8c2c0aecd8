"""Named causes of a change of tracked users, and what to do about each.

Takes what the messages of two months brought, by where they came from; gives the causes that the
numbers show, the one that explains most first. Each looks at what the others leave: what bots
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

from headcount.counting.explaining import Brought, Whence

__all__ = ["CAUSES", "CauseWords", "LikelyCause", "causes_of"]

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
    """What a cause is called, and what to do about it."""

    title: str
    remedy: str


CAUSES: Mapping[str, CauseWords] = {
    "bots": CauseWords(
        "Known bots",
        "Bots are counted like anybody. If they should not be, let the source refuse them:"
        " headcount source bots SOURCE --refuse.",
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
    ),
    "new_source": CauseWords(
        "A new source",
        "It had no usage in the month before. If its users are already counted elsewhere, let it"
        " send the same userId, so that they are counted once.",
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
        effect: how many tracked users it explains, about.
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
Months = tuple[Mapping[Whence, Brought], Mapping[Whence, Brought]]


def causes_of(
    now: Mapping[Whence, Brought],
    before: Mapping[Whence, Brought],
    source_names: Mapping[int, str],
) -> list[LikelyCause]:
    """The causes that the numbers show, the one that explains most first.

    Args:
        now, before: what the messages of each month brought, by where they came from.
        source_names: of the sources by their numbers, to know what is internal.
    """
    months: Months = now, before
    bots, people = _split(months, lambda whence: whence.attributes.bot)
    internal, ordinary = _split(people, lambda whence: _is_internal(whence, source_names))
    found = [
        *_of_group("bots", bots, "tracked users brought by known bots"),
        *_of_group("internal_traffic", internal, "tracked users brought by tests and tools"),
    ]
    by_source = [_grouped(month, lambda whence: whence.source) for month in ordinary]
    for source, of_now in by_source[0].items():
        of_before = by_source[1].get(source)
        if of_before is None or not of_before.messages:
            if any(each.messages for each in before.values()):
                found.append(
                    LikelyCause(
                        "new_source", source, of_now.users, of_now.users, 0,
                        "tracked users that it was the first to bring",
                    )
                )  # fmt: skip
                continue
            of_before = None
        found += _of_source(source, of_now, of_before, ordinary)
    total = sum(each.users for each in now.values())
    least = max(_IDS_MIN, _SHARE_MIN * total)
    kept = [each for each in found if each.effect >= least]
    return sorted(kept, key=lambda each: (-each.effect, each.name, each.source or 0))


def _split(months: Months, is_in: Callable[[Whence], bool]) -> tuple[Months, Months]:
    inside = tuple({w: b for w, b in month.items() if is_in(w)} for month in months)
    outside = tuple({w: b for w, b in month.items() if not is_in(w)} for month in months)
    return (inside[0], inside[1]), (outside[0], outside[1])


def _is_internal(whence: Whence, source_names: Mapping[int, str]) -> bool:
    library = whence.attributes.library
    return bool(_TOOLS.search(library) or _INTERNAL.search(source_names.get(whence.source, "")))


def _grouped(month: Mapping[Whence, Brought], key: Callable[[Whence], _K]) -> dict[_K, Brought]:
    sums: defaultdict[_K, Brought] = defaultdict(Brought)
    for whence, brought in month.items():
        sums[key(whence)].add(brought)
    return dict(sums)


def _of_group(name: str, months: Months, evidence: str) -> Iterator[LikelyCause]:
    """What a group brings more than before; of the source that brings most of it, if one does."""
    now, before = (sum(each.users for each in month.values()) for month in months)
    if not _is_more(now, before):
        return
    by_source = _grouped(months[0], lambda whence: whence.source)
    most = max(by_source, key=lambda source: by_source[source].users)
    whose = most if by_source[most].users >= 0.8 * now else None
    yield LikelyCause(name, whose, now - before, now, before, evidence)


def _is_more(now: float, expected: float) -> bool:
    return now - expected >= _SIGMAS_MIN * sqrt(max(expected, 1.0))


def _of_source(
    source: int, now: Brought, before: Brought | None, months: Months
) -> list[LikelyCause]:
    """What is seen in one source that was there before, or in the first month of all."""
    if before is None:
        return _singles(source, now, Brought(), 0.0)
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


def _of_versions(source: int, months: Months) -> tuple[list[LikelyCause], int]:
    """Versions of a library that make more anonymous ids a message than everything else.

    Also gives how many these are, with those that were linked to a user.
    """
    found: list[LikelyCause] = []
    ids = 0
    now, before = (
        _grouped(
            {w: b for w, b in month.items() if w.source == source},
            lambda whence: (whence.attributes.library, whence.attributes.version),
        )
        for month in months
    )
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
