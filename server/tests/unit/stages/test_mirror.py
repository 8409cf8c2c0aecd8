"""The mirror, pack by pack: sums move forward only, and only by whole states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from headcount.counting.calendar import parse_period
from headcount.counting.facts import Rejection
from headcount.counting.metrics import API_CALLS, KINDS
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.errors import StorageUnavailableError
from headcount.stages.counts_feed import counts_subject
from headcount.stages.counts_less import CountsLess
from headcount.stages.counts_packs import CountsStanding, CountsWanted, FreshCounts, encode_counts
from headcount.stages.mirror import Mirror
from headcount.store.opening import open_mirror_store
from headcount.store.protocol import Change
from support.memory_log import MemoryLogServer

MONTH = parse_period("2026-01-01")
NOW_MS = (MONTH.first_day + 9) * 86_400_000
NAMES = ["facts-0", "keys-0"]


def calls(number: int) -> Counts:
    counts = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
    counts[3, API_CALLS] = number
    return counts


class Life:
    """A mirror and the log that it reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = MemoryLogServer()
        self.log = self.server.open()
        self.now_s = 0.0
        self.start()

    def start(self) -> None:
        self.store = open_mirror_store(self.folder / "store.sqlite")
        self.less: list[CountsLess] = []
        self.mirror = Mirror(
            self.store,
            self.log,
            NAMES,
            lambda: NOW_MS,
            lambda: self.now_s,
            on_less=self.less.append,
        )

    def restart(self) -> None:
        self.close()
        self.start()

    def close(self) -> None:
        self.mirror.close()
        self.store.close()

    def publish(
        self, since: int, upto: int, rows: Mapping[int, int], *, name: str = "facts-0",
        lineage: str = "a", epoch: int = 1, position: int | None = None,
        tallies: list[Rejection] | None = None, until_ms: int | None = None, takes: bool = True,
    ) -> None:  # fmt: skip
        standing = CountsStanding(
            name, epoch, lineage, upto, until_ms, 50, {"q": upto if position is None else position}
        )
        counts = [((1, MONTH, source), calls(number)) for source, number in rows.items()]
        for data in encode_counts(standing, since, counts, tallies or []):
            self.log.publish(counts_subject(NOW_MS), data)
        if takes:
            self.mirror.step()

    def total(self, source: int = 1) -> int:
        reading = self.store.read_usage(1, MONTH)
        at = np.flatnonzero(reading.source_numbers == source)
        return int(reading.sources[at[0]][:, API_CALLS].sum()) if len(at) else 0

    def wanted(self) -> list[CountsWanted]:
        self.now_s += 10
        return [each for each in self.mirror.wanted() if each.partition == "facts-0"]


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    life = Life(tmp_path)
    yield life
    life.close()


def test_sums_are_those_of_all_partitions_and_move_by_what_changed(life: Life) -> None:
    life.publish(0, 5, {1: 3, 2: 4})
    life.publish(0, 9, {1: 10}, name="keys-0")
    assert (life.total(1), life.total(2)) == (13, 4)
    life.publish(5, 6, {1: 4})
    life.publish(5, 6, {1: 4})
    assert (life.total(1), life.total(2)) == (14, 4)
    life.restart()
    life.publish(6, 7, {2: 9})
    assert (life.total(1), life.total(2)) == (14, 9)


def test_what_came_of_several_partitions_is_one_commit(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[Change] = []
    commit = life.store.commit
    monkeypatch.setattr(
        life.store, "commit", lambda change: (commits.append(change), commit(change))[1]
    )
    tally = Rejection(1, 2, MONTH.first_day, "invalid_id", 3)
    life.publish(0, 5, {1: 3, 2: 4}, tallies=[tally], takes=False)
    life.publish(0, 9, {1: 10}, name="keys-0", takes=False)
    life.mirror.step()
    assert len(commits) == 1
    assert (life.total(1), life.total(2)) == (13, 4)
    assert life.store.tally(tally) == 3
    # Of one partition two states follow one another.
    life.publish(5, 6, {1: 4}, takes=False)
    life.publish(9, 10, {1: 11}, name="keys-0", takes=False)
    life.publish(6, 7, {1: 9}, tallies=[tally._replace(messages=5)], takes=False)
    life.mirror.step()
    assert len(commits) == 3
    assert (life.total(1), life.total(2)) == (20, 4)
    assert life.store.tally(tally) == 5


def test_a_tally_that_two_partitions_tell_in_one_step_is_not_added_twice(life: Life) -> None:
    tally = Rejection(1, 2, MONTH.first_day, "invalid_id", 3)
    life.publish(0, 5, {}, tallies=[tally], takes=False)
    life.publish(0, 9, {}, tallies=[tally._replace(messages=7)], name="keys-0", takes=False)
    life.mirror.step()
    assert life.store.tally(tally) == 7


def test_what_a_disk_refuses_of_several_partitions_is_asked_for_again(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Change) -> None:
        raise StorageUnavailableError("did not take a change")

    life.publish(0, 5, {1: 3})
    life.publish(0, 9, {1: 10}, name="keys-0")
    life.publish(5, 6, {1: 4}, takes=False)
    life.publish(9, 10, {1: 11}, name="keys-0", takes=False)
    with monkeypatch.context() as broken:
        broken.setattr(life.store, "commit", refuse)
        with pytest.raises(StorageUnavailableError):
            life.mirror.step()
    life.publish(6, 7, {1: 5})
    assert life.total() == 13
    assert life.wanted() == [CountsWanted("facts-0", "a", 5)]
    life.publish(5, 7, {1: 5})
    life.publish(9, 11, {1: 12}, name="keys-0")
    assert life.total() == 17


def test_nothing_is_complete_before_every_partition_is_there(life: Life) -> None:
    assert life.mirror.missing() == NAMES
    life.publish(0, 5, {1: 3})
    assert life.mirror.missing() == ["keys-0"]
    assert not life.store.state().counted_until_ms
    life.publish(0, 1, {}, name="keys-0")
    assert life.mirror.missing() == []


def test_a_state_that_is_missing_is_asked_for(life: Life) -> None:
    assert life.wanted() == [CountsWanted("facts-0", "", 0)]
    life.publish(0, 5, {1: 3})
    assert life.wanted() == []
    life.publish(6, 7, {1: 9})
    assert life.total() == 3
    assert life.wanted() == [CountsWanted("facts-0", "a", 5)]
    life.publish(5, 7, {1: 9})
    assert (life.total(), life.wanted()) == (9, [])


def test_all_rows_replace_those_that_are_gone(life: Life) -> None:
    life.publish(0, 5, {1: 3, 2: 4})
    life.publish(0, 8, {1: 3})
    assert (life.total(1), life.total(2)) == (3, 0)


def test_another_copy_is_taken_once_it_has_all_that_is_here(life: Life) -> None:
    life.publish(0, 100, {1: 30})
    life.publish(0, 4, {1: 20}, lineage="b", epoch=2, position=99)
    assert life.total() == 30
    life.publish(4, 5, {1: 30}, lineage="b", epoch=2, position=100)
    assert life.total() == 30
    assert life.wanted() != []
    life.publish(0, 6, {1: 31}, lineage="b", epoch=2, position=101)
    assert life.total() == 31
    # Who owned it before is not heard any more, however far it has come.
    life.publish(100, 200, {1: 99}, lineage="a", epoch=1)
    assert life.total() == 31


def test_what_another_copy_lacks_is_told_before_sums_fall(life: Life) -> None:
    life.publish(0, 100, {1: 30, 2: 4})
    life.publish(0, 6, {1: 31, 2: 4}, lineage="b", epoch=2, position=101)
    assert life.less == []
    # A journal's last entries are nowhere, and what is shown must go on without them.
    life.publish(0, 9, {1: 28, 2: 4}, lineage="c", epoch=3, position=97, until_ms=60)
    assert life.less == [CountsLess("facts-0", "c", 3, 0, 4, 50, 50)]
    assert life.total() == 28
    # All entries are there, and were counted in another order.
    life.publish(0, 9, {1: 28, 2: 3}, lineage="d", epoch=4, position=97)
    assert life.less[1:] == [CountsLess("facts-0", "d", 1, 0, 0, 50, 50)]


def test_tallies_are_taken_as_they_are(life: Life) -> None:
    def tally(messages: int) -> Rejection:
        return Rejection(1, 1, MONTH.first_day, "invalid", messages)

    life.publish(0, 5, {1: 3}, tallies=[tally(2)])
    life.publish(5, 6, {}, tallies=[tally(5)])
    life.publish(0, 7, {1: 3}, tallies=[tally(5)])
    assert life.store.read_usage(1, MONTH).rejected == (tally(5),)


def test_fresh_is_the_least_moment_of_all_partitions(life: Life) -> None:
    life.publish(0, 5, {1: 3}, until_ms=NOW_MS)
    assert life.mirror.until_ms() is None
    life.publish(0, 1, {}, name="keys-0", until_ms=NOW_MS - 70)
    life.mirror.hear([FreshCounts("keys-0", 1, "a", 1, NOW_MS - 40)])
    assert life.mirror.until_ms() == NOW_MS - 40
    # Of a state that is not here it says nothing.
    life.mirror.hear([FreshCounts("keys-0", 1, "a", 2, NOW_MS)])
    life.mirror.hear([FreshCounts("keys-0", 1, "b", 1, NOW_MS)])
    assert life.mirror.until_ms() == NOW_MS - 40
    life.now_s += 1
    life.mirror.step()
    assert life.store.state().counted_until_ms == NOW_MS - 40
    # By a clock that was set back.
    life.mirror.hear([FreshCounts("keys-0", 1, "a", 1, NOW_MS - 100_000)])
    life.now_s += 1
    life.mirror.step()
    assert life.store.state().counted_until_ms == NOW_MS - 100_000
