"""Message ids that are too old for live messages go to runs that these are not asked of; messages
come again all the same, near and far, late and into the month that is over, and every count stays
the oracle's.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcount.counting.calendar import MS_PER_DAY
from headcount.meter import MeterLimits, merging
from property.test_counts import History
from support.oracle import PlainFact


@st.composite
def messages(draw: st.DrawFn) -> PlainFact:
    """A message of one of two sources, received up to some weeks before day 0."""
    source = draw(st.integers(1, 2))
    return PlainFact(
        received_at_ms=-draw(st.sampled_from([0, 0, 1, 3, 6, 9, 14, 20, 27, 33])) * MS_PER_DAY,
        workspace=1,
        source=source,
        message=draw(st.sampled_from([f"m{number}" for number in range(8)])),
        user=None,
        anonymous="a",
        previous=None,
        imported=draw(st.booleans()),
    )


APPENDED = st.tuples(
    st.just("append"), st.integers(0, 2), st.lists(messages(), min_size=1, max_size=5)
)
NOTHING: st.SearchStrategy[list[PlainFact]] = st.just([])
ACTIONS = st.one_of(
    APPENDED,
    APPENDED,
    st.tuples(st.just("drain"), st.just(0), NOTHING),
    st.tuples(st.just("restart"), st.just(0), NOTHING),
    st.tuples(st.just("days"), st.sampled_from([1, 2, 4, 7]), NOTHING),
)


@settings(max_examples=200)
@given(
    actions=st.lists(ACTIONS, min_size=5, max_size=30),
    window_days=st.sampled_from([2, 5, 9, 20, 35]),
)
def test_counts_are_the_oracles_while_message_ids_become_too_old(
    actions: list[tuple[str, int, list[PlainFact]]], window_days: int
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(merging, "_PEERS", 2)
        patched.setattr(merging, "_TOO_OLD_FROM_KEYS", 1)
        history = History(Path(folder), window_days, MeterLimits(3, 2, 3))
        for action in actions:
            history.act(*action)
            if action[0] == "append":
                history.act("drain", 0, [])
        history.act("restart", 0, [])
        history.check()
        history.close()
