"""Counts equal the oracle's over generated histories, however facts are split and delivered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcount.counting.calendar import MS_PER_DAY, parse_period
from headcount.meter import MeterLimits, merging
from headcount.store.protocol import Change, sealed_months
from support.oracle import Oracle, PlainFact
from support.rig import Recorder, Rig, assert_equal_to_oracle
from support.stores import STORES

FIRST_DAY = parse_period("2026-01-01").first_day
IDS = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "\ud800", "1", "x" * 40]))
# Days from which a month's end is near, or a message window or an open month just ends.
# Some are ahead of the clock, and some from before 2000.
DAYS_AGO = st.sampled_from(
    [0, 0, 0, 1, 2, 13, 29, 31, 34, 35, 36, 37, 66, 90, -2, -3, -200, 20_000]
)


@st.composite
def plain_facts(draw: st.DrawFn) -> PlainFact:
    """A fact of one of two workspaces with two sources each, received some days before day 0,
    with ids few enough to meet again."""
    source = draw(st.integers(1, 4))
    user = draw(IDS)
    return PlainFact(
        received_at_ms=-draw(DAYS_AGO) * MS_PER_DAY + draw(st.sampled_from([0, 43_200_000])),
        workspace=1 + source % 2,
        source=source,
        message=draw(st.sampled_from(["m1", "m2", "m3", "m4", "m5", "m6"])),
        user=user,
        anonymous=draw(IDS),
        previous=draw(IDS) if user is not None else None,
        imported=draw(st.booleans()),
    )


NOTHING: st.SearchStrategy[list[PlainFact]] = st.just([])
# What happens to a server: facts reach one of its journals (relative to the day it then is), a
# batch is metered, the meter is restarted, days go by, the clock is set back, or it is confirmed
# after a jump.
ACTIONS = st.one_of(
    st.tuples(
        st.just("append"), st.integers(0, 2), st.lists(plain_facts(), min_size=1, max_size=6)
    ),
    st.tuples(st.just("step"), st.just(0), NOTHING),
    st.tuples(st.just("drain"), st.just(0), NOTHING),
    st.tuples(st.just("restart"), st.just(0), NOTHING),
    st.tuples(st.just("days"), st.sampled_from([1, 2, 3, 15, 35, 36, 181, 400, -1, -40]), NOTHING),
    st.tuples(st.just("confirm"), st.sampled_from([0, 35, 36]), NOTHING),
)
LIMITS = st.sampled_from(
    [MeterLimits(), MeterLimits(3, 2, 3, past_bytes_max=0), MeterLimits(1, 4, 1)]
)


class History:
    """A rig and an oracle that live through the same days."""

    def __init__(
        self, folder: Path, window_days: int, limits: MeterLimits, store: str = "sqlite"
    ) -> None:
        self.facts_max = limits.facts_a_batch_max
        self.now_ms = (FIRST_DAY + 20) * MS_PER_DAY
        self.recorder = Recorder()
        self.oracle = Oracle(window_days)
        self.rig = Rig(
            folder, lambda: self.now_ms,
            window_days=window_days, limits=limits, store=STORES[store](folder),
        )  # fmt: skip
        self.journals = [self.rig.journal() for _ in range(3)]

    def act(self, action: str, number: int, facts: list[PlainFact]) -> None:
        """Let one thing happen."""
        if action == "append":
            today_ms = self.now_ms // MS_PER_DAY * MS_PER_DAY
            dated = [replace(f, received_at_ms=f.received_at_ms + today_ms) for f in facts]
            self.recorder.learn(dated)
            self.rig.append(self.journals[number], dated)
        elif action == "step":
            self.step()
        elif action == "drain":
            self.drain()
        elif action == "restart":
            self.rig.stop()
            self.rig.start()
        else:
            self.now_ms += number * MS_PER_DAY
            if action == "confirm":
                today = self.now_ms // MS_PER_DAY
                self.rig.store.commit(Change(confirmed_day=today))
                self.oracle.confirm(today)
                self.drain()

    def step(self) -> bool:
        """One step of the meter; the oracle is told the metering order by asking beforehand."""
        self.now_ms += 61_000  # more than the meter lets pass between two looks at what to seal
        clock_day = self.now_ms // MS_PER_DAY
        facts = self.recorder.in_metering_order(self.rig.meter.peek())
        self.oracle.take(facts, clock_day, self.facts_max)
        drained = self.rig.meter.step().drained
        if drained:
            self.oracle.seal(clock_day)
        return drained

    def drain(self) -> None:
        """Meter until nothing is left, and check everything."""
        while not self.step():
            pass
        self.check()

    def check(self) -> None:
        """The store agrees with the oracle."""
        store = self.rig.store
        assert_equal_to_oracle(store, self.oracle)
        assert sealed_months(store.months()) == self.oracle.sealed
        assert sum(each.messages for each in store.set_aside()) == self.oracle.kept()

    def close(self) -> None:
        for journal in self.journals:
            journal.close()
        self.rig.close()


@pytest.mark.parametrize("store", STORES)
@settings(max_examples=300)
@given(
    actions=st.lists(ACTIONS, min_size=1, max_size=20),
    window_days=st.sampled_from([0, 1, 34, 35]),
    limits=LIMITS,
)
def test_counts_are_the_oracles(
    store: str,
    actions: list[tuple[str, int, list[PlainFact]]],
    window_days: int,
    limits: MeterLimits,
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        # In so short a history two runs must do for a merge.
        patched.setattr(merging, "_PEERS", 2)
        history = History(Path(folder), window_days, limits, store)
        for action in actions:
            history.act(*action)
        history.drain()
        history.act("restart", 0, [])
        history.check()
        history.close()
