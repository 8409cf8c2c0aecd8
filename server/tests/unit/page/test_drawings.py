"""The charts of the page: one colour a source, whichever chart it stands in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headcount.charts import SOURCES_MAX
from headcount.page.drawings import _places

ids = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=SOURCES_MAX)


@given(ids, ids)
def test_every_source_has_one_colour_and_every_chart_tells_its_sources_apart(
    by_calls: list[str], by_mtu: list[str]
) -> None:
    places = _places(by_calls, by_mtu)
    assert [places[each] for each in by_calls] == list(range(len(by_calls)))
    shown = [places[each] for each in by_mtu]
    assert len(set(shown)) == len(shown)
    assert all(0 <= place < SOURCES_MAX for place in shown)
