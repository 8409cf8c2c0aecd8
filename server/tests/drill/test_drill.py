"""A short drill over each real engine; `make drill` has longer ones."""

from __future__ import annotations

import os

import pytest

from drill.run_drill import drill
from support.engine_servers import ENGINES

SEED = int(os.environ.get("HEADCOUNT_SEED", "1"))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_count_is_the_oracles_whatever_dies_meanwhile(engine: str) -> None:
    outcome = drill(SEED, engine, 0)
    assert outcome.posts > 50
    assert outcome.snapshots > 500
    assert outcome.reads > 20
    assert outcome.thresholds > 20
    done = " ".join(outcome.done)
    for each in ("killed", "wiped", "put", "moved", "lost"):
        assert each in done
