"""What every store promises about keys, in blocks and in runs, until their month is sealed.

Nothing here knows which engine is behind a store: `contract.stores` names them.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Generator, Iterable, Iterator

import numpy as np
import pytest

from contract.stores import (
    FEBRUARY,
    JANUARY,
    MARCH,
    KeyDays,
    OpenStore,
    add_to,
    block_of,
    counts,
    random_keys,
    stored_keys,
)
from headcount.counting.keys import MESSAGE, NEVER, TRACKED, Family, KeyBlock
from headcount.counting.metrics import API_CALLS
from headcount.errors import StorageUnavailableError
from headcount.store.protocol import Change, MeterStore
from owned_keys import new_keys


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
        other = new_keys(block_of({1: (0, NEVER)}, MESSAGE))
        store.commit(
            Change({(JANUARY, family): new_keys(block_of(keys, family)), (MARCH, MESSAGE): other})
        )
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
        store.commit(Change({(JANUARY, family): new_keys(block_of(keys, family))}))

    def in_parts(keys: KeyDays) -> list[KeyBlock]:
        ascending = sorted(keys)
        parts = [ascending[at : at + 300] for at in range(0, len(ascending), 300)]
        return [block_of({key: keys[key] for key in part}, family) for part in parts]

    for last in (False, True):
        for _ in range(20):
            add(50)
        upto = store.newest_block()
        taken = expected if last else stored_keys(store, JANUARY, family)
        written = store.write_run(
            JANUARY, family, in_parts(dict(taken)), upto, keys=len(taken), instead_of_all=last
        )
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


def add_run(store: MeterStore, keys: KeyDays, family: Family) -> None:
    """Put keys into a run of their own."""
    store.commit(Change({(JANUARY, family): new_keys(block_of(keys, family))}))
    blocks, upto = [block_of(keys, family)], store.newest_block()
    for _ in store.write_run(JANUARY, family, blocks, upto, keys=len(keys), instead_of_all=False):
        pass


def test_runs_of_message_keys_answer_for_their_keys_alone(store: MeterStore) -> None:
    rng = random.Random(1)
    keys = random_keys(rng, 2000, MESSAGE)
    add_run(store, keys, MESSAGE)
    (run,) = store.key_runs(JANUARY, MESSAGE)
    assert run.keys == 2000
    assert run.filter_bytes <= 2 * 2000
    asked = np.array(sorted({*keys, *(key + 1 for key in keys), 3, 2**63 - 1}), np.uint64)
    expected = [keys.get(key, (NEVER, NEVER))[0] for key in asked.tolist()]
    assert run.days_of(asked).tolist() == expected


@pytest.mark.parametrize("family", [TRACKED, MESSAGE])
def test_some_runs_become_one_while_others_come(open_store: OpenStore, family: Family) -> None:
    rng = random.Random(family)
    store = open_store()
    expected: KeyDays = {}

    def add(count: int) -> None:
        keys = random_keys(rng, count, family)
        add_to(expected, iter([block_of(keys, family)]))
        add_run(store, keys, family)

    for size in (500, 20, 900, 1):
        add(size)
    before = store.key_runs(JANUARY, family)
    chosen = [run.name for run in before[:3]]
    merging = store.merge_runs(JANUARY, family, chosen)
    while not next(merging):
        pass  # the runs are being checked
    add(300)
    assert stored_keys(store, JANUARY, family) == expected
    for _ in merging:
        pass
    for each in (store, open_store()):
        each.tidy(0)
        names = {run.name for run in each.key_runs(JANUARY, family)}
        assert len(names) == 3
        assert names.isdisjoint(chosen)
        assert before[3].name in names
        assert stored_keys(each, JANUARY, family) == expected
    # Whoever still holds one of those that are gone may go on asking it.
    assert all(sum(map(len, run.blocks())) == run.keys for run in before)


def test_a_merge_that_is_given_up_or_fails_changes_nothing(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    expected: KeyDays = {}
    for seed in range(4):
        keys = random_keys(random.Random(seed), 500, MESSAGE)
        add_to(expected, iter([block_of(keys, MESSAGE)]))
        add_run(store, keys, MESSAGE)
    names = [run.name for run in store.key_runs(JANUARY, MESSAGE)]
    given_up = store.merge_runs(JANUARY, MESSAGE, names)
    next(given_up)
    given_up.close()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _refuse)
        with pytest.raises(StorageUnavailableError, match=r"did not take a merged run: .*space"):
            list(store.merge_runs(JANUARY, MESSAGE, names))
    again = open_store()
    again.tidy(0)
    for each in (store, again):
        assert [run.name for run in each.key_runs(JANUARY, MESSAGE)] == names
        assert stored_keys(each, JANUARY, MESSAGE) == expected


def _refuse(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_merge_brings_no_key_back_whose_month_is_gone_by_then(open_store: OpenStore) -> None:
    store = open_store()
    for seed in range(4):
        add_run(store, random_keys(random.Random(seed), 500, MESSAGE), MESSAGE)
    merging = store.merge_runs(
        JANUARY, MESSAGE, [run.name for run in store.key_runs(JANUARY, MESSAGE)]
    )
    next(merging)
    store.drop_keys(JANUARY, 1_000)
    for _ in merging:
        pass
    for each in (store, open_store()):
        assert stored_keys(each, JANUARY, MESSAGE) == {}
        assert list(each.key_periods()) == []


def test_a_run_that_is_given_up_or_fails_changes_nothing(open_store: OpenStore) -> None:
    store = open_store()
    keys = random_keys(random.Random(2), 500, TRACKED)
    store.commit(Change({(JANUARY, TRACKED): new_keys(block_of(keys, TRACKED))}))

    def written(blocks: Iterable[KeyBlock]) -> Generator[int, None, None]:
        upto = store.newest_block()
        return store.write_run(JANUARY, TRACKED, blocks, upto, keys=500, instead_of_all=True)

    given_up = written([block_of(keys, TRACKED)])
    next(given_up)
    given_up.close()

    def breaks() -> Iterator[KeyBlock]:
        yield block_of(keys, TRACKED)
        raise RuntimeError("broken on purpose")

    with pytest.raises(RuntimeError, match="broken on purpose"):
        list(written(breaks()))
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
                keys={(period, MESSAGE): new_keys(block_of(keys, MESSAGE))},
                counts={(period, 1, 0): counts(api_calls=100)},
            )
        )
    add_run(store, keys, MESSAGE)
    store.commit(Change({(JANUARY, MESSAGE): new_keys(block_of({1: (0, NEVER)}, MESSAGE))}))
    store.seal(1, JANUARY)
    assert [(m.sealed, m.keys_dropped) for m in store.months()] == [(True, False), (False, False)]
    store.drop_keys(JANUARY, 1_000)
    store.drop_keys(JANUARY, 1_000)
    store.empty_trash(500)
    store.empty_trash(2_000)
    for each in (store, open_store()):
        assert each.sealed() == {(1, JANUARY)}
        assert [(m.period, m.sealed, m.keys_dropped) for m in each.months()] == [
            (JANUARY, True, True),
            (FEBRUARY, False, False),
        ]
        assert list(each.key_periods()) == [(FEBRUARY, MESSAGE)]
        assert stored_keys(each, JANUARY, MESSAGE) == {}
        assert stored_keys(each, FEBRUARY, MESSAGE) == keys
        assert each.read_usage(1, JANUARY).workspace[0, API_CALLS] == 100
