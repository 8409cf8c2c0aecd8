"""The data folders of former formats that the repository keeps, and what is known of them.

Each was made by the version that had that format, as a server leaves it that is killed: two
workspaces, three sources, a closed month, an import, runs of keys, and a journal half drained. The
one of format 2 is that of format 1 as its version upgraded it, with limits of a plan set since, and
that of format 3 is that of format 2 as its version upgraded it.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

from headcount.counting.calendar import day_of_ms, parse_period
from support.oracle import Oracle, PlainFact

__all__ = ["FORMATS", "KNOWN", "PLAN_LIMITS", "facts_of", "metered_oracle", "unpack"]

_PLACE = Path(__file__).parents[1] / "data"

FORMATS = (1, 2, 3)
"""The former formats."""


def _known(number: int) -> Any:
    return json.loads((_PLACE / f"format-{number}" / "known.json").read_text("utf-8"))


KNOWN: dict[str, Any] = _known(1)
"""Their counts and secrets, and the facts that were metered and that wait, in order."""

PLAN_LIMITS: dict[int, dict[str, dict[str, int]]] = {
    1: {},
    2: _known(2)["planLimits"],
    3: _known(3)["planLimits"],
}
"""Format to workspace to the limits that were set."""


def unpack(folder: Path, number: int = 1) -> Path:
    """Lay the folder of a format down at a path."""
    folder.mkdir(mode=0o700, parents=True)
    with tarfile.open(_PLACE / f"format-{number}" / "folder.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def facts_of(which: str) -> list[PlainFact]:
    """The facts that were `"metered"`, or that are `"waiting"` in the journal."""
    return [PlainFact(*fact) for fact in KNOWN[which]]


def metered_oracle() -> Oracle:
    """An oracle that knows what was metered."""
    oracle = Oracle()
    closed = {(workspace, parse_period(text)) for workspace, text in KNOWN["sealed"]}
    for fact in facts_of("metered"):
        # Each month was closed as soon as it could be.
        oracle.sealed |= {month for month in closed if fact.day - month[1].last_day > 35}
        oracle.meter(fact, day_of_ms(KNOWN["nowMs"]))
    return oracle
