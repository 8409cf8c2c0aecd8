"""What a relay sends again to a partition that lacks something, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from headcount.journal import JournalDirectory
from headcount.meter.sources import KnownSources
from headcount.stages.partitioning import FactsSplit
from headcount.stages.relay import Relay
from headcount.stages.tells import Confirmation, Gap, queue_bytes
from support.memory_log import MemoryLogServer
from support.oracle import PlainFact
from support.rig import pack

ENTRIES = 3


class Rig:
    """A journal of three entries, all of which a partition has been sent."""

    def __init__(self, folder: Path) -> None:
        self.directory = JournalDirectory(folder)
        self.journal = self.directory.claim()
        for number in range(ENTRIES):
            fact = PlainFact(number, 1, 1, f"m{number}", "u", None)
            self.journal.append(pack(fact), [], 0)
        self.server = MemoryLogServer()
        split = FactsSplit(1, KnownSources(lambda: {1: 1}))
        self.relay = Relay(
            "n", "facts", 1, self.server.open(), lambda: [self.journal], split, lambda: 0
        )
        self.relay.step()
        self.queue = queue_bytes(self.journal.uuid)

    def sent(self) -> int:
        return len(self.server.entries("facts.0"))

    def asks(self, position: int, now_s: float) -> int:
        """How much is sent when a partition says that it has up to here and lacks the rest."""
        before = self.sent()
        self.relay.hear([Gap(0, 1, self.queue, position)], now_s)
        self.relay.step()
        return self.sent() - before


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    found = Rig(tmp_path)
    yield found
    found.journal.close()
    found.directory.close()


def test_what_is_asked_for_again_and_again_is_sent_ever_more_rarely(rig: Rig) -> None:
    """It is behind what stands in the log, and each copy of it would be in its way."""
    sent_at = [second for second in range(70) if rig.asks(1, second)]
    pauses = [later - former for former, later in pairwise(sent_at)]
    assert sent_at[0] == 0
    assert pauses == [2, 4, 8, 16, 16, 16]
    assert rig.asks(2, 300), "it has got further: what it lacks now is another"


def test_a_gap_of_before_a_confirmation_is_no_gap_unless_somebody_stays_with_it(rig: Rig) -> None:
    rig.relay.hear([Confirmation(0, 1, [(rig.queue, 2)])], 10)
    assert not rig.asks(0, 10), "it was under way when the partition got more"
    assert not rig.asks(0, 11)
    assert rig.asks(0, 12), "the partition was put back to an older copy"
    assert rig.relay.standing().waiting == ENTRIES, "so it has nothing of it on its disk now"


def test_nobody_says_that_nothing_is_left_before_having_looked(rig: Rig) -> None:
    assert rig.relay.standing().unsent == 0
    relay = Relay(
        "n", "facts", 1, rig.server.open(), lambda: [rig.journal],
        FactsSplit(1, KnownSources(lambda: {1: 1})), lambda: 0,
    )  # fmt: skip
    assert relay.standing().unsent is None
