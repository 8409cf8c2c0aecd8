"""Damage to any file of a data folder is named, or changes nothing; never other counts in silence.

The short form; `make damages` runs hundreds. A failure names the seed that repeats it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crash.damage_kinds import running, seeded
from crash.damages import Master, judge, judge_repair, make_master
from crash.damages_running import judge_running

SEEDS = [int(os.environ["HEADCOUNT_SEED"])] if "HEADCOUNT_SEED" in os.environ else range(6)


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Master:
    return make_master(tmp_path_factory.mktemp("master"))


@pytest.mark.parametrize("seed", SEEDS)
def test_damage_anywhere_is_said_or_changes_nothing(
    seed: int, master: Master, tmp_path: Path
) -> None:
    verdict = judge(master, tmp_path / "case", seeded(seed))
    assert verdict.faults == [], f"HEADCOUNT_SEED={seed}: {verdict}"


@pytest.mark.parametrize("seed", [1000 + seed for seed in SEEDS[:4]])
def test_a_repair_brings_the_counts_back_or_says_what_is_lost(
    seed: int, master: Master, tmp_path: Path
) -> None:
    verdict = judge_repair(master, tmp_path / "case", seeded(seed))
    assert verdict.faults == [], f"HEADCOUNT_SEED={seed - 1000}: {verdict}"


@pytest.mark.parametrize(
    "what",
    [
        "journals/*.sqlite removed",
        "store.sqlite cut",
        "catalog.sqlite zeros",
        "keys/*.keys removed",
        "store.sqlite replaced",
        "a fact's user",
        "a count",
    ],
)
def test_damage_under_a_running_server_is_said(what: str, master: Master, tmp_path: Path) -> None:
    verdict = judge_running(master, tmp_path / "case", running(master)[what])
    assert verdict.faults == []
    assert verdict.said != []
