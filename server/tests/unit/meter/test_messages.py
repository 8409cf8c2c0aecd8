"""Message ids of a month: what is too old for a live message is passed over, and stays exact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from headcount.counting.keys import NEVER, KeyBlock
from headcount.meter.merging import Rewriting, runs_to_rewrite
from headcount.meter.messages import MessageKeys
from headcount.store.runs import Run, write_run
from support.former_runs import write_former_run

KEYS = np.unique(np.random.default_rng(5).integers(1, 2**63, 4000, np.uint64))


def run_of(path: Path, keys: Sequence[int], days: Sequence[int], *, former: bool = False) -> Run:
    """A run of some keys, ascending."""
    block = KeyBlock(np.array(keys, np.uint64), np.array(days, np.uint8))
    if former:
        write_former_run(path, [block])
    else:
        list(write_run(path, [block], filter_keys=len(keys)))
    return Run(path)


def test_what_is_too_old_is_read_from_the_disk_and_only_when_it_is_asked_for(
    tmp_path: Path,
) -> None:
    early, late = KEYS[::2], KEYS[1::2]
    runs = [
        run_of(tmp_path / "early.keys", early.tolist(), [3] * len(early)),
        run_of(tmp_path / "late.keys", late.tolist(), [20] * len(late)),
    ]
    messages = MessageKeys(runs, [])
    nothing = messages.nbytes
    assert [run.held_bytes for run in runs] == [0, 0]  # a start reads no filter
    messages.probe(KEYS)
    assert [run.held_bytes for run in runs] == [run.filter_bytes for run in runs]
    messages.keep_filters(10)
    assert [run.held_bytes for run in runs] == [0, runs[1].filter_bytes]
    looked = [run.looks for run in runs]
    days = messages.probe(KEYS, 10).days
    assert (days[1::2] == 20).all()
    assert (days[::2] == NEVER).all()
    assert runs[1].looks > looked[1]
    # For a message of that month itself it is asked, where it stands.
    assert (messages.probe(KEYS).days[::2] == 3).all()
    assert runs[0].held_bytes == 0
    assert messages.nbytes - nothing == messages.filter_bytes == runs[1].filter_bytes
    messages.keep_filters(31)
    assert [run.held_bytes for run in runs] == [0, 0]
    assert (messages.probe(KEYS).days[1::2] == 20).all()


def test_the_earliest_day_counts_even_where_it_is_too_old_to_be_asked_for(tmp_path: Path) -> None:
    runs = [
        run_of(tmp_path / "early.keys", [5, 9], [3, 4]),
        run_of(tmp_path / "late.keys", [5, 7], [20, 20]),
    ]
    messages = MessageKeys(runs, [KeyBlock(np.array([9], np.uint64), np.array([25], np.uint8))])
    messages.keep_filters(10)
    asked = np.array([5, 7, 8, 9], np.uint64)
    assert messages.probe(asked, 10).days.tolist() == [3, 20, NEVER, 4]
    assert messages.probe(asked, 0).days.tolist() == [3, 20, NEVER, 4]


def test_a_filter_that_memory_has_no_room_for_is_read_from_the_disk(tmp_path: Path) -> None:
    larger, smaller = KEYS[KEYS % np.uint64(3) > 0], KEYS[KEYS % np.uint64(3) == 0]
    runs = [
        run_of(tmp_path / "smaller.keys", smaller.tolist(), [1] * len(smaller)),
        run_of(tmp_path / "larger.keys", larger.tolist(), [0] * len(larger)),
    ]
    expected = (KEYS % np.uint64(3) == 0).astype(np.uint8)
    room = runs[1].filter_bytes
    messages = MessageKeys(runs, [], lambda nbytes: messages.filter_bytes + nbytes <= room)
    assert (messages.probe(KEYS).days == expected).all()
    assert [run.held_bytes for run in runs] == [0, room]
    messages.keep_filters(1)  # which gives the room of the larger one back
    assert (messages.probe(KEYS).days == expected).all()
    assert [run.held_bytes for run in runs] == [runs[0].filter_bytes, 0]


def test_lookups_on_disk_are_counted_on_when_runs_are_replaced(tmp_path: Path) -> None:
    run = run_of(tmp_path / "a.keys", KEYS.tolist(), [1] * len(KEYS))
    messages = MessageKeys([run], [])
    messages.probe(KEYS)
    assert messages.lookups == (len(KEYS), len(KEYS))
    messages.replace_runs([])
    messages.probe(KEYS)
    assert messages.lookups == (2 * len(KEYS), len(KEYS))
    again = MessageKeys([run], [])
    assert again.lookups == (0, 0)
    again.replace_runs([run])
    again.probe(KEYS[:10])
    assert again.lookups == (10, 10)


class FakeRun(NamedTuple):
    """As much of a run as it takes to choose."""

    name: str
    keys: int
    last_day: int = 0
    early: int = 0
    former: bool = False

    def keys_before(self, day: int) -> int:
        return self.keys if day > self.last_day else self.early if day else 0


G = 1 << 30


@pytest.mark.parametrize(
    ("runs", "since_day", "expected"),
    [
        ([], 0, None),
        ([FakeRun("a", 5), FakeRun("b", 1, former=True)], 0, Rewriting(["b"])),
        # Large ones are two of a size at most.
        ([FakeRun("a", G), FakeRun("b", G + 1)], 0, Rewriting(["a", "b"])),
        ([FakeRun("a", G), FakeRun("b", 4 * G)], 0, None),
        ([FakeRun("a", G >> 3), FakeRun("b", G >> 3)], 0, None),
        # Enough that is too old goes to a run of its own; of less the filters stay.
        ([FakeRun("a", 8 * G, 30, G), FakeRun("b", G, 30)], 9, Rewriting(["a", "b"], 9)),
        ([FakeRun("a", 8 * G, 30, G // 4)], 9, None),
        ([FakeRun("a", 1 << 20, 30, 1 << 19)], 9, None),
        # What is in such a run already is left alone, and meets none that is asked for.
        ([FakeRun("a", 8 * G, 8), FakeRun("b", 8 * G, 30)], 9, None),
        ([FakeRun("a", 8 * G, 8), FakeRun("b", 8 * G, 7)], 9, Rewriting(["a", "b"])),
        ([FakeRun("a", 16 * G, 8), FakeRun("b", 8 * G, 7)], 31, None),
    ],
)
def test_which_runs_are_written_anew(
    runs: list[FakeRun], since_day: int, expected: Rewriting | None
) -> None:
    assert runs_to_rewrite(runs, since_day) == expected  # type: ignore[arg-type]


def test_a_run_of_a_former_version_is_asked_in_place(tmp_path: Path) -> None:
    run = run_of(tmp_path / "a.keys", KEYS.tolist(), [4] * len(KEYS), former=True)
    assert run.former
    messages = MessageKeys([run], [])
    messages.keep_filters(20)
    # Of which days its keys are is not known, so they are asked for always.
    assert (messages.probe(KEYS, 20).days == 4).all()
    assert (messages.probe(KEYS + np.uint64(1), 20).days == NEVER).all()
