"""Histories of partitions that are fed by a real log, whose servers are killed and wiped meanwhile.

What happens to relays, partitions and mirrors is as in `support.stage_histories`, whose log is in
memory; here it stands on real servers. `make drill` kills the processes themselves. Another seed:
`HEADCOUNT_SEED=2 pytest <this file>`; in even ones partitions are put back to older copies.
"""

from __future__ import annotations

import itertools
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest

from headcount.counting.calendar import MS_PER_DAY
from headcount.engines.log import FactLog
from headcount.engines.opening import open_log
from support import staged_cluster
from support.engine_servers import ENGINES, EngineServers
from support.memory_log import NO_FAULTS
from support.oracle import PlainFact
from support.rig import assert_equal_to_oracle
from support.stage_histories import FIRST_DAY, Reader, act, forget, memory_folder
from support.staged_cluster import StagedCluster

_SEED = int(os.environ.get("HEADCOUNT_SEED", "1"))
_ACTS = 120
_SETTLED_WITHIN_S = 120


class _EngineLogs:
    """Gives a staged cluster logs on real servers, as `MemoryLogServer` gives it some in memory."""

    def __init__(self, servers: EngineServers) -> None:
        self.faults, self.away = NO_FAULTS, False
        # All is in one thread, and nobody in it closes a log: some are shared.
        self._logs = [open_log(servers.address, timeout_s=2) for _ in range(4)]
        self._opened = itertools.cycle(self._logs)

    def open(self) -> FactLog:
        return next(self._opened)

    def close(self) -> None:
        for log in self._logs:
            log.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_count_is_the_oracles_whatever_happens_to_the_log(engine: str) -> None:
    servers = ENGINES[engine]()
    chance = random.Random(_SEED)
    harms: list[Callable[[], object]] = [
        lambda: servers.kill_one(chance.randrange(3)),
        servers.kill_all,
    ]
    # A partition and the log put back together lose what only they had.
    restores = _SEED % 2 == 0
    if not restores:
        harms += [servers.wipe_log, lambda: servers.lose_latest(lambda: _some_steps(cluster))]
    chance.shuffle(harms)
    try:
        with (
            tempfile.TemporaryDirectory(dir=memory_folder()) as folder,
            closing(_EngineLogs(servers)) as logs,
            patch.object(staged_cluster, "MemoryLogServer", lambda _: logs),
        ):
            cluster = StagedCluster(Path(folder), now_ms=(FIRST_DAY + 58) * MS_PER_DAY, mirrors=2)
            posted: Counter[PlainFact] = Counter()
            reader = Reader(cluster)
            try:
                for number in range(_ACTS):
                    if number % 30 == 12:
                        forget(cluster, chance)
                    act(cluster, chance, posted, restores=restores)
                    cluster.server.away = False
                    reader.look()
                    if number % 20 == 10 and harms:
                        harms.pop()()
                    elif number % 20 == 15:
                        servers.restore()
                servers.restore()
                _settle(cluster)
                reader.look()
                counted = Counter(fact for facts in cluster.order.values() for fact in facts)
                assert counted == posted, f"seed {_SEED}"
                oracle = cluster.oracle()
                for store, _ in cluster.mirrors:
                    # Mirrors hold counts, and not which messages they are made of.
                    assert_equal_to_oracle(store, oracle, attributed=False)
            finally:
                cluster.close()
    finally:
        servers.close()


def _some_steps(cluster: StagedCluster) -> None:
    for _ in range(10):
        cluster.step()


def _settle(cluster: StagedCluster) -> None:
    """Until freshness passes what was acknowledged by now."""
    posted_ms, until_s = cluster.now_ms, time.monotonic() + _SETTLED_WITHIN_S
    while not (
        all(store.state().counted_until_ms > posted_ms for store, _ in cluster.mirrors)
        and cluster.has_forgotten()
    ):
        assert time.monotonic() < until_s, f"seed {_SEED}: {cluster.standing()}"
        cluster.step()
        time.sleep(0.01)
