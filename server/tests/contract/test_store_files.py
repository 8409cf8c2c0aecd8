"""What a store with files of its own promises about keys in blocks and in runs.

Nothing here knows which engine is behind a store: `stores` names them.
"""

from __future__ import annotations

import random
import resource
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice

import numpy as np
import pytest

from headcount.counting.keys import MESSAGE, NEVER, TRACKED, Family, KeyBlock
from headcount.errors import StorageUnavailableError
from headcount.store import run_folder
from headcount.store.merging import merged_runs
from headcount.store.protocol import Change, MeterStore
from support.owned_keys import new_keys
from support.small_counts import (
    JANUARY,
    KeyDays,
    add_to,
    block_of,
    random_keys,
    stored_keys,
)
from support.stores import WITH_FILES, OpenStore

pytestmark = pytest.mark.parametrize("open_store", WITH_FILES, indirect=True)


@pytest.mark.parametrize("family", [TRACKED, MESSAGE])
def test_blocks_do_not_stay_as_many_as_the_commits_were(store: MeterStore, family: Family) -> None:
    rng = random.Random(family)
    sizes = [1] * 60 + [3] * 60 + [40] * 25 + [700] * 20
    rng.shuffle(sizes)
    for size in sizes:
        block = block_of(random_keys(rng, size, family), family)
        store.commit(Change({(JANUARY, family): new_keys(block)}))
    blocks = list(store.files.blocks(JANUARY, family))
    assert store.files.keys_in_blocks(JANUARY, family) == sum(map(len, blocks))
    assert len(blocks) < len(sizes) / 2


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
        upto = store.files.newest_block()
        taken = expected if last else stored_keys(store, JANUARY, family)
        written = store.files.write_run(
            JANUARY, family, in_parts(dict(taken)), upto, keys=len(taken), replace_existing=last
        )
        assert next(written) == 300
        for _ in range(40):
            add(2)  # among them merges of blocks from before and after
        for _ in written:
            pass
        assert len(store.files.runs(JANUARY, family)) == 1
        assert store.files.keys_in_blocks(JANUARY, family) < 200
        assert stored_keys(store, JANUARY, family) == expected
    store.files.tidy(0)
    again = open_store()
    assert stored_keys(again, JANUARY, family) == expected
    assert list(again.state().key_periods) == [(JANUARY, family)]


def add_run(store: MeterStore, keys: KeyDays, family: Family) -> None:
    """Put keys into a run of their own."""
    store.commit(Change({(JANUARY, family): new_keys(block_of(keys, family))}))
    blocks, upto = [block_of(keys, family)], store.files.newest_block()
    write_run = store.files.write_run
    for _ in write_run(JANUARY, family, blocks, upto, keys=len(keys), replace_existing=False):
        pass


def test_runs_of_message_keys_answer_for_their_keys_alone(store: MeterStore) -> None:
    rng = random.Random(1)
    keys = random_keys(rng, 2000, MESSAGE)
    add_run(store, keys, MESSAGE)
    (run,) = store.files.runs(JANUARY, MESSAGE)
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
    before = store.files.runs(JANUARY, family)
    chosen = [run.name for run in before[:3]]
    merging = store.files.merge_runs(JANUARY, family, chosen)
    while not next(merging):
        pass  # the runs are being checked
    add(300)
    assert stored_keys(store, JANUARY, family) == expected
    for _ in merging:
        pass
    for each in (store, open_store()):
        each.files.tidy(0)
        names = {run.name for run in each.files.runs(JANUARY, family)}
        assert len(names) == 3
        assert names.isdisjoint(chosen)
        assert before[3].name in names
        assert stored_keys(each, JANUARY, family) == expected
    # Whoever still holds one of those that are gone may go on asking it.
    assert all(sum(map(len, run.blocks())) == run.keys for run in before)


@contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """Let the system refuse, meanwhile, to write beyond so many bytes of any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_merge_that_is_given_up_or_fails_changes_nothing(open_store: OpenStore) -> None:
    store = open_store()
    expected: KeyDays = {}
    for seed in range(4):
        keys = random_keys(random.Random(seed), 900, MESSAGE)
        add_to(expected, iter([block_of(keys, MESSAGE)]))
        add_run(store, keys, MESSAGE)
    names = [run.name for run in store.files.runs(JANUARY, MESSAGE)]
    given_up = store.files.merge_runs(JANUARY, MESSAGE, names)
    next(given_up)
    given_up.close()
    refused = pytest.raises(StorageUnavailableError, match=r"did not take a merged run: .*large")
    # Four runs of 900 keys are larger together.
    with files_no_larger_than(16_384), refused:
        list(store.files.merge_runs(JANUARY, MESSAGE, names))
    again = open_store()
    again.files.tidy(0)
    for each in (store, again):
        assert [run.name for run in each.files.runs(JANUARY, MESSAGE)] == names
        assert stored_keys(each, JANUARY, MESSAGE) == expected


def test_early_keys_go_to_a_run_of_their_own_or_nothing_has_changed(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far it came: who starts anew finds every key once, with its earliest day."""
    store = open_store()
    expected: KeyDays = {}
    for seed in range(4):
        keys = random_keys(random.Random(seed), 300, MESSAGE)
        add_to(expected, iter([block_of(keys, MESSAGE)]))
        add_run(store, keys, MESSAGE)
    names = [run.name for run in store.files.runs(JANUARY, MESSAGE)]
    monkeypatch.setattr(run_folder, "merged_runs", partial(merged_runs, part_keys=100))
    for parts in range(1, 100):
        cutting = store.files.merge_runs(JANUARY, MESSAGE, names, cut_day=12)
        ended = len(list(islice(cutting, parts))) < parts
        killed = open_store()  # as a kill leaves it: what was begun is not closed
        killed.files.tidy(0)
        assert stored_keys(killed, JANUARY, MESSAGE) == expected
        found = [run.name for run in killed.files.runs(JANUARY, MESSAGE)]
        if ended:
            break
        assert found == names
        cutting.close()
    early, late = sorted(killed.files.runs(JANUARY, MESSAGE), key=lambda run: run.last_day)
    assert early.last_day == 11
    assert early.keys == sum(day < 12 for day, _ in expected.values())
    assert late.keys_before(12) == 0
    assert early.keys + late.keys == len(expected)
    # Where all are early or none is, there is one run.
    for cut_day, name in ((0, late.name), (31, early.name)):
        list(store.files.merge_runs(JANUARY, MESSAGE, [name], cut_day=cut_day))
        assert len(store.files.runs(JANUARY, MESSAGE)) == 2
    assert stored_keys(store, JANUARY, MESSAGE) == expected


def test_a_merge_brings_no_key_back_whose_month_is_gone_by_then(open_store: OpenStore) -> None:
    store = open_store()
    for seed in range(4):
        add_run(store, random_keys(random.Random(seed), 500, MESSAGE), MESSAGE)
    merging = store.files.merge_runs(
        JANUARY, MESSAGE, [run.name for run in store.files.runs(JANUARY, MESSAGE)]
    )
    next(merging)
    store.drop_keys(JANUARY, 1_000)
    for _ in merging:
        pass
    for each in (store, open_store()):
        assert stored_keys(each, JANUARY, MESSAGE) == {}
        assert list(each.state().key_periods) == []


def test_a_run_that_is_given_up_or_fails_changes_nothing(open_store: OpenStore) -> None:
    store = open_store()
    keys = random_keys(random.Random(2), 500, TRACKED)
    store.commit(Change({(JANUARY, TRACKED): new_keys(block_of(keys, TRACKED))}))

    def written(blocks: Iterable[KeyBlock]) -> Generator[int, None, None]:
        files = store.files
        upto = files.newest_block()
        return files.write_run(JANUARY, TRACKED, blocks, upto, keys=500, replace_existing=True)

    given_up = written([block_of(keys, TRACKED)])
    next(given_up)
    given_up.close()

    def breaks() -> Iterator[KeyBlock]:
        yield block_of(keys, TRACKED)
        raise RuntimeError("broken on purpose")

    with pytest.raises(RuntimeError, match="broken on purpose"):
        list(written(breaks()))
    again = open_store()
    again.files.tidy(0)
    for each in (store, again):
        assert list(each.files.runs(JANUARY, TRACKED)) == []
        assert stored_keys(each, JANUARY, TRACKED) == keys


def test_the_keys_of_a_dropped_month_go_with_their_runs(open_store: OpenStore) -> None:
    store = open_store()
    keys = random_keys(random.Random(3), 100, MESSAGE)
    add_run(store, keys, MESSAGE)
    store.commit(Change({(JANUARY, MESSAGE): new_keys(block_of({1: (0, NEVER)}, MESSAGE))}))
    store.drop_keys(JANUARY, 1_000)
    store.files.empty_trash(500)
    store.files.empty_trash(2_000)
    for each in (store, open_store()):
        assert list(each.state().key_periods) == []
        assert list(each.files.runs(JANUARY, MESSAGE)) == []
        assert stored_keys(each, JANUARY, MESSAGE) == {}
