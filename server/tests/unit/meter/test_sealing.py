"""Closing months, to the letter of the rule, under a clock that jumps and facts that come late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.metrics import API_CALLS
from headcount.errors import StorageUnavailableError
from headcount.journal import JournalFile
from headcount.store.protocol import Change, sealed_months
from support.oracle import PlainFact
from support.rig import Rig

JANUARY = parse_period("2026-01-01")
FEBRUARY = JANUARY.shifted(1)
OPEN_DAYS = 35
DUE = JANUARY.last_day + OPEN_DAYS + 1


class Life:
    """A meter with one journal, and a clock in days."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_ms = JANUARY.first_day * MS_PER_DAY
        self.rig = Rig(folder, lambda: self.now_ms)
        self.journal = self.rig.journal()
        self.messages = 0

    def clock_is(self, day: int) -> None:
        """Set the clock; each look is a minute after the one before."""
        self.now_ms = day * MS_PER_DAY + self.now_ms % MS_PER_DAY + 61_000

    def message(self, workspace: int = 1, day: int | None = None, **more: bool) -> PlainFact:
        self.messages += 1
        moment_ms = self.now_ms if day is None else day * MS_PER_DAY
        return PlainFact(moment_ms, workspace, workspace, f"m{self.messages}", "u", **more)

    def receive(self, *facts: PlainFact, journal: JournalFile | None = None) -> None:
        self.rig.append(journal or self.journal, facts)

    def lives_until(self, day: int, *workspaces: int) -> None:
        """Live messages every other day up to a day."""
        for each in range(self.now_ms // MS_PER_DAY, day + 1, 2):
            self.clock_is(each)
            self.receive(*(self.message(workspace) for workspace in workspaces or (1,)))
            self.look()
        self.clock_is(day)
        self.look()

    def look(self) -> None:
        """Let the meter do what is due."""
        self.now_ms += 61_000
        self.rig.drain()

    def sealed(self) -> set[tuple[int, Period]]:
        return set(sealed_months(self.rig.store.months()))

    def files(self, folder: str) -> list[str]:
        path = self.folder / folder
        return [each.name for each in path.iterdir()] if path.is_dir() else []

    def api_calls(self, period: Period = JANUARY, workspace: int = 1) -> int:
        return int(self.rig.store.read_usage(workspace, period).workspace[:, API_CALLS].sum())

    def close(self) -> None:
        self.journal.close()
        self.rig.close()


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    life = Life(tmp_path)
    yield life
    life.close()


def test_a_month_is_closed_on_the_day_after_35_days_and_not_before(life: Life) -> None:
    life.lives_until(DUE - 1)
    assert life.sealed() == set()
    calls = life.api_calls()
    life.lives_until(DUE)
    assert life.sealed() == {(1, JANUARY)}
    assert life.api_calls() == calls > 0
    assert (JANUARY, "message") not in life.rig.store.state().key_periods


def test_a_clock_that_jumps_a_month_and_back_closes_nothing(life: Life) -> None:
    life.lives_until(DUE - 20)
    # Messages that come under a wrong clock do not make it right, be they ever so many.
    for day in range(DUE + 10, DUE + 30):
        life.clock_is(day)
        life.receive(life.message())
        life.look()
    assert life.sealed() == set()
    life.clock_is(DUE - 19)
    life.lives_until(DUE - 1)
    assert life.sealed() == set()
    life.lives_until(DUE)
    assert life.sealed() == {(1, JANUARY)}


def test_days_without_messages_close_nothing_until_the_clock_is_confirmed(life: Life) -> None:
    life.lives_until(DUE - 20)
    life.clock_is(DUE + 3)
    life.receive(life.message())
    life.look()
    assert life.sealed() == set()
    life.rig.store.commit(Change(confirmed_day=DUE + 3))
    life.look()
    assert life.sealed() == {(1, JANUARY)}


def test_an_import_keeps_a_month_open_for_35_days_more(life: Life) -> None:
    life.lives_until(DUE - 2)
    life.receive(life.message(day=JANUARY.first_day, imported=True))
    life.look()
    life.lives_until(DUE - 2 + OPEN_DAYS)
    assert (1, JANUARY) not in life.sealed()
    life.lives_until(DUE - 1 + OPEN_DAYS)
    assert (1, JANUARY) in life.sealed()


def test_an_import_while_the_clock_is_behind_counts_from_the_day_that_it_is(life: Life) -> None:
    """Today is never before a day that was metered, whatever the clock says."""
    life.lives_until(DUE - 1)
    life.clock_is(DUE - 50)
    life.receive(life.message(day=JANUARY.first_day, imported=True))
    life.look()
    life.clock_is(DUE - 1)
    life.lives_until(DUE - 2 + OPEN_DAYS)
    assert (1, JANUARY) not in life.sealed()
    life.lives_until(DUE + OPEN_DAYS)
    assert (1, JANUARY) in life.sealed()


def test_a_month_of_years_ago_is_open_and_its_first_import_starts_the_days(life: Life) -> None:
    past = parse_period("2021-02-01")
    life.lives_until(JANUARY.first_day + 10)
    life.receive(life.message(day=past.first_day, imported=True))
    life.look()
    life.lives_until(JANUARY.first_day + 10 + OPEN_DAYS)
    assert life.sealed() == set()
    life.lives_until(JANUARY.first_day + 12 + OPEN_DAYS)
    assert life.sealed() == {(1, past)}
    assert life.api_calls(past) == 1


@pytest.mark.parametrize("imported", [False, True])
def test_what_comes_for_a_closed_month_is_kept_aside_and_reported(
    life: Life, imported: bool
) -> None:
    """Out of a journal that lay elsewhere, and is put back: an adopted one."""
    life.lives_until(JANUARY.first_day + 4)
    elsewhere = life.rig.journal()
    late = [life.message(), life.message(workspace=2)]
    late = [replace(each, imported=imported) for each in late]
    life.receive(*late, journal=elsewhere)
    away = life.folder / "away.sqlite"
    place = elsewhere.path
    elsewhere.close()
    place.rename(away)
    life.lives_until(DUE + 2)
    assert life.sealed() == {(1, JANUARY)}
    calls = life.api_calls()
    away.rename(place)
    life.look()
    [aside] = life.rig.store.set_aside()
    assert (aside.reason, aside.workspace, aside.period, aside.messages) == (
        "sealed", 1, JANUARY, 1,
    )  # fmt: skip
    assert life.api_calls() == calls
    # The other workspace had nothing in that month: for it, the month is open.
    assert life.api_calls(workspace=2) == 1
    assert (2, JANUARY) in {(m.workspace, m.period) for m in life.rig.store.months()}


def test_a_journal_that_is_not_drained_holds_up_closing(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.lives_until(DUE - 1)
    limits = replace(life.rig.meter._limits, facts_a_batch_max=1)
    monkeypatch.setattr(life.rig.meter, "_limits", limits)
    life.clock_is(DUE)
    late = life.message(day=JANUARY.first_day)
    life.receive(life.message())
    life.receive(late)
    life.now_ms += 61_000
    assert not life.rig.meter.step().drained
    assert life.sealed() == set()
    calls = life.api_calls()
    life.look()
    assert life.sealed() == {(1, JANUARY)}
    assert life.api_calls() == calls + 1


def test_ids_stay_while_another_workspace_uses_the_month(life: Life) -> None:
    first = life.message(workspace=2)
    life.receive(first)
    life.lives_until(JANUARY.last_day, 1, 2)
    calls = life.api_calls(workspace=2)
    life.clock_is(DUE - 1)
    life.receive(life.message(workspace=2, day=JANUARY.first_day, imported=True))
    life.rig.store.commit(Change(confirmed_day=DUE))
    life.look()
    life.lives_until(DUE)
    assert life.sealed() == {(1, JANUARY)}
    assert (JANUARY, "message") in life.rig.store.state().key_periods
    life.receive(first)  # a duplicate, as before
    life.look()
    assert life.api_calls(workspace=2) == calls + 1
    life.rig.stop()
    life.rig.start()
    life.receive(first)
    life.lives_until(DUE + OPEN_DAYS)
    assert life.api_calls(workspace=2) == calls + 1
    assert life.sealed() >= {(1, JANUARY), (2, JANUARY)}
    assert JANUARY not in {period for period, _ in life.rig.store.state().key_periods}


def test_what_is_dropped_stays_in_the_trash_for_seven_days(life: Life) -> None:
    life.lives_until(DUE)
    dropped = life.files("trash")
    assert len(dropped) == 2
    life.lives_until(DUE + 6)
    assert life.files("trash") == dropped
    life.lives_until(DUE + 8)
    assert life.files("trash") == []


def test_a_clock_that_is_behind_does_not_shorten_the_days_in_the_trash(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.lives_until(DUE - 1)
    life.rig.store.commit(Change(confirmed_day=DUE + 10))
    life.clock_is(DUE + 10)
    life.receive(life.message())
    with monkeypatch.context() as patched:
        patched.setattr(life.rig.store, "drop_keys", _refuse)
        with pytest.raises(StorageUnavailableError):
            life.look()
    life.clock_is(DUE)
    life.look()
    dropped = life.files("trash")
    assert dropped
    life.clock_is(DUE + 12)
    life.look()
    assert life.files("trash") == dropped
    life.clock_is(DUE + 18)
    life.rig.store.commit(Change(confirmed_day=DUE + 18))
    life.look()
    assert life.files("trash") == []


def _refuse(*_: object) -> None:
    raise StorageUnavailableError("the store could not drop keys: on purpose")


def test_a_clock_that_cannot_be_believed_empties_no_trash(life: Life) -> None:
    life.lives_until(DUE)
    dropped = life.files("trash")
    life.clock_is(DUE + 40)
    life.look()
    assert life.files("trash") == dropped != []
