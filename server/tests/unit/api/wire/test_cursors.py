"""Cursors: they name a place in one query, and nothing else passes for one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.api.wire.cursors import START, CursorPosition, QueryName
from headcount.api.wire.problems import Problem

QUERY = QueryName("getDailyPerSourceMTUUsage", "w1", "2026-11-01")
places = st.builds(
    CursorPosition, st.booleans(), st.booleans(), st.integers(0, 30), st.integers(0, 2**32 - 1)
)


@given(places)
def test_a_cursor_gives_its_place_back_and_is_safe_in_an_address(place: CursorPosition) -> None:
    cursor = QUERY.cursor(place)
    assert QUERY.place(cursor) == place
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)


@given(places, st.integers(0, 19), st.characters(codec="ascii"))
def test_a_changed_cursor_is_unknown(place: CursorPosition, at: int, character: str) -> None:
    cursor = QUERY.cursor(place)
    changed = cursor[:at] + character + cursor[at + 1 :]
    if changed != cursor:
        with pytest.raises(Problem) as caught:
            QUERY.place(changed)
        assert caught.value.error.field == "pagination.cursor"


@given(places)
def test_a_cursor_of_another_query_is_unknown(place: CursorPosition) -> None:
    for other in (
        QueryName("getDailyWorkspaceMTUUsage", "w1", "2026-11-01"),
        QueryName("getDailyPerSourceMTUUsage", "w2", "2026-11-01"),
        QueryName("getDailyPerSourceMTUUsage", "w1", "2026-10-01"),
    ):
        with pytest.raises(Problem):
            QUERY.place(other.cursor(place))


@pytest.mark.parametrize("text", ["", "Mw==", "A" * 19, "A" * 20, "A" * 21, "é" * 20, "\n" * 20])
def test_what_nobody_gave_is_unknown(text: str) -> None:
    with pytest.raises(Problem) as caught:
        QUERY.place(text)
    assert caught.value.status == 422


def test_the_start_is_a_place_too() -> None:
    assert QUERY.place(QUERY.cursor(START)) == START
