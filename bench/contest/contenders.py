"""Who takes part: gives each contender with what it promises when it acknowledges."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.contest import engines
from bench.contest.entrants import Entrant, contender, headcount

__all__ = ["ALL", "HEADCOUNT", "Contender"]

HEADCOUNT = "Headcount"
_APPS = "bench.contest.apps"


@dataclass(frozen=True)
class Contender:
    """One of those who are measured.

    Attributes:
        name: what it is called in tables.
        durable: `yes`, or what a power failure takes of what was acknowledged.
        apart: where its counting differs from Headcount's by its design; empty for nowhere.
        start: starts it on an empty folder with so many workers.
        missing: what it lacks on this machine; empty if nothing.
    """

    name: str
    durable: str
    apart: str
    start: Callable[[Path, int], AbstractContextManager[Entrant]]
    missing: Callable[[], str]


def _packages_missing() -> str:
    return "" if engines.PYTHON.exists() else "its packages are not installed (`make contest` does)"


def _redis(fsync: str, durable: str) -> Contender:
    return Contender(
        f"FastAPI, Redis, fsync {fsync}",
        durable,
        "keeps everything in memory; a message id counts again when the month turns",
        contender(f"{_APPS}.redis", partial(engines.redis, fsync=fsync)),
        lambda: _packages_missing() or engines.redis_missing(),
    )


ALL = (
    Contender(HEADCOUNT, "yes", "", headcount, lambda: ""),
    Contender(
        "FastAPI, PostgreSQL",
        "yes",
        "",
        contender(f"{_APPS}.postgres", engines.postgres),
        lambda: _packages_missing() or engines.postgres_missing(),
    ),
    _redis("always", "yes"),
    _redis("everysec", "no: up to a second is lost"),
    Contender(
        "FastAPI, ClickHouse",
        "yes",
        "one worker, since ClickHouse runs inside of it; a message id counts again when the month"
        " turns; every reading counts anew",
        contender(f"{_APPS}.clickhouse", None, workers_max=1),
        _packages_missing,
    ),
)
