"""A commit that a killed process had written and not synced is durable before it is acted on.

The next process finds such a commit in the log and believes it. If it were counted, or what it
covers were pruned, and the power went then, the disk would take it back: entry ids would be given
a second time, below the metered position, or pruned entries would be missed by the store.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from crash.faulty_vfs import FaultyDisk
from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.journal import JournalFile
from headcount.metering.calendar import MS_PER_DAY, parse_period
from headcount.metering.usage import API_CALLS
from oracle import PlainFact
from rig import Rig

JANUARY = parse_period("2026-01-01")
# One commit takes fewer operations than this, so that a kill meets each of them, the sync too.
OPERATIONS = 12


class Machine:
    """A rig on a disk that can lose its power."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._now_ms = JANUARY.first_day * MS_PER_DAY
        self.disk = FaultyDisk(f"unsynced-{seed}", random.Random(seed))
        self.start()

    def _clock_ms(self) -> int:
        self._now_ms += 10_000
        return self._now_ms

    def start(self) -> None:
        self.rig = Rig(self._folder, self._clock_ms, vfs=self.disk.name)
        self.journal: JournalFile = self.rig.journal()

    def stop(self) -> None:
        for close in (self.journal.close, self.rig.stop, self.rig.stop, self.rig.close):
            with suppress(apsw.Error):
                close()

    def lose_power(self) -> None:
        """At this moment, with nothing under way."""
        self.disk.end_after(1, "power cut")
        with pytest.raises(StorageUnavailableError):
            self.append("never durable")
        self.restart()

    def restart(self) -> None:
        self.stop()
        self.disk.restart()
        self.start()

    def append(self, message: str) -> None:
        fact = PlainFact(self._clock_ms(), 1, 1, message)
        self.rig.append(self.journal, [fact])

    def calls(self) -> int:
        return int(self.rig.store.read_usage(1, JANUARY).workspace[:, API_CALLS].sum())


@pytest.fixture(params=range(1, OPERATIONS + 1))
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path, request.param)
    machine.append("first")
    machine.rig.drain()
    yield machine
    machine.stop()
    machine.disk.forget()


def killed_during(machine: Machine, act: Callable[[], object], seed: int) -> None:
    """Kill all processes within an act, if it takes as many operations."""
    machine.disk.end_after(seed, "kill")
    with suppress(StorageUnavailableError, DataFolderError, apsw.Error):
        act()
    if machine.disk.ended is None:
        machine.disk.end_after(1, "kill")
        with suppress(StorageUnavailableError):
            machine.append("never mind")
    machine.restart()


def test_an_entry_that_was_counted_keeps_its_id(
    machine: Machine, request: pytest.FixtureRequest
) -> None:
    seed = request.node.callspec.params["machine"]
    killed_during(machine, lambda: machine.append("second"), seed)
    machine.rig.drain()
    counted = machine.calls()
    machine.lose_power()
    machine.append("acknowledged")
    machine.rig.drain()
    assert machine.calls() == counted + 1


def test_an_entry_is_pruned_only_when_its_counts_are_durable(
    machine: Machine, request: pytest.FixtureRequest
) -> None:
    seed = request.node.callspec.params["machine"]
    machine.append("acknowledged")
    killed_during(machine, machine.rig.drain, seed)
    machine.rig.drain()
    counted = machine.calls()
    assert counted >= 2
    machine.lose_power()
    machine.rig.drain()
    assert machine.calls() == counted
