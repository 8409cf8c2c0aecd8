"""Facts whose ids are hashed under another key than those of their month are told apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.counting.aside import AsideReason
from headcount.counting.calendar import MS_PER_DAY, parse_period
from headcount.counting.facts import WideFacts, packed
from headcount.counting.hashing import IdHasher, KeyPlan, KeyRing
from headcount.store.protocol import Change
from support.oracle import PlainFact
from support.rig import Rig, pack

DECEMBER = parse_period("2026-12-01")
KEYS = [bytes([number]) * 32 for number in (1, 2)]
BEFORE, BOTH, AFTER = KeyPlan(), KeyPlan(0, DECEMBER), KeyPlan(1)
RINGS = {
    BEFORE: KeyRing(BEFORE, KEYS[:1]),
    BOTH: KeyRing(BOTH, KEYS),
    AFTER: KeyRing(AFTER, KEYS[1:]),
}
NOVEMBER_28, DECEMBER_2 = DECEMBER.first_day - 3, DECEMBER.first_day + 1


class Counted:
    """A folder that is metered on a day, under a plan of the keys."""

    def __init__(self, folder: Path) -> None:
        self.plan, self.day = BOTH, DECEMBER_2
        self.rig = Rig(folder, lambda: self.day * MS_PER_DAY, key_plan=lambda: self.plan)
        self.journal = self.rig.journal()

    def take(self, plan: KeyPlan, day: int, message: str, **more: object) -> None:
        fact = PlainFact(day * MS_PER_DAY, 1, 1, message, "u", **more)  # type: ignore[arg-type]
        ring = RINGS[plan]
        self.journal.append(packed(pack(fact, ring), ring.flags), (), self.day * MS_PER_DAY)
        self.rig.drain()

    def aside(self) -> dict[str, int]:
        return {each.reason: each.messages for each in self.rig.store.set_aside()}

    def calls(self) -> int:
        months = [DECEMBER.shifted(by) for by in (-2, -1, 0)]
        readings = [self.rig.store.read_usage(1, month) for month in months]
        return sum(int(reading.workspace[:, 0].sum()) for reading in readings)


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    counted = Counted(tmp_path)
    yield counted
    counted.rig.close()


def test_a_month_is_counted_under_its_own_key_alone(counted: Counted) -> None:
    counted.take(BEFORE, DECEMBER_2, "stale")  # by a worker that has not heard
    counted.take(AFTER, NOVEMBER_28, "late")
    assert counted.aside() == {AsideReason.OTHER_KEY: 2}
    counted.take(BOTH, DECEMBER_2, "stale")
    counted.take(BOTH, NOVEMBER_28, "late", imported=True)
    assert counted.aside() == {AsideReason.OTHER_KEY: 2}
    assert counted.calls() == 2


def test_a_message_id_is_one_across_the_turn_of_the_key(counted: Counted) -> None:
    counted.take(BEFORE, NOVEMBER_28, "m")
    counted.take(BOTH, DECEMBER_2, "m")
    counted.take(BOTH, DECEMBER_2, "n")
    counted.take(BOTH, NOVEMBER_28, "n", imported=True)
    assert (counted.calls(), counted.aside()) == (2, {})


def test_what_cannot_be_looked_for_under_the_next_key_is_kept_aside(counted: Counted) -> None:
    """It was hashed before there was one, and comes when its copy may be counted in that month."""
    counted.take(BOTH, DECEMBER_2, "m")
    counted.take(BEFORE, NOVEMBER_28, "m")
    assert counted.aside() == {AsideReason.OTHER_KEY: 1}
    counted.take(BEFORE, DECEMBER_2 - 40, "far")  # no day of December is within its window
    assert (counted.calls(), counted.aside()) == (2, {AsideReason.OTHER_KEY: 1})


def test_what_waits_for_its_day_stays_comparable(counted: Counted) -> None:
    counted.take(BOTH, NOVEMBER_28, "m")
    counted.day = NOVEMBER_28
    counted.take(BOTH, DECEMBER_2, "m")  # four days ahead of the clock
    assert counted.aside() == {AsideReason.WAITING: 1}
    counted.day = DECEMBER_2
    counted.rig.store.commit(Change(confirmed_day=counted.day))
    (row,) = counted.rig.store.confirmed_aside(1)
    assert isinstance(row.facts, WideFacts)
    counted.rig.drain()
    assert (counted.calls(), counted.aside()) == (1, {})


def test_one_key_hashes_as_it_always_has() -> None:
    ring, hasher = RINGS[BEFORE], IdHasher(KEYS[0])
    assert ring.at(0).tracked("u") == hasher.tracked("u")
    assert (ring.flags, hasher.flags, hasher.also) == (0, 0, None)
