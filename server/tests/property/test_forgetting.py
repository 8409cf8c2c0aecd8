"""Forgetting ids changes no total, ever.

Over generated histories in which people are forgotten, come again, wait for their day and are
linked, counts equal those of an oracle in which what was seen of them so far is somebody else's;
and a recount of the keys agrees.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headcount.counting.calendar import Period
from headcount.counting.keys import TRACKED, merged
from headcount.counting.metrics import KINDS
from headcount.meter import MeterLimits, merging
from headcount.meter.forgetting import ForgottenId, IdHashes
from property.test_counts import ACTIONS, LIMITS, NOTHING, History
from support.oracle import PlainFact
from support.rig import HASHER, totals
from support.stores import STORES


class Person(NamedTuple):
    """Whom to forget, and where."""

    user: str | None
    anonymous: str | None
    workspaces: frozenset[int] | None


IDS = st.sampled_from([None, "a", "b", "c", "\ud800", "1", "never seen"])
PEOPLE = st.builds(Person, IDS, IDS, st.sampled_from([None, frozenset({1}), frozenset({1, 2})]))
FORGET = st.tuples(st.just("forget"), PEOPLE, NOTHING)


def hashes_of(person: Person) -> dict[int, IdHashes]:
    user, anonymous = (each and HASHER.tracked(each) for each in person[:2])
    return {0: IdHashes(user or None, anonymous or None)}


class Forgetful(History):
    """A history in which people are forgotten."""

    def act(self, action: str, number: object, facts: list[PlainFact]) -> None:
        if action != "forget":
            super().act(action, number, facts)  # type: ignore[arg-type]
            return
        assert isinstance(number, Person)
        self.drain()  # what came before is metered first
        counted, waiting = self.seen(number)
        found = self.rig.meter.forget(hashes_of(number), number.workspaces).found
        places = {each[:3]: each for each in found}
        assert {place for place, each in places.items() if each.sources} == counted
        # What came too late for its month is kept aside as well.
        assert waiting <= {place for place, each in places.items() if each.waiting}
        self.oracle.forget(*number)
        self.check()
        again = self.rig.meter.forget(hashes_of(number), number.workspaces)
        assert (again.found, again.replaced, again.aside) == ([], [], {})

    def seen(
        self, person: Person
    ) -> tuple[set[tuple[int, Period, bool]], set[tuple[int, Period, bool]]]:
        """Where a person's ids are kept: in months that have any, and with what waits."""
        held = {period for period, of in self.rig.store.state().key_periods if of == TRACKED}
        counted, waiting = set(), set()
        for (period, scope, number), sets in self.oracle.joined.items():
            for kind, known in (("identified", person.user), ("anonymous", person.anonymous)):
                if scope == "workspace" and period in held and known in sets.get(kind, {}):
                    counted.add((number, period, kind == "anonymous"))
        for row in (*self.oracle.waiting, *self.oracle.confirmed):
            for fact in row:
                place = fact.workspace, Period.of_day(fact.day)
                if person.user is not None and fact.user == person.user:
                    waiting.add((*place, False))
                if person.anonymous in {fact.anonymous, fact.previous} - {None}:
                    waiting.add((*place, True))
        only = person.workspaces
        return tuple(  # type: ignore[return-value]
            {each for each in places if only is None or each[0] in only}
            for places in (counted, waiting)
        )

    def check(self) -> None:
        super().check()
        self.recount()

    def recount(self) -> None:
        """Keys by their days are what the counts of all scopes add up to, whose keys are there."""
        store = self.rig.store
        # A month whose keys went as it was closed may come to life again for another workspace.
        gone = {(each.workspace, each.period) for each in store.months() if each.keys_dropped}
        for period, family in store.state().key_periods:
            if family != TRACKED:
                continue
            keys = merged([block for block in store.keys(period, TRACKED) if len(block)])
            expected = np.zeros(31, np.int64)
            for workspace in {each for each in (1, 2) if (each, period) not in gone}:
                reading = store.read_usage(workspace, period)
                whole = reading.workspace + reading.sources.sum(axis=0)
                for kind in ("identified", "anonymous"):
                    expected += whole[:, KINDS.index(kind)]
            assert np.bincount(keys.days, minlength=31).tolist() == expected.tolist()


# The ids of a month of workspace 2 are gone, and workspace 1 imports into that month.
REVIVED: list[tuple[str, object, list[PlainFact]]] = [
    ("append", 0, [PlainFact(-31 * 86_400_000, 2, 1, "m1", None, "a")]),
    ("append", 0, [PlainFact(0, 2, 1, "m1")]),
    ("confirm", 35, []),
    ("days", 1, []),
    ("append", 0, [PlainFact(-66 * 86_400_000, 1, 2, "m1", "a", "a", "a", imported=True)]),
]


@pytest.mark.parametrize("store", STORES)
@settings(max_examples=100, deadline=None)
@example(REVIVED, 0, MeterLimits())
@given(
    actions=st.lists(st.one_of(ACTIONS, ACTIONS, FORGET), min_size=1, max_size=20),
    window_days=st.sampled_from([0, 35]),
    limits=LIMITS,
)
def test_counts_are_the_oracles_whoever_is_forgotten(
    store: str,
    actions: list[tuple[str, object, list[PlainFact]]],
    window_days: int,
    limits: MeterLimits,
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(merging, "_PEERS", 2)
        history = Forgetful(Path(folder), window_days, limits, store)
        for action in actions:
            history.act(*action)
        history.drain()
        history.act("restart", 0, [])
        history.check()
        history.close()


@pytest.mark.parametrize("store", STORES)
def test_who_comes_again_counts_anew(store: str, tmp_path: Path) -> None:
    history = Forgetful(tmp_path, 35, MeterLimits(3, 2, 1), store)
    ann = Person("ann", None, None)
    for name in ("m1", "m2"):
        fact = PlainFact(0, 2, 1, name, "ann", "phone")
        history.act("append", 0, [fact, PlainFact(0, 2, 3, f"{name} 3", "ann")])
        history.drain()
        for _ in range(5):  # what is known moves into a run
            history.step()
        history.act("forget", ann, [])
    month = Period.of_day(history.now_ms // 86_400_000)
    day = history.now_ms // 86_400_000
    reading = history.rig.store.read_usage(2, month)
    assert totals(reading, None, day)["identified"] == 2
    assert totals(reading, None, day)["anonymous"] == 1
    found = history.rig.meter.forget({0: IdHashes(None, HASHER.tracked("phone"))}, None).found
    assert found == [ForgottenId(2, month, True, [1], 0)]
    history.close()
