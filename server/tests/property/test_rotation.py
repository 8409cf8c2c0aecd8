"""Rotating the hash key changes no count: over generated histories with rotations at any moment,
counts equal those of the oracle, which knows of no keys.

Everything about keys is the real thing: the command's rotation, the catalog, the file, two workers
that learn of a new key at different moments, and the retirement of the former.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headcount.catalog import Catalog
from headcount.counting.calendar import MS_PER_DAY, parse_period
from headcount.counting.facts import packed
from headcount.datafolder import open_data_folder, read_hash_keys
from headcount.errors import UsageError
from headcount.meter import MeterLimits, merging
from headcount.store.protocol import sealed_months
from headcount.wiring.keys_in_use import CatalogHashKeys, CatalogKeyPlan, drop_unused_keys
from headcount.wiring.rotating import rotate_hash_key
from support.oracle import Oracle, PlainFact
from support.rig import Recorder, Rig, assert_equal_to_oracle, pack

FIRST_DAY = parse_period("2026-01-01").first_day
IDS = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "\ud800", "1"]))
# Near a month's end, at the end of the message window, of an open month, and of history.
DAYS_AGO = st.sampled_from([0, 0, 0, 1, 2, 13, 29, 31, 34, 35, 36, 37, 66, 90, 400])


@st.composite
def plain_facts(draw: st.DrawFn) -> PlainFact:
    """A fact of one of two workspaces with two sources each, received some days before day 0."""
    source = draw(st.integers(1, 4))
    user = draw(IDS)
    return PlainFact(
        received_at_ms=-draw(DAYS_AGO) * MS_PER_DAY,
        workspace=1 + source % 2,
        source=source,
        message=draw(st.sampled_from(["m1", "m2", "m3", "m4"])),
        user=user,
        anonymous=draw(IDS),
        previous=draw(IDS) if user is not None else None,
        imported=draw(st.booleans()),
    )


NOTHING: st.SearchStrategy[list[PlainFact]] = st.just([])
ACTIONS = st.one_of(
    st.tuples(
        st.just("append"), st.integers(0, 1), st.lists(plain_facts(), min_size=1, max_size=6)
    ),
    st.tuples(st.just("step"), st.just(0), NOTHING),
    st.tuples(st.just("drain"), st.just(0), NOTHING),
    st.tuples(st.just("restart"), st.just(0), NOTHING),
    st.tuples(st.just("days"), st.sampled_from([0.4, 1, 2, 13, 30, 36, 40, -1, -40]), NOTHING),
    st.tuples(st.just("rotate"), st.just(0), NOTHING),
)
LIMITS = st.sampled_from([MeterLimits(), MeterLimits(3, 2, 3, past_bytes_max=0)])


class History:
    """A real folder and an oracle that live through the same days, and rotations of the key."""

    def __init__(self, path: Path, window_days: int, limits: MeterLimits) -> None:
        self.facts_max = limits.facts_a_batch_max
        self.now_ms = (FIRST_DAY + 20) * MS_PER_DAY
        self.recorder = Recorder()
        self.oracle = Oracle(window_days)
        self.folder = open_data_folder(path, create=True)
        self.catalog = Catalog(self.folder.catalog)
        # The first learns of a key at once. The second asks once a day, which is the least.
        self.workers = [CatalogHashKeys(self.folder, self.catalog, None) for _ in range(2)]
        self.asked_at_ms = self.now_ms
        self.rig = Rig(
            path, lambda: self.now_ms, window_days=window_days, limits=limits,
            key_plan=CatalogKeyPlan(self.catalog),
        )  # fmt: skip
        self.journals = [self.rig.journal() for _ in range(2)]
        self.happened: Counter[str] = Counter()

    def act(self, action: str, number: float, facts: list[PlainFact]) -> None:
        """Let one thing happen."""
        if action == "append":
            self.append(int(number), facts)
        elif action == "step":
            self.step()
        elif action == "drain":
            self.drain()
        elif action == "restart":
            self.rig.stop()
            self.rig.start()
        elif action == "rotate":
            # Refused while two keys are in use.
            with suppress(UsageError):
                rotate_hash_key(self.folder, None, self.now_ms)
                self.happened["rotated"] += 1
        else:
            self.now_ms += int(number * MS_PER_DAY)

    def append(self, number: int, facts: list[PlainFact]) -> None:
        if number == 0 or not 0 <= self.now_ms - self.asked_at_ms < MS_PER_DAY:
            self.workers[number].refresh()
            self.asked_at_ms = self.now_ms if number else self.asked_at_ms
        today_ms = self.now_ms // MS_PER_DAY * MS_PER_DAY
        dated = [replace(f, received_at_ms=f.received_at_ms + today_ms) for f in facts]
        ring = self.workers[number]._ring
        self.recorder.learn(dated, ring)
        content = packed(b"".join(pack(fact, ring) for fact in dated), ring.flags)
        self.journals[number].append(content, (), self.now_ms)

    def step(self) -> bool:
        self.now_ms += 61_000
        clock_day = self.now_ms // MS_PER_DAY
        facts = self.recorder.in_metering_order(self.rig.meter.peek())
        self.oracle.take(facts, clock_day, self.facts_max)
        drained = self.rig.meter.step().drained
        if drained:
            self.oracle.seal(clock_day)
            if self.rig.meter.is_former_key_done():
                self.catalog.retire_hash_key()
                assert drop_unused_keys(self.folder, self.catalog)
                assert len(read_hash_keys(self.folder.hash_key)) == 1
                self.workers[1].refresh()  # what it writes else would be told apart, and kept aside
                self.happened["retired"] += 1
        return drained

    def drain(self) -> None:
        while not self.step():
            pass
        self.check()

    def check(self) -> None:
        store = self.rig.store
        assert_equal_to_oracle(store, self.oracle)
        assert sealed_months(store.months()) == self.oracle.sealed
        assert "other_key" not in {each.reason for each in store.set_aside()}
        assert sum(each.messages for each in store.set_aside()) == self.oracle.kept()

    def close(self) -> None:
        for journal in self.journals:
            journal.close()
        self.rig.close()
        self.catalog.close()


def live_through(
    actions: list[tuple[str, float, list[PlainFact]]],
    window_days: int = 35,
    limits: MeterLimits | None = None,
) -> Counter[str]:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(merging, "_PEERS", 2)
        history = History(Path(folder), window_days, limits or MeterLimits())
        for action in actions:
            history.act(*action)
        history.drain()
        history.act("restart", 0, [])
        history.check()
        history.close()
        return history.happened


def _now(message: str, user: str, *, ago: int = 0, imported: bool = False) -> PlainFact:
    return PlainFact(-ago * MS_PER_DAY, 1, 2, message, user, imported=imported)


@settings(max_examples=150, deadline=None)
@given(
    actions=st.lists(ACTIONS, min_size=1, max_size=24),
    window_days=st.sampled_from([0, 34, 35]),
    limits=LIMITS,
)
@example(
    actions=[("append", 0, [_now("m1", "a")]), ("rotate", 0, []), ("days", 13, []),
             ("append", 1, [_now("m1", "a"), _now("m2", "b")])],
    window_days=35, limits=MeterLimits(),
)  # fmt: skip
def test_counts_are_the_oracles_whenever_the_key_is_rotated(
    actions: list[tuple[str, float, list[PlainFact]]], window_days: int, limits: MeterLimits
) -> None:
    live_through(actions, window_days, limits)


def test_a_key_serves_retires_and_is_followed_by_the_next() -> None:
    """A year in which the key is rotated whenever that is allowed, with the same ids all along."""
    actions: list[tuple[str, float, list[PlainFact]]] = []
    for day in range(0, 330, 3):
        message = f"m{day % 7}"
        actions += [
            ("append", day % 2, [_now(message, "a"), _now(message, "b", ago=33, imported=True)]),
            ("rotate", 0, []),
            ("drain", 0, []),
            # Live messages lead from day to day, or no month would be closed.
            ("days", 2, []),
            ("append", 0, [_now(f"n{day}", "c")]),
            ("drain", 0, []),
            ("days", 1, []),
        ]
    happened = live_through(actions)
    assert happened["rotated"] >= 3
    assert happened["retired"] >= 2
