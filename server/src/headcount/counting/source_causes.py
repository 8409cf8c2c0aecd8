"""Causes that show in one source: takes what its messages brought in two months, gives what the
numbers show and what varies by itself does not.

A version of a library, ids that come once, a `reset()` or cookies, an `identify()` that is lost.
Each looks at what the others leave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import sqrt
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from headcount.counting.attributes import Attributes
from headcount.counting.explaining import Brought, BroughtBy

__all__ = ["LikelyCause", "Months", "causes_of_source", "is_more", "total_of"]

_SIGMAS_MIN = 5.0
_FASTER, _FEWER_LINKS, _SINGLES_MIN = 1.25, 0.7, 0.5
# So many of the messages of one kind bring a new id each, where ids come in one message only.
_EACH_ITS_OWN = 0.8
# Days on either side of one that are taken together with it.
_DAYS_BESIDE = 2
_IDS_A_MESSAGE = "new anonymous ids for each message"
_FEWER_KNOWN = "known users, some of whom came as anonymous ids instead"


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
Months = tuple[BroughtBy, BroughtBy]
"""What the messages of a source brought in the month, and in the one before."""


def is_more(now: float, expected: float) -> bool:
    """Whether a count is more than what it may be by chance."""
    return now - expected >= _SIGMAS_MIN * sqrt(max(expected, 1.0))


def _grouped(month: BroughtBy, key: Callable[[Attributes], _K]) -> dict[_K, Brought]:
    sums: defaultdict[_K, Brought] = defaultdict(Brought)
    for attributes, brought in month.items():
        sums[key(attributes)].add(brought)
    return dict(sums)


def causes_of_source(
    source: int, now: Brought, before: Brought, months: Months
) -> list[LikelyCause]:
    """What is seen in one source that was there before, or in the first month of all."""
    if not before.messages:
        return _singles(source, now, before, 0.0)
    growth = now.messages / before.messages
    found, explained = _of_versions(source, months)
    if not found:
        found = _singles(source, now, before, growth) or _singles_of_a_kind(source, months)
        explained = sum(each.effect for each in found)
    expected = before.anonymous * growth
    more = now.anonymous - explained
    missing = _identify_missing(source, now, before, growth, more - expected)
    if missing is not None and missing.evidence == _FEWER_KNOWN:
        # They came as anonymous ids instead.
        more -= missing.effect
    if now.messages and more > _FASTER * expected and is_more(more, expected):
        effect = _unlinked(more - expected, now.linked - before.linked * growth)
        found.append(
            LikelyCause(
                "reset_or_cookie", source, effect,
                _ratio(now.anonymous, now.messages), _ratio(before.anonymous, before.messages),
                _IDS_A_MESSAGE,
            )
        )  # fmt: skip
    return found if missing is None else [*found, missing]


def _identify_missing(
    source: int, now: Brought, before: Brought, growth: float, more_anonymous: float
) -> LikelyCause | None:
    """Fewer links, or fewer known users with more anonymous ones in their place."""
    links, known = before.linked * growth, before.identified * growth
    found: list[LikelyCause] = []
    if now.linked < _FEWER_LINKS * links and is_more(links, now.linked):
        fewer = round(links - now.linked)
        evidence = "anonymous ids that became a known user's"
        found.append(
            LikelyCause("identify_missing", source, fewer, now.linked, round(links), evidence)
        )
    replaced = round(min(known - now.identified, more_anonymous))
    if (
        now.identified < _FEWER_LINKS * known
        and is_more(known, now.identified)
        and 2 * replaced >= known - now.identified
    ):
        cause = LikelyCause(
            "identify_missing", source, replaced, now.identified, round(known), _FEWER_KNOWN
        )
        found.append(cause)
    return max(found, key=lambda each: each.effect, default=None)


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
    if alone < max(1, _SINGLES_MIN * now.users) or not is_more(alone, expected):
        return []
    effect = round(alone - expected)
    evidence = "ids, at least, that came in one message only"
    return [LikelyCause("single_message_ids", source, effect, alone, round(expected), evidence)]


def _singles_of_a_kind(source: int, months: Months) -> list[LikelyCause]:
    """One kind of message each of which brings an id of its own, beside others as they were."""
    whole_now, whole_before = (total_of(each.values()) for each in months)
    found: list[LikelyCause] = []
    for of, now in months[0].items():
        if now.users < _EACH_ITS_OWN * now.messages:
            continue
        before = months[1].get(of, Brought())
        others, others_before = whole_now.without(now), whole_before.without(before)
        if others_before.users <= 0 or not others_before.messages:
            continue
        growth = others.users / others_before.users
        if growth < _EACH_ITS_OWN * others.messages / others_before.messages:
            # It may only be the first to bring what others brought before; or those who are more
            # sent other messages, too.
            continue
        expected = before.users * growth
        if others.messages - others_before.messages * growth >= now.users - expected:
            continue
        if now.users > _FASTER * expected and is_more(now.users, expected):
            found.append(
                LikelyCause(
                    "single_message_ids", source, round(now.users - expected), now.users,
                    round(expected), "ids that came with a message of their own", of.library,
                    of.version,
                )
            )  # fmt: skip
    return found


def _of_versions(source: int, months: Months) -> tuple[list[LikelyCause], int]:
    """Versions of a library that make more anonymous ids a message than everything else.

    Also gives how many these are, with those that were linked to a user.
    """
    found: list[LikelyCause] = []
    ids = 0
    now, before = (_grouped(month, lambda of: (of.library, of.version)) for month in months)
    former, whole = total_of(before.values()), total_of(now.values())
    if not former.messages:
        return found, ids
    usual = former.anonymous / former.messages
    # What comes first in a month brings the ids that others would have brought later, so what one
    # version makes too many, the source has too many.
    if not is_more(whole.anonymous, usual * whole.messages):
        return found, ids
    excess = whole.anonymous - usual * whole.messages
    rates = _ids_a_message(former)
    for (library, version), brought in now.items():
        others = total_of(each for key, each in now.items() if key != (library, version))
        held = before.get((library, version))
        if not brought.messages or (held is not None and not others.messages):
            continue
        # Where the others are as they were, it is not the source; nor where there are none, since
        # the version is new and has replaced them.
        of_others = _expected(others, rates, usual)
        beside = others.anonymous / of_others if is_more(others.anonymous, of_others) else 1.0
        own = held.anonymous / _expected(held, rates, usual) if held and held.messages else 1.0
        expected = max(own, beside, 1.0) * _expected(brought, rates, usual)
        if (
            beside <= _FASTER
            and brought.anonymous > _FASTER * expected
            and is_more(brought.anonymous, expected)
        ):
            more = round(min(brought.anonymous - expected, excess))
            those = others if others.messages else former
            linked = those.linked / those.messages * brought.messages
            ids += more
            found.append(
                LikelyCause(
                    "library_version", source, _unlinked(more, brought.linked - linked),
                    _ratio(brought.anonymous, brought.messages),
                    round(expected / brought.messages, 4), _IDS_A_MESSAGE, library, version,
                )
            )  # fmt: skip
    return found, ids


def _ids_a_message(former: Brought) -> npt.NDArray[np.float64] | None:
    """How many new anonymous ids a message brought on each day of a month, those beside it taken
    together: on the first days nearly every visitor is new, on the last ones few are."""
    if former.daily is None:
        return None
    window = np.ones(2 * _DAYS_BESIDE + 1)
    messages, ids = (np.convolve(former.daily[:, at], window, "same") for at in (0, 1))
    overall = former.anonymous / former.messages
    rates = np.full(len(ids), overall)
    np.divide(ids, messages, out=rates, where=messages > 0)
    return rates


def _expected(brought: Brought, rates: npt.NDArray[np.float64] | None, usual: float) -> float:
    """How many anonymous ids so many messages on these days brought in the other month; never
    nothing."""
    if rates is None or brought.daily is None:
        return max(usual * brought.messages, 1.0)
    return max(float(rates @ brought.daily[:, 0]), 1.0)


def total_of(brought: Iterable[Brought]) -> Brought:
    """All of it together."""
    total = Brought()
    for each in brought:
        total.add(each)
    return total
