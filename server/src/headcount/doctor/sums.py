"""The sums that a node of a cluster shows: whether they are what partitions have told it.

Takes the node's own store, in which nothing is counted: it holds what each partition counts, and
the sum of all. A sum that is not right is what people would be billed by.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from headcount.counting.calendar import Period
from headcount.counting.usage import Counts
from headcount.doctor.findings import Finding, ok, problem
from headcount.store.counts import counts_of
from headcount.store.runs import Run
from headcount.store.view import StoreView
from headcount.wording import number_of

__all__ = ["check_sums"]

_REMEDY = (
    "Stop this node, then: headcount doctor --repair. The next start makes them anew of what"
    " partitions have counted; nothing is counted there."
)
_NAMED_MAX = 3


def check_sums(store: StoreView[Run]) -> Iterator[Finding]:
    """Hold what this node shows against what its partitions have told it.

    Args:
        store: the node's own.
    """
    faults = list(islice(store.faults(), _NAMED_MAX))
    for fault in faults:
        yield problem("sums", f"What this node shows is damaged: {fault}.", _REMEDY)
    if faults:
        return
    sums: dict[tuple[int, Period, int], Counts] = {}
    told = set()
    for partition, row in store.mirrored():
        told.add(partition)
        place = row.workspace, row.period, row.source
        held = sums.get(place)
        counts = counts_of(row.counts)
        sums[place] = counts if held is None else held + counts
    wrong = []
    for row in store.usage():
        place = row.workspace, row.period, row.source
        expected = sums.pop(place, None)
        counts = counts_of(row.counts)
        if (counts != (0 if expected is None else expected)).any():
            wrong.append(place)
    wrong += [place for place, counts in sums.items() if np.any(counts)]
    for workspace, period, source in sorted(wrong)[:_NAMED_MAX]:
        of = f"source {source} of " if source else ""
        yield problem(
            "sums",
            f"What this node shows of {of}workspace {workspace} in {str(period)[:7]} is not the sum"
            f" of what partitions have counted ({number_of(len(wrong), 'such row')}).",
            _REMEDY,
            workspace=workspace,
            source=source,
            period=str(period),
        )
    if not wrong:
        yield ok(
            "sums",
            f"What this node shows is the sum of {number_of(len(told), 'partition')}.",
            partitions=len(told),
        )
