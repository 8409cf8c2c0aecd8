"""The meter's memory: who is refused when it runs short, in which order, and until when."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.folded import Folded
from headcount.counting.keys import MESSAGE, TRACKED, KeyBlock
from headcount.counting.metrics import ANONYMOUS, IDENTIFIED, KINDS
from headcount.counting.usage import DAYS_MAX
from headcount.meter import MEMORY_BYTES_MIN, MeterLimits
from headcount.meter.memory import MemoryLevel, MemoryWatch, bytes_at_start
from headcount.store.protocol import Change
from support.owned_keys import new_keys
from support.stores import STORES

MAX = 100_000_000
PERIOD = Period(24_310)


def block(keys: int, *, tracked: bool) -> KeyBlock:
    fingerprints = np.arange(1, keys + 1, dtype=np.uint64)
    days = np.zeros(keys, np.uint8)
    return KeyBlock(fingerprints, days, days if tracked else None)


def batch(brought: dict[int, int]) -> Folded:
    """A batch in which sources brought so many new ids, in one workspace."""
    folded = Folded(facts=max(1, sum(brought.values())))
    if sum(brought.values()):
        folded.keys[PERIOD, TRACKED] = new_keys(block(2 * sum(brought.values()), tracked=True))
    for source, ids in [*brought.items(), (0, sum(brought.values()))]:
        counts = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
        counts[3, IDENTIFIED], counts[4, ANONYMOUS] = ids // 2, ids - ids // 2
        folded.counts[PERIOD, 1, source] = counts
    return folded


def watched(brought: dict[int, int]) -> MemoryWatch:
    watch = MemoryWatch(MAX, ids_asked=True)
    assert watch.took(batch(brought)) == {s: ids for s, ids in brought.items() if ids}
    return watch


def test_far_from_the_bound_nobody_is_refused() -> None:
    assert watched({1: 90_000, 2: 10}).look(74_000_000, 0) == (MemoryLevel.PLENTY, frozenset())


def test_filters_of_message_ids_leave_the_others_their_share_of_the_rest() -> None:
    """Nobody is refused for them: refusing frees nothing, and they have a bound of their own."""
    filters = 60_000_000
    watch = watched({1: 90_000})
    assert watch.look(filters + 29_000_000, 0, filters) == (MemoryLevel.PLENTY, frozenset())
    assert watch.look(filters + 31_000_000, 0, filters) == (MemoryLevel.SHORT, {1})
    assert watch.look(filters + 37_000_000, 0, filters).level is MemoryLevel.FULL
    assert watch.look(100_000_001, 0, filters).level is MemoryLevel.USED_UP


def test_message_ids_that_go_to_disk_let_nobody_in_who_is_refused_again_when_others_come() -> None:
    watch = MemoryWatch(MAX, message_bytes_max=15_000_000, ids_asked=True)
    watch.took(batch({1: 90_000}))
    tracked = 66_000_000
    for messages in (0, 15_000_000, 0, 7_000_000, 15_000_000, 1_000_000):
        assert watch.look(tracked + messages, 0, 0, messages) == (MemoryLevel.SHORT, {1})
    for messages in (0, 15_000_000):
        assert watch.look(55_000_000 + messages, 0, 0, messages).level is MemoryLevel.PLENTY
    # More than their room they have at the expense of the others.
    assert watch.look(55_000_000 + 30_000_000, 0, 0, 30_000_000).level is MemoryLevel.SHORT


def test_what_waited_and_is_counted_now_lets_nobody_in_since_its_slots_were_free() -> None:
    watch = watched({1: 100_000})
    table = 70_000_000
    for counted in range(0, 400_000, 50_000):
        waiting = 400_000 - counted
        keys = 3_440_000 + 2 * counted
        assert watch.look(table, waiting, tracked=(keys, table)).level is MemoryLevel.SHORT


def test_the_flooded_source_is_refused_first_and_the_others_last() -> None:
    watch = watched({1: 90_000, 2: 500, 3: 400, 4: 0})
    assert watch.look(76_000_000, 0) == (MemoryLevel.SHORT, {1})
    assert watch.look(79_000_000, 0) == (MemoryLevel.SHORT, {1})
    assert watch.look(81_000_000, 0) == (MemoryLevel.SHORT, {1, 2})
    assert watch.look(86_000_000, 0) == (MemoryLevel.SHORT, {1, 2, 3})
    level, refused = watch.look(91_000_000, 0)
    assert (level, 4 in refused) == (MemoryLevel.FULL, False)  # who brings none is refused by FULL
    assert watch.look(100_000_000, 0).level is MemoryLevel.USED_UP


def test_what_waits_counts_as_if_it_were_there() -> None:
    watch = watched({1: 100_000})
    # Two keys a message so far, of 18 bytes each.
    assert watch.look(40_000_000, 900_000).level is MemoryLevel.PLENTY
    assert watch.look(40_000_000, 1_100_000).level is MemoryLevel.SHORT
    assert watch.look(40_000_000, 1_500_000).level is MemoryLevel.FULL
    # But counting goes on for as long as there is room indeed.
    assert watch.look(99_999_999, 1_500_000).level is MemoryLevel.FULL


def test_known_ids_that_wait_need_no_room() -> None:
    watch = MemoryWatch(MAX)
    watch.took(batch({1: 0}))
    assert watch.look(70_000_000, 10_000_000).level is MemoryLevel.PLENTY


def test_at_a_bound_nobody_is_let_in_and_out_all_the_time() -> None:
    watch = watched({1: 90_000})
    assert watch.look(75_500_000, 0).level is MemoryLevel.SHORT
    assert watch.look(74_000_000, 0).level is MemoryLevel.SHORT
    assert watch.look(71_000_000, 0) == (MemoryLevel.PLENTY, frozenset())


@given(
    st.dictionaries(st.integers(1, 50), st.integers(1, 1_000), min_size=1, max_size=30),
    st.floats(0.75, 0.899),
)
def test_nobody_is_refused_while_a_faster_one_is_not(brought: dict[int, int], used: float) -> None:
    refused = watched(brought).look(int(used * MAX) + 1, 0).refused
    assert refused
    let_in = [ids for source, ids in brought.items() if source not in refused]
    assert max(let_in, default=0) <= min(brought[source] for source in refused)


def test_the_limits_of_little_memory_leave_room_for_work() -> None:
    least, usual = MeterLimits.within(MEMORY_BYTES_MIN), MeterLimits.within(64 << 30)
    assert least.tables_bytes_max is not None
    assert 16 << 20 <= least.tables_bytes_max < MEMORY_BYTES_MIN // 2
    assert least.facts_a_batch_max < usual.facts_a_batch_max == 50_000
    assert usual.message_keys_in_memory_max == MeterLimits().message_keys_in_memory_max
    # Message ids that are not in a run yet are a part of the room only.
    assert least.message_keys_in_memory_max * 18 < least.tables_bytes_max // 4


@pytest.mark.parametrize("name", STORES)
def test_what_a_start_would_load_is_known_before(name: str, tmp_path: Path) -> None:
    noon_ms = PERIOD.first_day * MS_PER_DAY
    with closing(STORES[name](tmp_path)()) as store:
        assert bytes_at_start(store, noon_ms, 35) == 0
        store.commit(
            Change(
                keys={
                    (PERIOD, TRACKED): new_keys(block(1_000, tracked=True)),
                    (PERIOD, MESSAGE): new_keys(block(100, tracked=False)),
                    (Period(PERIOD.number - 9), TRACKED): new_keys(block(70_000, tracked=True)),
                },
                counts={}, rejections=[], positions={}, counted_until_ms=noon_ms,
            )
        )  # fmt: skip
        assert bytes_at_start(store, noon_ms, 35) == 18_000 + 1_600
