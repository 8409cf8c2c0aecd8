"""The table of metrics: names, columns that are a stored format, and what follows from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.keys import MESSAGE, TRACKED
from headcount.counting.metrics import BY_NAME, HEADLINES, KINDS, METRICS, REPORTED, STORED, KeyDays
from headcount.counting.usage import all_of


def test_columns_are_what_stores_hold() -> None:
    # In this order for ever: a new metric comes after them.
    assert KINDS[:5] == (
        "api_calls", "identified", "anonymous", "anonymous_identified", "admitted",
    )  # fmt: skip


def test_names_are_those_of_the_usage_api() -> None:
    assert {
        "apiCalls", "mtu", "identified", "neverIdentified", "anonymous", "anonymousIdentified",
    } <= {metric.wire for metric in REPORTED}  # fmt: skip
    assert [metric.option for metric in HEADLINES][:2] == ["mtu", "api-calls"]


@given(st.lists(st.integers(0, 10**12), min_size=len(KINDS), max_size=len(KINDS)))
def test_what_follows_from_others_follows_by_their_rule(values: list[int]) -> None:
    given_ = dict(zip(KINDS, values, strict=True))
    counts = np.array([values], np.int64)
    found = {metric.name: int(metric.of(counts)[0]) for metric in METRICS}
    never = given_["anonymous"] - given_["anonymous_identified"]
    assert (
        found.items()
        >= (
            given_
            | {
                "never_identified": never,
                "mtu": given_["identified"] + never,
                "duplicate": given_["admitted"] - given_["api_calls"],
            }
        ).items()
    )
    assert all_of(METRICS, counts)[0].tolist() == [found[metric.name] for metric in METRICS]


def test_only_what_may_shrink_may_fall() -> None:
    # A set never loses an id; a difference of sets may.
    assert {metric.name for metric in METRICS if metric.may_fall} >= {"mtu", "never_identified"}
    for metric in METRICS:
        assert not metric.may_fall or metric.column is None


def test_only_messages_add_up_over_sources() -> None:
    stacked = {metric.name for metric in METRICS if metric.adds_up}
    assert {"api_calls", "admitted", "duplicate"} <= stacked
    assert not stacked & {"mtu", "identified", "anonymous"}
    for metric in METRICS:
        parts = [STORED[column].adds_up for column, _ in metric.terms]
        assert metric.adds_up == all(parts)


@pytest.mark.parametrize("days", [KeyDays(MESSAGE), KeyDays(TRACKED)])
def test_every_key_is_counted_by_some_column(days: KeyDays) -> None:
    assert any(metric.keys == days for metric in METRICS)


def test_what_follows_says_how() -> None:
    assert BY_NAME["mtu"].words == "`identified` + `neverIdentified`."
    assert BY_NAME["never_identified"].words == "`anonymous` - `anonymousIdentified`."
