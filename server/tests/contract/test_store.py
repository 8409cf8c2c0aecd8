"""What every store promises about changes, counts and readers.

Nothing here knows which engine is behind a store: `contract.stores` names them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import numpy as np
import pytest

from headcount.counting.aside import Aside, AsideReason, AsideSum
from headcount.counting.attributes import RESERVED, Attributes
from headcount.counting.conflicts import CONFLICTING
from headcount.counting.contributions import DayOfContributions
from headcount.counting.facts import FACT_BYTES, Rejection
from headcount.counting.keys import MESSAGE, NEVER, TRACKED
from headcount.counting.libraries import NAMES_MAX, OTHER_LIBRARY, LibraryUse
from headcount.counting.metrics import ADMITTED, API_CALLS, IDENTIFIED, KINDS
from headcount.counting.usage import DAYS_MAX, WorkspaceReading
from headcount.store.contribution_rows import COARSE_MAX
from headcount.store.protocol import Change, MeterStore, Month, sealed_months
from support.owned_keys import new_keys
from support.small_counts import (
    FEBRUARY,
    JANUARY,
    MARCH,
    block_of,
    counts,
    stored_keys,
)
from support.stores import OpenStore


def test_a_store_that_knows_nothing_reads_as_zeros(store: MeterStore) -> None:
    reading = store.read_usage(1, JANUARY)
    assert reading.period == JANUARY
    assert reading.first_period is None
    assert reading.last_metered_day is None
    assert not reading.workspace.any()
    assert reading.workspace.shape == (DAYS_MAX, len(KINDS))
    assert reading.sources.shape == (0, DAYS_MAX, len(KINDS))
    assert reading.rejected == ()
    assert store.state().positions == {}
    assert list(store.state().key_periods) == []
    assert list(store.months()) == []
    assert sealed_months(store.months()) == set()
    assert store.state().trusted_day is None
    assert list(store.keys(JANUARY, TRACKED)) == []


def test_a_workspace_reads_alone_as_it_does_with_its_sources(open_store: OpenStore) -> None:
    store = open_store()
    whole = [each.name for each in fields(WorkspaceReading)]

    def assert_same() -> None:
        for place in ((1, JANUARY), (1, FEBRUARY), (2, JANUARY), (3, JANUARY)):
            alone, with_sources = store.read_usage(*place, sources=False), store.read_usage(*place)
            for name in whole:
                assert np.array_equal(getattr(alone, name), getattr(with_sources, name)), name

    assert_same()
    store.commit(
        Change(
            counts={
                **{(JANUARY, 1, source): counts(api_calls=7) for source in (0, 1, 2)},
                (FEBRUARY, 1, 0): counts(identified=2),
                (JANUARY, 2, 0): counts(api_calls=5),
            },
            counted_until_ms=77,
            last_metered_day=20_000,
        )
    )
    assert_same()
    assert store.read_usage(1, JANUARY, sources=False).workspace[0, API_CALLS] == 7


def test_a_change_is_there_whole_for_writer_and_readers_and_after_a_restart(
    open_store: OpenStore,
) -> None:
    store = open_store()
    keys = {7 << 50: (3, NEVER), 9 << 50: (5, 6)}
    change = Change(
        keys={(JANUARY, TRACKED): new_keys(block_of(keys, TRACKED))},
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
        aside=[Aside(AsideReason.SEALED, bytes(2 * FACT_BYTES), 2, MARCH)],
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
        assert each.state().positions == {"journal": 11, "other": 2}
        assert list(each.state().key_periods) == [(JANUARY, TRACKED)]
        assert stored_keys(each, JANUARY, TRACKED) == keys
        assert each.state().trusted_day == JANUARY.first_day
        assert Month(1, JANUARY, FEBRUARY.first_day, False) in each.months()


def test_who_sent_messages_is_tallied_apart_from_rejections_and_under_so_many_names(
    open_store: OpenStore,
) -> None:
    store = open_store()
    day, later = JANUARY.first_day + 3, JANUARY.first_day + 9
    rejection = Rejection(1, 4, day, "invalid_id", 6)
    uses = [LibraryUse(1, 4, day, "a", 2), LibraryUse(1, 5, day, "a", 1)]
    store.commit(Change(rejections=[rejection], libraries=uses, counted_until_ms=7))
    store.commit(Change(libraries=[LibraryUse(1, 4, later, "a", 3), LibraryUse(1, 4, day, "b", 1)]))
    store.commit(Change(libraries=[LibraryUse(2, 9, day, "a", 99)]))
    first = JANUARY.first_day
    for each in (store, open_store()):
        assert each.read_usage(1, JANUARY).rejected == (rejection,)
        assert each.read_usage(1, JANUARY).libraries == ()
        reading = each.read_usage(1, JANUARY, libraries=True)
        assert (reading.rejected, reading.counted_until_ms) == ((rejection,), 7)
        assert reading.libraries == (
            LibraryUse(1, 4, first, "a", 5), LibraryUse(1, 4, first, "b", 1),
            LibraryUse(1, 5, first, "a", 1),
        )  # fmt: skip
        assert each.read_usage(1, FEBRUARY, libraries=True).libraries == ()
    # Names made up by the hundred are one, and none that is known already is lost among them.
    store.commit(Change(libraries=[LibraryUse(1, 4, day, f"made up {n}", 1) for n in range(200)]))
    store.commit(Change(libraries=[LibraryUse(1, 4, day, "a", 1), LibraryUse(1, 4, day, "c", 1)]))
    reading = store.read_usage(1, JANUARY, libraries=True)
    read = [use for use in reading.libraries if use.source == 4]
    assert len(read) == NAMES_MAX
    messages = {use.library: use.messages for use in read}
    assert messages["a"] == 6
    assert sum(messages.values()) == 6 + 1 + 200 + 1
    assert messages[OTHER_LIBRARY] == sum(messages.values()) - 6 - 1 - (NAMES_MAX - 3)


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
        keys={(JANUARY, MESSAGE): new_keys(block_of({5: (0, NEVER)}, MESSAGE))},
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
        assert each.state().positions == {"journal": 1}
        assert list(each.state().key_periods) == []
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
    store.commit(Change(counted_until_ms=10))
    assert revisions() == after


def test_positions_of_queues_that_are_no_more_are_let_go(open_store: OpenStore) -> None:
    store = open_store()
    store.commit(Change(positions={"one": 3, "other": 4}))
    store.commit(Change(positions={"other": 5}, queues_gone=["one", "never there"]))
    for each in (store, open_store()):
        assert each.state().positions == {"other": 5}


def test_marks_never_fall(open_store: OpenStore) -> None:
    store = open_store()
    store.commit(Change(counted_until_ms=100, last_metered_day=20, trusted_day=20))
    store.commit(Change(counted_until_ms=50, last_metered_day=10, trusted_day=10))
    store.commit(Change(counted_until_ms=70))
    for each in (store, open_store()):
        reading = each.read_usage(1, JANUARY)
        assert (reading.counted_until_ms, reading.last_metered_day) == (100, 20)
        assert each.state().trusted_day == 20
    store.commit(Change(counted_until_ms=130))
    assert open_store().read_usage(1, JANUARY).counted_until_ms == 130


def test_what_is_set_aside_is_kept_summed_and_given_back_once_its_day_is_confirmed(
    open_store: OpenStore,
) -> None:
    store = open_store()
    fact, other = bytes([1]) * FACT_BYTES, bytes([2]) * FACT_BYTES
    sealed = Aside(AsideReason.SEALED, fact + other, 2, MARCH)
    waiting = [Aside(AsideReason.WAITING, facts, day=day) for facts, day in
               ((fact, 40), (other + fact, 30), (other, 41))]  # fmt: skip
    cut = Aside(AsideReason.DAMAGED, fact + other[:9], origin="entry 3")
    assert list(store.confirmed_aside(9)) == []
    store.commit(Change(aside=[sealed, *waiting, cut], positions={"journal": 1}))
    waits = AsideSum("waiting", 0, None, 30, 41, 4, "")
    assert list(open_store().set_aside()) == [
        AsideSum("damaged", 0, None, None, None, 2, "entry 3"),
        AsideSum("sealed", 2, MARCH, None, None, 2, ""),
        waits,
    ]
    assert list(store.confirmed_aside(9)) == []
    open_store().commit(Change(confirmed_day=40))
    assert [len(each.facts) // FACT_BYTES for each in store.confirmed_aside(2)] == [1, 2]
    [first] = store.confirmed_aside(1)
    assert first.facts == fact  # what was set aside first comes first
    store.commit(Change(counted_aside=[first.row]))
    [second] = store.confirmed_aside(9)
    assert second.facts == other + fact
    assert second.row != first.row
    store.commit(Change(counted_aside=[second.row]))
    assert list(store.confirmed_aside(9)) == []
    left = [each for each in open_store().set_aside() if each.reason == "waiting"]
    assert left == [waits._replace(first_day=41, messages=1)]


def test_to_trust_a_day_takes_back_what_is_later(open_store: OpenStore) -> None:
    store = open_store()
    store.commit(
        Change(
            counts={(JANUARY, 1, 0): counts(api_calls=1)},
            last_metered_day=900,
            trusted_day=900,
            imported={(1, JANUARY): 900, (1, MARCH): 300},
        )
    )
    store.commit(Change(confirmed_day=400))
    for each in (store, open_store()):
        assert (each.state().trusted_day, each.state().last_metered_day) == (400, 400)
        assert list(each.months()) == [Month(1, JANUARY, 400, False)]
    store.commit(Change(confirmed_day=500))
    assert (store.state().trusted_day, store.state().last_metered_day) == (500, 400)
    # A month that is closed stays closed, though its last import was on a day that is taken back.
    store.commit(Change(sealed=[(1, JANUARY)]))
    store.commit(Change(confirmed_day=300))
    assert list(open_store().months()) == [Month(1, JANUARY, 300, True)]


def test_the_freshness_mark_is_taken_back_only_where_it_is_later(store: MeterStore) -> None:
    store.commit(Change(counted_back_to_ms=50))
    store.commit(Change(counted_until_ms=100))
    store.commit(Change(counted_back_to_ms=200))
    assert store.read_usage(1, JANUARY).counted_until_ms == 100
    store.commit(Change(counted_back_to_ms=60))
    assert store.read_usage(1, JANUARY).counted_until_ms == 60


def test_the_first_period_is_that_of_the_first_api_call(store: MeterStore) -> None:
    # A month of nothing but duplicates of its neighbour's messages is no usage.
    store.commit(Change(counts={(JANUARY, 1, 0): counts(admitted=3)}))
    assert store.read_usage(1, MARCH).first_period is None
    store.commit(Change(counts={(MARCH, 1, 0): counts(api_calls=1, admitted=1)}))
    assert store.read_usage(1, JANUARY).first_period == MARCH
    store.commit(Change(counts={(FEBRUARY, 1, 0): counts(api_calls=1)}))
    assert store.read_usage(1, JANUARY).first_period == FEBRUARY
    assert store.read_usage(2, JANUARY).first_period is None


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


def test_conflicts_and_contributions_are_kept_and_bounded(open_store: OpenStore) -> None:
    store = open_store()
    other = open_store()
    first = JANUARY.first_day
    conflicts = [Rejection(1, 4, first, CONFLICTING, 2), Rejection(1, 4, first + 1, CONFLICTING, 1)]
    store.commit(Change(conflicting=conflicts))
    store.commit(Change(conflicting=conflicts[:1]))
    row = np.arange(7)
    made_up = [*RESERVED, *(Attributes("a", "1", "track", f"e{n}") for n in range(1000))]
    day = DayOfContributions(1, 4, 3, np.arange(len(made_up)), np.tile(row, (len(made_up), 1)))
    for _ in range(2):
        store.commit(Change(contributions=[(JANUARY, day)], attributes=made_up))
    for each in (store, other):
        with each.attribution.attributed(1, [JANUARY, FEBRUARY]) as usage:
            reading, empty = usage.readings
            found, nothing = usage.of_source(4)
            # What is committed meanwhile is of another moment.
            store.commit(Change(contributions=[(JANUARY, day)], attributes=made_up))
            again, _ = usage.of_source(4)
            [of_other, _] = usage.of_source(5)
        store.commit(Change(contributions=[(JANUARY, lessened(day))], attributes=made_up))
        assert [r.messages for r in reading.conflicting] == [4, 1]
        assert len(found.numbers) <= COARSE_MAX
        assert found.counts.sum(axis=0).tolist() == (2 * len(made_up) * row).tolist()
        assert (again.counts == found.counts).all()
        assert set(found.days.tolist()) == {3}
        told = {found.attributes[number] for number in found.numbers.tolist()}
        assert Attributes("a", "1", "track", "other") in told
        assert not len(nothing.numbers)
        assert not len(of_other.numbers)
        assert empty.conflicting == ()


def lessened(day: DayOfContributions) -> DayOfContributions:
    """What takes contributions back."""
    return day._replace(counts=-day.counts)
