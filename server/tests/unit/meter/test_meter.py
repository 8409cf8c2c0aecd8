"""The meter: in order of arrival, once, and never ahead of what is durable."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.facts import Rejection
from headcount.counting.folded import Folded
from headcount.counting.keys import MESSAGE
from headcount.counting.metrics import ADMITTED, API_CALLS
from headcount.errors import StorageUnavailableError
from headcount.meter import MeterLimits
from headcount.store.protocol import Change
from support.faulty_vfs import FaultyDisk
from support.oracle import Oracle, PlainFact
from support.rig import Rig, assert_equal_to_oracle, pack

JANUARY = parse_period("2026-01-01")
NOON_MS = (JANUARY.first_day + 9) * MS_PER_DAY + MS_PER_DAY // 2
ONE_BY_ONE = MeterLimits(facts_a_batch_max=1)
HOUR_MS = 3_600_000


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now_ms = NOON_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rigs(tmp_path: Path, clock: Clock) -> Iterator[Rigs]:
    rigs = Rigs(tmp_path, clock)
    yield rigs
    rigs.close()


class Rigs:
    """Makes the one rig of a test, and closes it with its disk at the end."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._rig: Rig | None = None
        self.disk = FaultyDisk(folder.name, random.Random(1))

    def make(self, limits: MeterLimits | None = None, *, faulty: bool = False) -> Rig:
        vfs = self.disk.name if faulty else None
        self._rig = Rig(self._folder, self._clock, limits=limits, vfs=vfs)
        return self._rig

    def close(self) -> None:
        self.disk.calm()
        if self._rig is not None:
            self._rig.close()
        self.disk.forget()


def fact(message: str, *, day: int = 9, source: int = 1, user: str | None = None) -> PlainFact:
    moment_ms = (JANUARY.first_day + day) * MS_PER_DAY
    return PlainFact(moment_ms, 1, source, message, user, f"visitor of {message}")


def oracle_of(*facts: PlainFact) -> Oracle:
    oracle = Oracle()
    for each in facts:
        oracle.meter(each, each.day)
    return oracle


def waiting(rig: Rig) -> list[int]:
    """Ids of the entries that the journals still hold."""
    ids = []
    for path in rig.writers.paths():
        with closing(rig.writers.open(path)) as journal:
            ids += [entry.id for entry in journal.entries(0)]
    return ids


def test_entries_are_taken_as_they_arrived_across_journals(rigs: Rigs, clock: Clock) -> None:
    rig = rigs.make(ONE_BY_ONE)
    one, other = rig.journal(), rig.journal()
    order = [one, other, other, one, other, one]
    for number, journal in enumerate(order):
        clock.now_ms += 1
        rig.append(journal, [fact(f"m{number}")])
    taken = []
    for number in range(len(order)):
        before = dict(rig.store.state().positions)
        step = rig.meter.step()
        assert step == (1, number == len(order) - 1)
        (moved,) = set(rig.store.state().positions.items()) - set(before.items())
        taken.append(moved[0])
    assert taken == [journal.uuid for journal in order]
    assert rig.meter.step() == (0, True)


def test_the_one_that_arrived_first_is_the_call_and_the_other_the_duplicate(
    rigs: Rigs, clock: Clock
) -> None:
    """Across periods the order decides which month a message is counted in."""
    rig = rigs.make()
    one, other = rig.journal(), rig.journal()
    late, early = fact("m", day=9), fact("m", day=-2)
    rig.append(one, [late])
    rig.drain()
    clock.now_ms += 1
    rig.append(other, [early])
    rig.drain()
    assert_equal_to_oracle(rig.store, oracle_of(late, early))
    assert rig.store.read_usage(1, JANUARY).workspace[:, API_CALLS].sum() == 1
    december = rig.store.read_usage(1, JANUARY.shifted(-1)).workspace
    assert december[:, [API_CALLS, ADMITTED]].sum(axis=0).tolist() == [0, 1]


def test_a_journal_that_comes_while_it_runs_is_metered(rigs: Rigs) -> None:
    rig = rigs.make()
    assert rig.meter.step() == (0, True)
    facts = []
    for number in range(3):
        facts.append(fact(f"m{number}"))
        rig.append(rig.journal(), facts[-1:], [Rejection(1, 1, JANUARY.first_day, "x", 1)])
        assert rig.meter.step() == (1, True)
    assert_equal_to_oracle(rig.store, oracle_of(*facts))
    assert len(rig.store.state().positions) == 3
    (tally,) = rig.store.read_usage(1, JANUARY).rejected
    assert tally.messages == 3


@pytest.mark.parametrize("fault", ["full", "sync"])
def test_a_refused_commit_has_taught_nothing_and_is_tried_again(
    rigs: Rigs, clock: Clock, fault: str
) -> None:
    rig = rigs.make(faulty=True)
    journal = rig.journal()
    facts = [fact(f"m{number}", user=f"u{number}") for number in range(2000)]
    rig.append(journal, facts[:1000])
    rig.drain()
    rig.append(journal, facts)
    sizes = rig.meter.indexes.sizes()
    for _ in range(3):
        clock.now_ms += 1_000
        rigs.disk.fill_for(1) if fault == "full" else rigs.disk.fail_syncs(1)
        with pytest.raises(StorageUnavailableError):
            rig.meter.step()
        rigs.disk.calm()
        assert rig.meter.indexes.sizes() == sizes
        assert rig.meter.lag_facts() == 2000
        assert_equal_to_oracle(rig.store, oracle_of(*facts[:1000]))
    rig.drain()
    assert_equal_to_oracle(rig.store, oracle_of(*facts[:1000], *facts))


def test_a_refused_commit_gives_the_room_of_a_half_written_run_back(
    tmp_path: Path, rigs: Rigs, clock: Clock
) -> None:
    limits = MeterLimits(message_keys_in_memory_max=5_000)
    rig = rigs.make(limits, faulty=True)
    journal = rig.journal()
    rig.append(journal, [fact(f"m{number}", user="u") for number in range(6_000)])
    rig.meter.step()

    def drafts() -> list[Path]:
        return list((tmp_path / "keys").glob("*.draft"))

    assert len(drafts()) == 1
    more = [fact(f"n{number}", user=f"u{number}") for number in range(1000)]
    rig.append(journal, more)
    rigs.disk.fill_for(1)
    with pytest.raises(StorageUnavailableError):
        rig.meter.step()
    rigs.disk.calm()
    assert drafts() == []
    rig.drain()
    assert drafts() == []
    clock.now_ms += 60_000
    for _ in range(3):
        rig.meter.step()
    [run] = rig.store.files.runs(JANUARY, MESSAGE)
    assert run.keys >= 6_000


def test_a_meter_that_dies_between_commit_and_indexes_is_replaced_without_loss(
    rigs: Rigs, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = rigs.make()
    journal = rig.journal()
    facts = [fact(f"m{number}", user=f"u{number}") for number in range(5)]
    rig.append(journal, facts)
    with monkeypatch.context() as patched:
        patched.setattr(Folded, "apply_to", _die)
        # No such error may pass for a refusal of the disk, after which a step is tried again.
        with pytest.raises(MemoryError):
            rig.meter.step()
    rig.stop()
    rig.start()
    rig.append(journal, [*facts, fact("m9")])
    rig.drain()
    assert_equal_to_oracle(rig.store, oracle_of(*facts, *facts, fact("m9")))


def _die(*_: object) -> None:
    raise MemoryError


def test_only_what_is_metered_is_pruned(rigs: Rigs, clock: Clock) -> None:
    rig = rigs.make(ONE_BY_ONE)
    journal = rig.journal()
    for number in range(5):
        clock.now_ms += 1
        rig.append(journal, [fact(f"m{number}")])
    for metered in range(1, 6):
        clock.now_ms += 10_000
        rig.meter.step()
        assert waiting(rig) == list(range(metered + 1, 6))
    assert journal.append(b"", [], 0) == 6


def test_nothing_is_pruned_before_its_commit(rigs: Rigs, clock: Clock) -> None:
    rig = rigs.make(faulty=True)
    journal = rig.journal()
    rig.drain()  # the journal is known
    rig.append(journal, [fact("m")])
    clock.now_ms += 10_000
    rigs.disk.fail_syncs(1)
    with pytest.raises(StorageUnavailableError):
        rig.meter.step()
    assert [entry.id for entry in journal.entries(0)] == [1]
    clock.now_ms += 10_000
    rig.drain()
    assert list(journal.entries(0)) == []


def test_a_malformed_page_of_a_journal_keeps_nobody_from_being_counted(
    rigs: Rigs, clock: Clock
) -> None:
    rig = rigs.make()
    damaged, sound = rig.journal(), rig.journal()
    for number in range(3):
        rig.append(damaged, [fact(f"m{number}")])
    rig.append(sound, [fact("m")])
    rig.stop()
    damaged.close()
    data = bytearray(damaged.path.read_bytes())
    [page] = [at for at in range(0, len(data), 16_384) if pack(fact("m1")) in data[at:][:16_384]]
    data[page + 9] ^= 64  # where the first row begins
    damaged.path.write_bytes(data)
    rig.start()
    assert rig.meter.lag_facts() == 1  # what can be added up
    rig.drain()
    assert_equal_to_oracle(rig.store, oracle_of(fact("m1"), fact("m2"), fact("m")))
    assert [(each.reason, each.messages) for each in rig.store.set_aside()] == [("damaged", 1)]


def counted_until(rig: Rig) -> int:
    return rig.store.read_usage(1, JANUARY).counted_until_ms


def test_the_mark_says_until_when_everything_is_counted(rigs: Rigs, clock: Clock) -> None:
    rig = rigs.make(ONE_BY_ONE)
    journal = rig.journal()
    for number in range(3):
        clock.now_ms = NOON_MS + 100 * number
        rig.append(journal, [fact(f"m{number}")])
    clock.now_ms = NOON_MS + 5_000
    rig.meter.step()
    # The second one is not counted, so nothing from its arrival on is sure.
    assert counted_until(rig) == NOON_MS + 100 - 1
    rig.meter.step()
    assert counted_until(rig) == NOON_MS + 200 - 1
    rig.meter.step()
    assert counted_until(rig) == NOON_MS + 5_000


def test_the_mark_moves_while_nothing_comes_and_never_lies_ahead(rigs: Rigs, clock: Clock) -> None:
    rig = rigs.make()
    rig.meter.step()
    assert counted_until(rig) == NOON_MS
    for second in range(1, 4):
        clock.now_ms = NOON_MS + 1_000 * second
        rig.meter.step()
        assert counted_until(rig) == clock.now_ms
    clock.now_ms = NOON_MS - MS_PER_DAY
    rig.meter.step()
    rig.append(rig.journal(), [fact("m")])
    rig.meter.step()
    assert counted_until(rig) == clock.now_ms


@pytest.mark.parametrize("is_seen", [True, False])
def test_the_mark_waits_for_what_came_after_the_clock_was_set_back(
    rigs: Rigs, clock: Clock, is_seen: bool
) -> None:
    """What came earlier by the clock stands behind what came later, whoever saw the clock then."""
    rig = rigs.make(ONE_BY_ONE)
    journal = rig.journal()
    clock.now_ms = back_ms = NOON_MS - 2 * HOUR_MS
    rig.meter.step()
    for number, at_ms in enumerate(
        (NOON_MS, NOON_MS + 100, back_ms + 20_000, back_ms + 10_000, NOON_MS + 200)
    ):
        clock.now_ms = at_ms
        rig.append(journal, [replace(fact(f"m{number}"), received_at_ms=at_ms)])
        if is_seen and number == 3:
            rig.meter.step()
            assert counted_until(rig) == back_ms + 10_000 - 1
    clock.now_ms = NOON_MS + HOUR_MS
    while rig.store.state().positions.get(journal.uuid, 0) < 3:
        rig.meter.step()
        assert counted_until(rig) == back_ms + 10_000 - 1
    rig.meter.step()
    assert counted_until(rig) == NOON_MS + 200 - 1


def test_a_mark_that_is_taken_back_is_behind_what_is_not_counted_yet(
    rigs: Rigs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = rigs.make(faulty=True)
    rig.meter.step()
    commit = rig.store.commit

    def commit_and_refuse_what_follows(change: Change) -> None:
        commit(change)
        if change.counted_back_to_ms is not None:
            rigs.disk.fail_syncs(1)

    monkeypatch.setattr(rig.store, "commit", commit_and_refuse_what_follows)
    clock.now_ms = back_ms = NOON_MS - HOUR_MS
    rig.append(rig.journal(), [replace(fact("m"), received_at_ms=back_ms)])
    clock.now_ms += 5_000
    with pytest.raises(StorageUnavailableError):
        rig.meter.step()
    assert counted_until(rig) == back_ms - 1
    rig.drain()
    assert counted_until(rig) == back_ms + 5_000


def test_the_mark_keeps_to_the_moments_of_hours_that_wait(rigs: Rigs, clock: Clock) -> None:
    """Of many that stand behind a later one, few are remembered."""
    rig = rigs.make(ONE_BY_ONE)
    journal = rig.journal()
    rig.append(journal, [fact("m")])
    rig.append(journal, [fact("m0")])
    for number in range(1, 41):
        clock.now_ms = NOON_MS - HOUR_MS + 250 * number
        rig.append(journal, [fact(f"m{number}")])
    for counted in range(1, 42):
        rig.meter.step()
        # Exact to a second, and never later than the next that waits.
        assert 1 <= NOON_MS - HOUR_MS + 250 * max(1, counted - 1) - counted_until(rig) <= 1_000
    rig.drain()
    assert counted_until(rig) == clock.now_ms


def test_a_start_does_not_say_that_what_waits_is_counted(rigs: Rigs, clock: Clock) -> None:
    rig = rigs.make()
    rig.append(rig.journal(), [fact("m")])
    rig.stop()
    clock.now_ms += 90_000
    rig.start()
    assert rig.meter.counted_until_ms <= NOON_MS
    rig.drain()
    assert rig.meter.counted_until_ms == clock.now_ms


def test_a_clock_that_is_not_believed_moves_no_mark(rigs: Rigs, clock: Clock) -> None:
    rig = rigs.make()
    journal = rig.journal()
    rig.append(journal, [fact("m1")])
    rig.drain()
    until = counted_until(rig)
    marks = (rig.store.state().last_metered_day, rig.store.state().trusted_day)
    for moment_ms in (NOON_MS + 400 * MS_PER_DAY, 10_000):
        clock.now_ms = moment_ms
        rig.append(journal, [replace(fact(f"at {moment_ms}"), received_at_ms=moment_ms)])
        rig.drain()
        clock.now_ms += 5_000
        rig.drain()
        assert counted_until(rig) == until
        assert (rig.store.state().last_metered_day, rig.store.state().trusted_day) == marks
    clock.now_ms = NOON_MS + 5_000
    rig.append(journal, [fact("m2")])
    rig.drain()
    assert counted_until(rig) == clock.now_ms
    assert_equal_to_oracle(rig.store, oracle_of(fact("m1"), fact("m2")))
    assert [each.messages for each in rig.store.set_aside()] == [2]


def test_what_was_confirmed_is_counted_once_though_the_disk_refuses_at_first(
    rigs: Rigs, clock: Clock
) -> None:
    rig = rigs.make(faulty=True)
    journal = rig.journal()
    far = [replace(fact(f"m{n}"), received_at_ms=NOON_MS + 400 * MS_PER_DAY) for n in range(3)]
    rig.append(journal, [fact("now"), *far])
    rig.drain()
    clock.now_ms = NOON_MS + 401 * MS_PER_DAY
    rig.store.commit(Change(confirmed_day=clock.now_ms // MS_PER_DAY))
    rigs.disk.fail_syncs(1)
    with pytest.raises(StorageUnavailableError):
        rig.meter.step()
    rig.stop()
    rig.start()
    rig.drain()
    rig.drain()
    assert list(rig.store.set_aside()) == []
    assert_equal_to_oracle(rig.store, oracle_of(fact("now"), *far))


def test_a_clock_set_back_holds_up_neither_metering_nor_pruning(rigs: Rigs, clock: Clock) -> None:
    rig = rigs.make()
    journal = rig.journal()
    rig.append(journal, [fact("m1")])
    rig.drain()
    clock.now_ms -= 40 * MS_PER_DAY
    later = replace(fact("m2"), received_at_ms=clock.now_ms)
    rig.append(journal, [later])
    rig.drain()
    assert waiting(rig) == []
    assert_equal_to_oracle(rig.store, oracle_of(fact("m1"), later))


def test_lag_is_what_waits(rigs: Rigs) -> None:
    rig = rigs.make(ONE_BY_ONE)
    for number in range(3):
        rig.append(rig.journal(), [fact(f"m{number}"), fact(f"n{number}")])
    rig.meter.step()
    assert rig.meter.lag_facts() == 4
    rig.drain()
    assert rig.meter.lag_facts() == 0


def test_peeking_changes_nothing(rigs: Rigs) -> None:
    rig = rigs.make()
    rig.append(rig.journal(), [fact("m")])
    assert rig.meter.peek() == rig.meter.peek() != []
    assert rig.store.state().positions == {}
    assert rig.store.read_usage(1, Period(0)).revision == 0
