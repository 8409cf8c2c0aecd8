"""Facts on which counting fails for a reason that nobody has thought of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.counting.batch import Facts
from headcount.counting.calendar import MS_PER_DAY, parse_period
from headcount.counting.fold import fold
from headcount.counting.folded import Folded, Indexes
from headcount.errors import StorageUnavailableError
from headcount.meter import MeterLimits, digestion
from support.oracle import Oracle, PlainFact
from support.rig import HASHER, Rig, assert_equal_to_oracle

NOW_MS = (parse_period("2026-01-01").first_day + 9) * MS_PER_DAY


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path, lambda: NOW_MS, limits=MeterLimits(facts_a_batch_max=1_000))
    yield rig
    rig.close()


class Fold:
    """The real one, that fails on some messages, as a fault of the program would."""

    def __init__(self, bad: set[str], error: type[Exception] = ZeroDivisionError) -> None:
        self.bad = [int.from_bytes(HASHER.message(name), "little") for name in bad]
        self.error = error
        self.calls = 0

    def __call__(self, facts: Facts, indexes: Indexes, window_days: int) -> Folded:
        self.calls += 1
        if any(hashed in self.bad for hashed in facts["message"].tolist()):
            raise self.error
        return fold(facts, indexes, window_days)


def facts(count: int) -> list[PlainFact]:
    return [PlainFact(NOW_MS, 1, 1 + n % 3, f"m{n}", f"u{n % 7}", f"a{n}") for n in range(count)]


def test_those_are_found_and_kept_and_all_others_are_counted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"m0", "m77", "m78", "m199"}
    failing = Fold(bad)
    monkeypatch.setattr(digestion, "fold", failing)
    sent = facts(200)
    journal = rig.journal()
    for at in range(0, 200, 20):
        rig.append(journal, sent[at : at + 20])
    rig.drain()
    oracle = Oracle()
    for fact in sent:
        if fact.message not in bad:
            oracle.meter(fact, fact.day)
    assert_equal_to_oracle(rig.store, oracle)
    [kept] = rig.store.set_aside()
    assert (kept.reason, kept.messages) == ("undigestible", len(bad))
    # Halving: about two looks for each halving of the batch, and each that is bad.
    assert failing.calls <= 4 + 2 * 8 * len(bad)
    journal.close()


def test_a_fact_that_is_bad_alone_holds_up_nobody(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digestion, "fold", Fold({"m0"}))
    rig.append(rig.journal(), facts(1))
    rig.drain()
    assert [each.messages for each in rig.store.set_aside()] == [1]


def test_the_work_has_a_bound_however_many_are_bad(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digestion, "_ATTEMPTS_MAX", 20)
    failing = Fold({f"m{n}" for n in range(0, 100, 2)})
    monkeypatch.setattr(digestion, "fold", failing)
    rig.append(rig.journal(), facts(100))
    rig.drain()
    assert failing.calls <= 26
    assert sum(each.messages for each in rig.store.set_aside()) >= 50


@pytest.mark.parametrize("error", [MemoryError, OSError, StorageUnavailableError])
def test_what_is_not_the_fault_of_facts_sets_none_aside(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    rig.append(rig.journal(), facts(3))
    with monkeypatch.context() as patched:
        patched.setattr(digestion, "fold", Fold({"m1"}, error))
        with pytest.raises(error):
            rig.meter.step()
    assert list(rig.store.set_aside()) == []
    rig.drain()
    oracle = Oracle()
    for fact in facts(3):
        oracle.meter(fact, fact.day)
    assert_equal_to_oracle(rig.store, oracle)


def test_where_an_ordinary_fact_fails_too_none_is_set_aside(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(facts: Facts, indexes: Indexes, window_days: int) -> Folded:
        if len(facts):
            raise ZeroDivisionError
        return fold(facts, indexes, window_days)

    monkeypatch.setattr(digestion, "fold", broken)
    rig.append(rig.journal(), facts(3))
    with pytest.raises(ZeroDivisionError):
        rig.meter.step()
    assert list(rig.store.set_aside()) == []
