"""Each first-seen id is attributed, once, to the message that first put it in its set.

Against plain dictionaries over generated histories: which attributes, of which source, on which
day. That contributions add up to the counts, whatever happens, is held wherever counts are held
against the oracle (`support.rig`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.attributes import MOVED, Attributes
from headcount.counting.batch import numbered_facts
from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.contributions import OF_SOURCE, OF_WORKSPACE
from headcount.counting.fold import fold
from headcount.counting.index import FirstSeenIndex
from headcount.counting.keys import Family
from headcount.counting.metrics import ANONYMOUS, ANONYMOUS_IDENTIFIED, API_CALLS, IDENTIFIED
from support.oracle import PlainFact
from support.rig import TOLD, number_of, pack

FIRST_DAY = parse_period("2026-02-01").first_day
NAMES: Mapping[int, Attributes] = {each.number: each.attributes for each in TOLD}
IDS = st.one_of(st.none(), st.sampled_from("abcde"))
Place = tuple[Period, int, int, int, Attributes, int]


class Indexes:
    """First-seen indexes in memory."""

    def __init__(self) -> None:
        self._indexes: dict[tuple[Period, Family], FirstSeenIndex] = {}

    def knows(self, period: Period, family: Family) -> bool:
        return (period, family) in self._indexes

    def sealed_workspaces(self, period: Period) -> Sequence[int]:
        return []

    def of(self, period: Period, family: Family) -> FirstSeenIndex:
        return self._indexes.setdefault((period, family), FirstSeenIndex(family))


@st.composite
def plain_facts(draw: st.DrawFn) -> PlainFact:
    user = draw(IDS)
    source = draw(st.integers(1, 4))
    moment = (FIRST_DAY + draw(st.integers(0, 59))) * MS_PER_DAY + draw(st.integers(0, 10))
    previous = draw(IDS) if user is not None else None
    return PlainFact(moment, 1 + source % 2, source, "", user, draw(IDS), previous)


class Told:
    """What contributions are, by the words of the rule."""

    def __init__(self) -> None:
        self.days: dict[tuple[object, ...], int] = {}
        self.contributions: Counter[Place] = Counter()

    def take(self, fact: PlainFact) -> None:
        """One message, all of whose batch that came before it is taken."""
        self._first(fact, API_CALLS, ("message", fact.source, fact.message))
        anonymous = [each for each in (fact.anonymous, fact.previous) if each is not None]
        known = [fact.previous] if fact.previous is not None else []
        known += [fact.anonymous] if None not in (fact.user, fact.anonymous) else []
        for kind, ids in (
            (IDENTIFIED, [fact.user] if fact.user is not None else []),
            (ANONYMOUS, anonymous),
            (ANONYMOUS_IDENTIFIED, known),
        ):
            for each in dict.fromkeys(ids):
                self._first(fact, kind, ("source", fact.source, kind, each))
                self._first(fact, kind, ("workspace", fact.workspace, kind, each))

    def _first(self, fact: PlainFact, kind: int, key: tuple[object, ...]) -> None:
        period = Period.of_day(fact.day)
        column = (OF_WORKSPACE if key[0] == "workspace" else OF_SOURCE)[kind]
        held = self.days.get((period, *key))
        if held is not None and held <= fact.day:
            return
        self.days[(period, *key)] = fact.day
        whose = period, fact.workspace, fact.source
        if held is None:
            attributes = NAMES[number_of(fact)]
        else:
            attributes = MOVED
            self.contributions[(*whose, held - period.first_day, attributes, column)] -= 1
        self.contributions[(*whose, fact.day - period.first_day, attributes, column)] += 1


@given(st.lists(st.lists(plain_facts(), min_size=1, max_size=12), min_size=1, max_size=5))
def test_an_id_is_attributed_to_the_message_that_was_first(batches: list[list[PlainFact]]) -> None:
    indexes, told, found = Indexes(), Told(), Counter[Place]()
    for of_batch, batch in enumerate(batches):
        facts = [replace(f, message=f"{of_batch}/{number}") for number, f in enumerate(batch)]
        packed, attributes = numbered_facts([b"".join(map(pack, facts))], [NAMES])
        folded = fold(packed, indexes, 35)
        folded.apply_to(indexes)
        for fact in sorted(facts, key=lambda each: each.received_at_ms):
            told.take(fact)
        for period, (workspace, source, day, numbers, counts) in folded.contributions:
            for number, row in zip(numbers.tolist(), counts.tolist(), strict=True):
                for column, count in enumerate(row):
                    found[period, workspace, source, day, attributes[number], column] += count
    expected = {place: count for place, count in told.contributions.items() if count}
    assert {place: count for place, count in found.items() if count} == expected
