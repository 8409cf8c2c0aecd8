"""What is said of rules and quotas that cannot be judged: of each, for as long as it lasts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headcount.counting.alerts import AlertRule, Quota
from headcount.counting.calendar import Period, parse_period
from headcount.errors import DamagedDataError
from headcount.meter.unjudged import ARRIVALS, BY_CLOCK, Unjudged
from headcount.troubles import Troubles

MARCH = parse_period("2026-03-01")
DAMAGED = DamagedDataError("a row is damaged.", "Repair it.")


class Said:
    """Troubles, and how often one began and ended."""

    def __init__(self) -> None:
        self.troubles = Troubles(None, "meter", lambda: 0)
        self.unjudged = Unjudged(self.troubles)

    def __call__(self) -> str:
        self.unjudged.say()
        return "".join(each.message for each in self.troubles.now())


@pytest.fixture
def said() -> Said:
    return Said()


def rule(number: int, workspace: int = 1) -> AlertRule:
    return AlertRule(number, f"r{number}", "Monthly limit", workspace, 0, "count", "api_calls")


def place(of: AlertRule, period: Period = MARCH) -> tuple[Period, int, int]:
    return (period, *of.scope)


def damaged() -> Iterator[str]:
    raise DAMAGED
    yield


def test_two_rules_of_one_name_hide_nothing_of_each_other(
    said: Said, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = rule(1), rule(2, 2)
    for _ in range(3):
        assert said.unjudged.unless_damaged(bad, place(bad), damaged()) == []
        assert "Monthly limit (r1)" in said()
        assert said.unjudged.unless_damaged(good, place(good), ["found"]) == ["found"]
        assert "Monthly limit (r1)" in said()
        assert "r2" not in said()
    # It is said once, and not with every turn.
    assert len(caplog.records) == 1
    said.unjudged.unless_damaged(bad, place(bad), [])
    assert said() == ""


def test_a_month_that_can_be_judged_hides_no_other_of_the_same_rule(said: Said) -> None:
    one, before = rule(1), MARCH.shifted(-1)
    said.unjudged.note(one, place(one, before), DAMAGED)
    said.unjudged.note(one, ARRIVALS, DAMAGED)
    said.unjudged.unless_damaged(one, place(one), ["found"])
    said.unjudged.unless_damaged(one, BY_CLOCK, ["found"])
    # Once, whatever of it is damaged.
    assert said().count("Monthly limit") == 1
    assert said.unjudged.due(0) == [place(one, before)]
    said.unjudged.unless_damaged(one, place(one, before), [])
    assert "Monthly limit" in said()
    said.unjudged.forget()
    assert said() == ""


def test_quotas_are_named_by_source_and_month_and_rules_hide_none(said: Said) -> None:
    quota, at = Quota(1, 3, "api_calls", 5, "mark", "web of Shop"), (MARCH, 1, 3)
    other = Quota(1, 4, "api_calls", 5, "mark")
    said.unjudged.note_quota(quota, at, DAMAGED)
    said.unjudged.quota_unless_damaged(other, (MARCH, 1, 4), damaged())
    said.unjudged.unless_damaged(rule(1), at, [])
    assert "the quota of web of Shop in 2026-03, the quota of source 4 in 2026-03" in said()
    said.unjudged.quota_unless_damaged(quota, at, [])
    said.unjudged.quota_unless_damaged(other, (MARCH, 1, 4), [])
    assert said() == ""


def test_what_is_passed_over_is_judged_again_every_minute(said: Said) -> None:
    at = place(rule(1))
    said.unjudged.note(rule(1), at, DAMAGED)
    said.unjudged.note_quota(Quota(1, 0, "api_calls", 5, "mark"), at, DAMAGED)
    found = [said.unjudged.due(now_ms) for now_ms in (0, 59_999, 60_000, 60_001, 120_000, 5)]
    # A clock that is set back lets nobody wait.
    assert found == [[at], [], [at], [], [at], [at]]
