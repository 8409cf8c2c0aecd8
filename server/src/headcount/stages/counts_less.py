"""What another copy of a partition lacks: takes the state that is shown and the one that goes on in
its place, gives by how much sums fall with it.

That is never so while everything that was counted is somewhere. It is the sign of a loss, or of
messages that were counted again in another order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from headcount.counting.calendar import Period
from headcount.counting.metrics import ANONYMOUS, API_CALLS, IDENTIFIED
from headcount.counting.usage import Counts
from headcount.stages.counts_packs import CountsStanding

__all__ = ["CountsLess", "less_than"]


class CountsLess(NamedTuple):
    """That another copy of a partition, which goes on in the place of the one that was shown, lacks
    something of what was shown.

    Attributes:
        partition: its name.
        lineage: of the copy.
        api_calls: by how many API calls sums have fallen.
        ids: by how many tracked ids.
        entries: how many entries of journals it never got, since nobody has them any more.
        since_ms, until_ms: when the latest of what each copy has was appended: what it lacks is of
            in between, or of shortly before.
    """

    partition: str
    lineage: str
    api_calls: int
    ids: int
    entries: int
    since_ms: int
    until_ms: int


def less_than(
    held: CountsStanding, new: CountsStanding, added: Mapping[tuple[Period, int, int], Counts]
) -> CountsLess | None:
    """What another copy of a partition lacks of what is held; None where that is nothing.

    Args:
        held: the state that is shown.
        new: that of the other copy.
        added: by scope, what is added to sums with it.
    """
    api_calls = ids = entries = 0
    for (_, _, source), counts in added.items():
        # On an earlier day than before is no less: so it is running totals.
        fell = np.minimum(counts.cumsum(axis=0), 0).min(axis=0)
        if source:
            api_calls -= int(fell[API_CALLS])
        else:
            ids -= int(fell[IDENTIFIED] + fell[ANONYMOUS])
    if new.partition.startswith("facts-"):
        # Of outboxes that were renewed the ids come again; of journals nothing does.
        entries = sum(
            max(0, last - new.positions.get(queue, 0)) for queue, last in held.positions.items()
        )
    if not (api_calls or ids or entries):
        return None
    moments = sorted((new.latest_ms, held.latest_ms))
    return CountsLess(new.partition, new.lineage, api_calls, ids, entries, *moments)
