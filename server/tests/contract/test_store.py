"""What every store promises, whichever engine is behind it.

A store is had by name from `STORES`; nothing below knows which one it is.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from headcount.metering.calendar import Period, parse_period
from headcount.metering.facts import FACT_BYTES, Rejection
from headcount.metering.keys import MESSAGE, NEVER, TRACKED, Family, KeyBlock
from headcount.metering.usage import ADMITTED, API_CALLS, DAYS_MAX, IDENTIFIED, KINDS, Counts
from headcount.store.protocol import Change, MeterStore, Month
from headcount.store.sqlite import SqliteStore

OpenStore = Callable[[], MeterStore]

STORES: dict[str, Callable[[Path], MeterStore]] = {
    "sqlite": lambda folder: SqliteStore(folder / "store.sqlite"),
}
JANUARY = parse_period("2026-01-01")
FEBRUARY = parse_period("2026-02-01")
MARCH = parse_period("2026-03-01")
KeyDays = dict[int, tuple[int, int]]
"""Fingerprint to its first day and its first day with a userId."""


@pytest.fixture(params=STORES)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the same data once more with every call; closes everything at the end."""
    opened: list[MeterStore] = []

    def open_one() -> MeterStore:
        opened.append(STORES[request.param](tmp_path))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> MeterStore:
    return open_store()


def counts(**of_kinds: int) -> Counts:
    """Counts that are new on the first day, by kind."""
    made = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
    for kind, value in of_kinds.items():
        made[0, KINDS.index(kind)] = value
    return made


def block_of(keys: KeyDays, family: Family) -> KeyBlock:
    """Keys as a meter hands them over."""
    ascending = sorted(keys)
    return KeyBlock(
        np.array(ascending, np.uint64),
        np.array([keys[key][0] for key in ascending], np.uint8),
        np.array([keys[key][1] for key in ascending], np.uint8) if family == TRACKED else None,
    )


def add_to(held: KeyDays, blocks: Iterator[KeyBlock]) -> KeyDays:
    """The minimum over what is held already and some blocks."""
    for block in blocks:
        identified = np.full(len(block), NEVER) if block.identified_days is None else (
            block.identified_days
        )  # fmt: skip
        rows = (block.fingerprints.tolist(), block.days.tolist(), identified.tolist())
        for key, day, identified_day in zip(*rows, strict=True):
            first, first_identified = held.get(key, (NEVER, NEVER))
            held[key] = min(first, day), min(first_identified, identified_day)
    return held


def stored_keys(store: MeterStore, period: Period, family: Family) -> KeyDays:
    """Every key that a store holds, in blocks and in runs, with its earliest days."""
    held = add_to({}, store.key_blocks(period, family))
    for run in store.key_runs(period, family):
        add_to(held, run.blocks())
    return held


def random_keys(rng: random.Random, count: int, family: Family) -> KeyDays:
    """Keys few enough to come again, with days."""
    keys = rng.sample(range(1, 5000), count)
    return {
        key << 40: (rng.randrange(31), rng.choice([NEVER, 3, 20]) if family == TRACKED else NEVER)
        for key in keys
    }


def test_a_store_that_knows_nothing_reads_as_zeros(store: MeterStore) -> None:
    reading = store.read_usage(1, JANUARY)
    assert reading.period == JANUARY
    assert reading.first_period is None
    assert reading.last_metered_day is None
    assert not reading.workspace.any()
    assert reading.workspace.shape == (DAYS_MAX, len(KINDS))
    assert reading.sources.shape == (0, DAYS_MAX, len(KINDS))
    assert reading.rejected == ()
    assert store.positions() == {}
    assert list(store.key_periods()) == []
    assert list(store.months()) == []
    assert store.sealed() == set()
    assert store.trusted_day() is None
    assert store.keys_in_blocks(JANUARY, TRACKED) == 0


def test_a_change_is_there_whole_for_writer_and_readers_and_after_a_restart(
    open_store: OpenStore,
) -> None:
    store = open_store()
    keys = {7 << 50: (3, NEVER), 9 << 50: (5, 6)}
    change = Change(
        keys={(JANUARY, TRACKED): block_of(keys, TRACKED)},
        counts={
            (JANUARY, 1, 0): counts(api_calls=5, identified=1),
            (JANUARY, 1, 4): counts(api_calls=3, identified=1),
            (JANUARY, 1, 2): counts(api_calls=2, identified=1),
            (JANUARY, 2, 0): counts(api_calls=100),
            (FEBRUARY, 1, 0): counts(api_calls=50),
        },
        rejections=[Rejection(1, 4, JANUARY.first_day, "invalid_id", 6)],
        positions={"journal": 11, "other": 2},
        counted_until_ms=123_456,
        last_metered_day=JANUARY.first_day,
        trusted_day=JANUARY.first_day,
        imported={(1, JANUARY): FEBRUARY.first_day},
        aside={(2, MARCH): bytes(2 * FACT_BYTES)},
    )
    reader = open_store()
    store.commit(change)
    store.close()
    for each in (reader, open_store()):
        reading = each.read_usage(1, JANUARY)
        assert reading.workspace[0, API_CALLS] == 5
        assert reading.workspace[0, IDENTIFIED] == 1
        assert reading.source_numbers.tolist() == [2, 4]
        assert reading.sources[:, 0, API_CALLS].tolist() == [2, 3]
        assert reading.rejected == (Rejection(1, 4, JANUARY.first_day, "invalid_id", 6),)
        assert reading.counted_until_ms == 123_456
        assert reading.last_metered_day == JANUARY.first_day
        assert reading.first_period == JANUARY
        assert each.read_usage(1, FEBRUARY).workspace[0, API_CALLS] == 50
        assert each.read_usage(2, JANUARY).workspace[0, API_CALLS] == 100
        assert each.positions() == {"journal": 11, "other": 2}
        assert list(each.key_periods()) == [(JANUARY, TRACKED)]
        assert stored_keys(each, JANUARY, TRACKED) == keys
        assert each.trusted_day() == JANUARY.first_day
        assert Month(1, JANUARY, FEBRUARY.first_day, False) in each.months()


class Broken(list[Rejection]):
    """Rejections that cannot be read to the end."""

    def __iter__(self) -> Iterator[Rejection]:
        yield from super().__iter__()
        raise RuntimeError("broken on purpose")


def test_a_change_that_fails_half_way_leaves_nothing(open_store: OpenStore) -> None:
    store = open_store()
    store.commit(Change(counts={(JANUARY, 1, 0): counts(api_calls=1)}, positions={"journal": 1}))
    revision = store.read_usage(1, JANUARY).revision
    change = Change(
        keys={(JANUARY, MESSAGE): block_of({5: (0, NEVER)}, MESSAGE)},
        counts={(JANUARY, 1, 0): counts(api_calls=10), (JANUARY, 1, 1): counts(api_calls=10)},
        rejections=Broken([Rejection(1, 1, JANUARY.first_day, "invalid_id", 1)]),
        positions={"journal": 2},
        counted_until_ms=5,
    )
    with pytest.raises(RuntimeError, match="broken on purpose"):
        store.commit(change)
    for each in (store, open_store()):
        reading = each.read_usage(1, JANUARY)
        assert reading.workspace[0, API_CALLS] == 1
        assert (reading.revision, reading.counted_until_ms) == (revision, 0)
        assert reading.rejected == ()
        assert len(reading.source_numbers) == 0
        assert each.positions() == {"journal": 1}
        assert list(each.key_periods()) == []
    change.rejections = ()
    store.commit(change)
    assert store.read_usage(1, JANUARY).workspace[0, API_CALLS] == 11


def test_counts_and_rejections_add_up_and_may_be_lowered(store: MeterStore) -> None:
    day = JANUARY.first_day
    for _ in range(3):
        store.commit(
            Change(
                counts={(JANUARY, 1, 1): counts(api_calls=2**40, identified=4)},
                rejections=[Rejection(1, 1, day, "invalid_id", 2), Rejection(1, 1, day, "x", 1)],
            )
        )
    store.commit(Change(counts={(JANUARY, 1, 1): counts(identified=-1)}))
    reading = store.read_usage(1, JANUARY)
    assert reading.sources[0, 0, API_CALLS] == 3 * 2**40
    assert reading.sources[0, 0, IDENTIFIED] == 11
    assert {tally.reason: tally.messages for tally in reading.rejected} == {"invalid_id": 6, "x": 3}


def test_the_revision_moves_with_the_counts_of_its_workspace_and_period_alone(
    store: MeterStore,
) -> None:
    def revisions() -> list[int]:
        places = [(1, JANUARY), (1, FEBRUARY), (2, JANUARY)]
        return [store.read_usage(*place).revision for place in places]

    for workspace, period in ((1, JANUARY), (1, FEBRUARY), (2, JANUARY)):
        store.commit(Change(counts={(period, workspace, 0): counts(api_calls=1)}))
    before = revisions()
    store.commit(Change(counts={(JANUARY, 1, 0): counts(admitted=1)}, positions={"journal": 1}))
    after = revisions()
    assert after[0] != before[0]
    assert after[1:] == before[1:]
    store.commit(Change(positions={"journal": 2}, counted_until_ms=9))
    store.mark_counted_until(10)
    assert revisions() == after


def test_marks_never_fall(open_store: OpenStore) -> None:
    store = open_store()
    store.commit(Change(counted_until_ms=100, last_metered_day=20, trusted_day=20))
    store.commit(Change(counted_until_ms=50, last_metered_day=10, trusted_day=10))
    store.mark_counted_until(70)
    for each in (store, open_store()):
        reading = each.read_usage(1, JANUARY)
        assert (reading.counted_until_ms, reading.last_metered_day) == (100, 20)
        assert each.trusted_day() == 20
    store.mark_counted_until(130)
    assert open_store().read_usage(1, JANUARY).counted_until_ms == 130


def test_the_first_period_is_that_of_the_first_api_call(store: MeterStore) -> None:
    # A month of nothing but duplicates of its neighbour's messages is no usage.
    store.commit(Change(counts={(JANUARY, 1, 0): counts(admitted=3)}))
    assert store.read_usage(1, MARCH).first_period is None
    store.commit(Change(counts={(MARCH, 1, 0): counts(api_calls=1, admitted=1)}))
    assert store.read_usage(1, JANUARY).first_period == MARCH
    store.commit(Change(counts={(FEBRUARY, 1, 0): counts(api_calls=1)}))
    assert store.read_usage(1, JANUARY).first_period == FEBRUARY
    assert store.read_usage(2, JANUARY).first_period is None


@pytest.mark.parametrize("family", [TRACKED, MESSAGE])
def test_keys_keep_their_earliest_days_however_many_blocks_they_come_in(
    open_store: OpenStore, family: Family
) -> None:
    rng = random.Random(family)
    store = open_store()
    expected: KeyDays = {}
    sizes = [1] * 60 + [3] * 60 + [40] * 25 + [700] * 20
    rng.shuffle(sizes)
    for size in sizes:
        keys = random_keys(rng, size, family)
        add_to(expected, iter([block_of(keys, family)]))
        other = block_of({1: (0, NEVER)}, MESSAGE)
        store.commit(Change({(JANUARY, family): block_of(keys, family), (MARCH, MESSAGE): other}))
    for each in (store, open_store()):
        blocks = list(each.key_blocks(JANUARY, family))
        assert add_to({}, iter(blocks)) == expected
        assert each.keys_in_blocks(JANUARY, family) == sum(map(len, blocks))
        # A start reads them all, so they must not stay as many as the commits were.
        assert len(blocks) < len(sizes) / 2
        for block in blocks:
            assert (block.fingerprints[1:] > block.fingerprints[:-1]).all()


@pytest.mark.parametrize("family", [TRACKED, MESSAGE])
def test_a_run_takes_over_the_blocks_that_were_there_when_it_began(
    open_store: OpenStore, family: Family
) -> None:
    rng = random.Random(family)
    store = open_store()
    expected: KeyDays = {}

    def add(count: int) -> None:
        keys = random_keys(rng, count, family)
        add_to(expected, iter([block_of(keys, family)]))
        store.commit(Change({(JANUARY, family): block_of(keys, family)}))

    def in_parts(keys: KeyDays) -> list[KeyBlock]:
        ascending = sorted(keys)
        parts = [ascending[at : at + 300] for at in range(0, len(ascending), 300)]
        return [block_of({key: keys[key] for key in part}, family) for part in parts]

    for last in (False, True):
        for _ in range(20):
            add(50)
        upto = store.newest_block()
        taken = expected if last else stored_keys(store, JANUARY, family)
        written = store.write_run(JANUARY, family, in_parts(dict(taken)), upto, instead_of_all=last)
        assert next(written) == 300
        for _ in range(40):
            add(2)  # among them merges of blocks from before and after
        for _ in written:
            pass
        assert len(store.key_runs(JANUARY, family)) == 1
        assert store.keys_in_blocks(JANUARY, family) < 200
        assert stored_keys(store, JANUARY, family) == expected
    store.tidy(0)
    again = open_store()
    assert stored_keys(again, JANUARY, family) == expected
    assert list(again.key_periods()) == [(JANUARY, family)]


def test_runs_of_message_keys_answer_for_their_keys_alone(store: MeterStore) -> None:
    rng = random.Random(1)
    keys = random_keys(rng, 2000, MESSAGE)
    store.commit(Change({(JANUARY, MESSAGE): block_of(keys, MESSAGE)}))
    blocks = [block_of(keys, MESSAGE)]
    for _ in store.write_run(JANUARY, MESSAGE, blocks, store.newest_block(), instead_of_all=False):
        pass
    (run,) = store.key_runs(JANUARY, MESSAGE)
    assert run.keys == 2000
    assert run.filter_bytes <= 2 * 2000
    asked = np.array(sorted({*keys, *(key + 1 for key in keys), 3, 2**63 - 1}), np.uint64)
    expected = [keys.get(key, (NEVER, NEVER))[0] for key in asked.tolist()]
    assert run.days_of(asked).tolist() == expected


def test_a_run_that_is_given_up_or_fails_changes_nothing(open_store: OpenStore) -> None:
    store = open_store()
    keys = random_keys(random.Random(2), 500, TRACKED)
    store.commit(Change({(JANUARY, TRACKED): block_of(keys, TRACKED)}))
    given_up = store.write_run(
        JANUARY, TRACKED, [block_of(keys, TRACKED)], store.newest_block(), instead_of_all=True
    )
    next(given_up)
    given_up.close()

    def breaks() -> Iterator[KeyBlock]:
        yield block_of(keys, TRACKED)
        raise RuntimeError("broken on purpose")

    failing = store.write_run(JANUARY, TRACKED, breaks(), store.newest_block(), instead_of_all=True)
    with pytest.raises(RuntimeError, match="broken on purpose"):
        list(failing)
    again = open_store()
    again.tidy(0)
    for each in (store, again):
        assert list(each.key_runs(JANUARY, TRACKED)) == []
        assert stored_keys(each, JANUARY, TRACKED) == keys


def test_a_sealed_month_stays_sealed_and_keeps_its_counts_without_its_keys(
    open_store: OpenStore,
) -> None:
    store = open_store()
    keys = random_keys(random.Random(3), 100, MESSAGE)
    for period in (JANUARY, FEBRUARY):
        store.commit(
            Change(
                keys={(period, MESSAGE): block_of(keys, MESSAGE)},
                counts={(period, 1, 0): counts(api_calls=100)},
            )
        )
    upto = store.newest_block()
    for _ in store.write_run(
        JANUARY, MESSAGE, [block_of(keys, MESSAGE)], upto, instead_of_all=False
    ):
        pass
    store.commit(Change({(JANUARY, MESSAGE): block_of({1: (0, NEVER)}, MESSAGE)}))
    store.seal(1, JANUARY)
    store.drop_keys(JANUARY, 1_000)
    store.drop_keys(JANUARY, 1_000)
    store.empty_trash(500)
    store.empty_trash(2_000)
    for each in (store, open_store()):
        assert each.sealed() == {(1, JANUARY)}
        assert [(m.workspace, m.period, m.sealed) for m in each.months()] == [
            (1, JANUARY, True),
            (1, FEBRUARY, False),
        ]
        assert list(each.key_periods()) == [(FEBRUARY, MESSAGE)]
        assert stored_keys(each, JANUARY, MESSAGE) == {}
        assert stored_keys(each, FEBRUARY, MESSAGE) == keys
        assert each.read_usage(1, JANUARY).workspace[0, API_CALLS] == 100


def test_the_latest_import_into_a_month_is_remembered(store: MeterStore) -> None:
    store.commit(Change(counts={(JANUARY, 1, 0): counts(api_calls=1)}))
    assert list(store.months()) == [Month(1, JANUARY, None, False)]
    for day in (20_600, 20_500):
        store.commit(Change(imported={(1, JANUARY): day}))
    assert list(store.months()) == [Month(1, JANUARY, 20_600, False)]


def test_a_reading_is_of_one_moment_while_a_writer_commits(open_store: OpenStore) -> None:
    moments_each = 25
    writer, readers = open_store(), [open_store() for _ in range(2)]
    satisfied = threading.Semaphore(0)

    def commit(number: int) -> None:
        writer.commit(
            Change(
                counts={
                    (JANUARY, 1, 0): counts(api_calls=3, admitted=3),
                    (JANUARY, 1, 1): counts(api_calls=1, admitted=1),
                    (JANUARY, 1, 2): counts(api_calls=2, admitted=2),
                },
                rejections=[Rejection(1, 1, JANUARY.first_day, "invalid_id", 3)],
                counted_until_ms=number,
            )
        )

    def read(store: MeterStore) -> None:
        try:
            last_calls, moments = 0, 0
            while moments < moments_each:
                reading = store.read_usage(1, JANUARY)
                calls = int(reading.workspace[0, API_CALLS])
                assert reading.sources[:, 0, API_CALLS].sum() == calls
                assert reading.workspace[0, ADMITTED] == calls
                assert sum(tally.messages for tally in reading.rejected) == calls
                assert reading.counted_until_ms * 3 == calls
                assert calls >= last_calls
                moments += calls > last_calls
                last_calls = calls
        finally:
            satisfied.release()

    with ThreadPoolExecutor(len(readers)) as pool:
        reading = [pool.submit(read, store) for store in readers]
        number = 0
        for _ in readers:
            while not satisfied.acquire(blocking=False):
                number += 1
                commit(number)
        for each in reading:
            each.result()


def test_closing_twice_is_fine(store: MeterStore) -> None:
    store.close()
    store.close()
