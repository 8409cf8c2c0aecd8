"""What doctor calls impossible about counts, for every metric of the table."""

from __future__ import annotations

import numpy as np
import pytest

from headcount.counting.calendar import Period
from headcount.counting.metrics import (
    ANONYMOUS,
    ANONYMOUS_IDENTIFIED,
    API_CALLS,
    KINDS,
    METRICS,
    STORED,
    Metric,
)
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.doctor.counts import _faults

FEBRUARY = Period(2027 * 12 + 1)
IDS = [metric.name for metric in STORED]


def month() -> tuple[Counts, Counts]:
    """A workspace and its two sources, one of whose users they share."""
    parts = np.zeros((2, DAYS_MAX, len(KINDS)), np.int64)
    parts[:, :20] = 4
    whole = parts.sum(axis=0)
    for column, metric in enumerate(STORED):
        if not metric.adds_up:
            whole[0, column] -= 1
    return whole, parts


def faults(whole: Counts, parts: Counts) -> str:
    return "; ".join(_faults(FEBRUARY, whole, parts))


def test_counts_that_can_be_have_no_fault() -> None:
    assert faults(*month()) == ""


@pytest.mark.parametrize("metric", STORED, ids=IDS)
def test_no_new_count_of_a_column_is_negative(metric: Metric) -> None:
    whole, parts = month()
    for counts in (whole, parts[0]):
        counts[5, metric.column] -= 9
        counts[6, metric.column] += 9
    assert f"a count is negative, that of {metric.label}" in faults(whole, parts)


@pytest.mark.parametrize("metric", STORED, ids=IDS)
def test_a_workspace_is_held_against_its_sources(metric: Metric) -> None:
    whole, parts = month()
    whole[7, metric.column] += 2
    more = "not the sum" if metric.adds_up else "than its sources together"
    assert more in faults(whole, parts)
    whole, parts = month()
    whole[:, metric.column] = 0
    whole[0, metric.column] = 1
    less = "not the sum" if metric.adds_up else "than the workspace"
    assert less in faults(whole, parts)


def test_a_day_may_make_more_ids_known_than_it_brings_but_not_all_days_together() -> None:
    whole, parts = month()
    for counts in (whole, parts[0]):
        counts[10, ANONYMOUS] += 1
        counts[11, ANONYMOUS_IDENTIFIED] += 1
    assert faults(whole, parts) == "", "never identified falls, as it may"
    for counts in (whole, parts[0]):
        counts[12, ANONYMOUS_IDENTIFIED] += 1
    assert "a count is negative, that of never identified" in faults(whole, parts)


def test_there_are_no_more_api_calls_than_messages() -> None:
    whole, parts = month()
    for counts in (whole, parts[0]):
        counts[3, API_CALLS] += 1
    assert "a count is negative, that of duplicates" in faults(whole, parts)


def test_no_count_stands_on_a_day_that_the_month_does_not_have() -> None:
    whole, parts = month()
    for counts in (whole, parts[0]):
        counts[28] = 1
    assert "on days that the month does not have" in faults(whole, parts)


def test_the_table_names_every_fault() -> None:
    assert len({metric.label for metric in METRICS}) == len(METRICS)
