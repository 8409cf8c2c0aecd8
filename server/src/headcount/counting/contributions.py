"""Contributions: to which message each first-seen id, and each API call, is attributed, as counts.

Plain data: for each source and day how many of its messages, that were the first to bring
something, named which attributes. Each id is attributed once for each of its
scopes, to the message by which it was counted first, so the contributions to a count add up to it:
those to a source's count are of its own messages, those to a workspace's of all of its sources.
Where an id turns out to have come on an earlier day, its contribution stays, and `MOVED` takes one
from the later day and adds one to the earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headcount.counting.attributes import Attributes
from headcount.counting.keys import Slots
from headcount.counting.metrics import STORED

__all__ = [
    "COLUMNS",
    "OF_SOURCE",
    "OF_WORKSPACE",
    "Contributions",
    "DayOfContributions",
]

# What is counted by keys: each key is attributed when it is new.
_KEYED = [(metric, metric.column) for metric in STORED if metric.keys and metric.column is not None]

OF_SOURCE = {column: place for place, (_, column) in enumerate(_KEYED)}
OF_WORKSPACE = {
    column: place if metric.adds_up else len(_KEYED) + place - 1
    for place, (metric, column) in enumerate(_KEYED)
}
"""Which column of contributions adds up to which column of counts. Stored: what comes to a source's
counts, an API call first, which is one of its workspace too; then what comes to its workspace's."""

COLUMNS = max(OF_WORKSPACE.values()) + 1
assert COLUMNS == 7, "rows that are stored have as many"


class DayOfContributions(NamedTuple):
    """What the messages of one source on one day contributed.

    Attributes:
        workspace: its workspace's number.
        source: the source's number.
        day: of the month, 0 to 30.
        numbers: which attributes, shape (n,), perhaps some of them twice.
        counts: the contributions of each, shape (n, `COLUMNS`).
    """

    workspace: int
    source: int
    day: int
    numbers: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


class Contributions(NamedTuple):
    """All contributions of the messages of one source in a month.

    Attributes:
        attributes: which there were.
        days: of the month, 0 to 30, of each row, shape (n,).
        numbers: place of its attributes, shape (n,).
        counts: shape (n, `COLUMNS`).
    """

    attributes: Sequence[Attributes]
    days: Slots
    numbers: Slots
    counts: npt.NDArray[np.int64]
