"""A data folder that has counted something: two workspaces, two months, runs, blocks and trash.

Made by the real parts in this process, so that a test can damage it byte by byte.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

from headcount.catalog import Catalog
from headcount.datafolder import DataFolder, load_hash_key, open_data_folder
from headcount.journal import JournalFile
from headcount.meter import MeterLimits
from support.oracle import Oracle, PlainFact
from support.rig import Rig

__all__ = ["DAY_MS", "NOW_MS", "CountedFolder", "counted_folder"]

DAY_MS = 86_400_000
NOW_MS = 20_780 * DAY_MS + DAY_MS // 2  # noon of 2026-11-23
SOURCES = {1: 1, 2: 1, 3: 2}
"""Source number to workspace number."""

_LIMITS = MeterLimits(
    facts_a_batch_max=200, message_keys_in_memory_max=150, tracked_keys_in_blocks_max=100
)


@dataclass
class CountedFolder:
    """The folder, and everything that was counted in it.

    Attributes:
        folder: the data folder.
        now_ms: the clock of whoever meters it.
        oracle: what the counts must be.
    """

    folder: DataFolder
    now_ms: int = NOW_MS
    oracle: Oracle = field(default_factory=Oracle)
    _made: int = 0

    def rig(self) -> Rig:
        """A meter on the folder, to be closed."""
        return Rig(self.folder.path, lambda: self.now_ms, limits=_LIMITS)

    def facts(self, count: int, rng: random.Random, days: int = 40) -> list[PlainFact]:
        """Some new messages of the last so many days."""
        facts = []
        for _ in range(count):
            self._made += 1
            source = rng.choice(list(SOURCES))
            facts.append(
                PlainFact(
                    received_at_ms=self.now_ms - rng.randrange(days) * DAY_MS,
                    workspace=SOURCES[source],
                    source=source,
                    message=f"m{self._made}",
                    user=rng.choice([None, f"u{rng.randrange(200)}"]),
                    anonymous=rng.choice([None, f"a{rng.randrange(400)}"]),
                )
            )
        return facts

    def append(self, rig: Rig, journal: JournalFile, facts: list[PlainFact]) -> None:
        """Write messages to a journal in entries of twenty."""
        for start in range(0, len(facts), 20):
            rig.append(journal, facts[start : start + 20])

    def metered(self, facts: list[PlainFact]) -> None:
        """Tell the oracle what is metered."""
        for fact in facts:
            self.oracle.meter(fact, self.now_ms // DAY_MS)


def counted_folder(path: Path, seed: int = 1) -> CountedFolder:
    """Make a data folder at a path and count some hundreds of messages in it."""
    rng = random.Random(seed)
    counted = CountedFolder(open_data_folder(path, create=True))
    with Catalog(counted.folder.catalog) as catalog:
        for name in ("Shop", "Café"):
            catalog.add_workspace(name, NOW_MS)
        for source, workspace in SOURCES.items():
            catalog.add_source(workspace, f"source {source}", NOW_MS)
        load_hash_key(counted.folder, catalog)
    rig = counted.rig()
    journal = rig.journal()
    facts = counted.facts(900, rng)
    counted.append(rig, journal, facts)
    rig.drain()
    counted.metered(facts)
    for _ in range(20):  # a few more steps, in which runs are written
        rig.meter.step()
    facts = counted.facts(120, rng)
    counted.append(rig, journal, facts)
    rig.drain()
    counted.metered(facts)
    journal.close()
    rig.close()
    return counted
