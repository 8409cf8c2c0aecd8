"""What every store promises about keys, until their month is sealed.

Nothing here knows which engine is behind a store: `stores` names them.
"""

from __future__ import annotations

import random

import pytest

from headcount.counting.aside import Aside, AsideReason
from headcount.counting.facts import Rejection
from headcount.counting.keys import MESSAGE, NEVER, TRACKED, Family
from headcount.counting.metrics import API_CALLS
from headcount.store.protocol import Change, sealed_months
from support.owned_keys import new_keys
from support.small_counts import (
    FEBRUARY,
    JANUARY,
    MARCH,
    KeyDays,
    add_to,
    block_of,
    counts,
    random_keys,
    stored_keys,
)
from support.stores import OpenStore


@pytest.mark.parametrize("family", [TRACKED, MESSAGE])
def test_keys_keep_their_earliest_days_however_many_batches_they_come_in(
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
        blocks = list(each.keys(JANUARY, family))
        assert add_to({}, iter(blocks)) == expected
        for block in blocks:
            assert (block.fingerprints[1:] > block.fingerprints[:-1]).all()


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
    store.commit(Change({(JANUARY, MESSAGE): new_keys(block_of({1: (0, NEVER)}, MESSAGE))}))
    store.commit(Change(sealed=[(1, JANUARY)]))
    assert [(m.sealed, m.keys_dropped) for m in store.months()] == [(True, False), (False, False)]
    store.drop_keys(JANUARY, 1_000)
    store.drop_keys(JANUARY, 1_000)
    for each in (store, open_store()):
        assert sealed_months(each.months()) == {(1, JANUARY)}
        assert [(m.period, m.sealed, m.keys_dropped) for m in each.months()] == [
            (JANUARY, True, True),
            (FEBRUARY, False, False),
        ]
        assert list(each.state().key_periods) == [(FEBRUARY, MESSAGE)]
        assert stored_keys(each, JANUARY, MESSAGE) == {}
        assert stored_keys(each, FEBRUARY, MESSAGE) == keys
        assert each.read_usage(1, JANUARY).workspace[0, API_CALLS] == 100


def test_an_erased_workspace_keeps_what_a_recount_needs_until_its_keys_go(
    open_store: OpenStore,
) -> None:
    store = open_store()
    places = [
        (month, workspace, source)
        for month in (JANUARY, FEBRUARY)
        for workspace, source in ((1, 0), (1, 1), (2, 0), (2, 2))
    ]
    store.commit(
        Change(
            counts={place: counts(api_calls=3) for place in places},
            rejections=[
                Rejection(number, number, JANUARY.first_day, "invalid_id", 1) for number in (1, 2)
            ],
            aside=[Aside(AsideReason.SEALED, bytes(56), number, JANUARY) for number in (1, 2)],
            keys={(FEBRUARY, TRACKED): new_keys(block_of({5: (0, NEVER)}, TRACKED))},
        )
    )
    store.commit(Change(erased=[1]))
    assert [(each.workspace, each.period, each.sealed) for each in store.months()] == [
        (1, FEBRUARY, True), (2, JANUARY, False), (2, FEBRUARY, False),
    ]  # fmt: skip
    erased = store.read_usage(1, JANUARY)
    assert (erased.workspace.sum(), erased.rejected) == (0, ())
    kept, others = (store.read_usage(number, FEBRUARY).workspace.sum() for number in (1, 2))
    assert kept == others > 0
    assert [each.workspace for each in store.set_aside()] == [2]
    store.commit(Change(sealed=[(2, FEBRUARY)]))
    store.drop_keys(FEBRUARY, 0)
    store.commit(Change(erased=[1]))
    assert {each.workspace for each in open_store().months()} == {2}
