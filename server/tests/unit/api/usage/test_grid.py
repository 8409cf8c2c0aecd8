"""The grid of rows, against the list of rows that it stands for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headcount.api.usage.grid import Grid

ids = st.lists(st.text("abXY0", min_size=1, max_size=3), unique=True, max_size=12).map(sorted)


@st.composite
def grids(draw: st.DrawFn) -> tuple[Grid, list[tuple[int, str]]]:
    scope_ids = draw(ids)
    days = draw(st.integers(1, 31))
    first = [draw(st.integers(0, 31)) for _ in scope_ids]
    rows = [
        (day, scope)
        for day in range(days)
        for scope, start in zip(scope_ids, first, strict=True)
        if start <= day
    ]
    return Grid(scope_ids, np.array(first, np.intp), days), rows


@given(grids(), st.data())
def test_a_slice_is_that_slice_of_the_rows(
    case: tuple[Grid, list[tuple[int, str]]], data: st.DataObject
) -> None:
    grid, rows = case
    assert grid.total == len(rows)
    start = data.draw(st.integers(0, len(rows)))
    end = data.draw(st.integers(start, len(rows)))
    found = grid.rows(start, end)
    named = [(int(d), grid._ids[int(s)]) for d, s in zip(found.days, found.scopes, strict=True)]
    assert named == rows[start:end]


@given(grids(), st.integers(0, 30), st.text("abXY0", max_size=3), st.booleans())
def test_a_boundary_is_the_number_of_rows_before_it(
    case: tuple[Grid, list[tuple[int, str]]], day: int, scope: str, after: bool
) -> None:
    grid, rows = case
    before = [row for row in rows if row < (day, scope) or (after and row == (day, scope))]
    assert grid.index(day, scope, after=after) == len(before)
