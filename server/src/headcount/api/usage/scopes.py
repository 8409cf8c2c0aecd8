"""Whose rows a query is about: the workspace, or its sources in the order of their ids.

Takes a month and the names of sources, gives ids, numbers, counts and first days, aligned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headcount.api.usage.grid import Indexes
from headcount.api.usage.month import MonthView, WorkspaceMonth
from headcount.api.wire.context import Caller
from headcount.counting.metrics import KINDS, STORED
from headcount.counting.usage import Counts

__all__ = ["QueryScopes", "source_scopes", "workspace_scope"]

_IN_ROWS = [KINDS.index(metric.name) for metric in STORED if metric.in_rows]


@dataclass(frozen=True, slots=True)
class QueryScopes:
    """Scopes in the order of their ids.

    Attributes:
        ids: what clients see; empty for the workspace.
        numbers: what counts are kept by; 0 for the workspace.
        counts: new by day, shape (S, 31, 5), in an order of their own.
        places: where each scope's counts are.
        first_days: first day of the month that has a row, 0 to 30; 31 for none.
    """

    ids: Sequence[str]
    numbers: Sequence[int]
    counts: Counts
    places: Indexes
    first_days: Indexes


def workspace_scope(month: WorkspaceMonth) -> QueryScopes:
    """The workspace alone, which has a row for every day."""
    first = np.zeros(1, np.intp)
    return QueryScopes([""], [0], month.reading.workspace[np.newaxis], first, first)


def source_scopes(caller: Caller, month: MonthView) -> QueryScopes:
    """The sources that the month knows, each from its first day of usage.

    An id never comes before an API call of its source; but in a cluster, whose partitions count
    them apart, it may be shown a moment earlier, and its row must be there with it.
    """
    given = month.reading.source_numbers.tolist()
    given_ids = caller.services.directory.source_ids(caller.workspace.number, given)
    order = sorted(range(len(given)), key=given_ids.__getitem__)
    used = np.any(month.reading.sources[:, :, _IN_ROWS] > 0, axis=2)
    first_days = np.where(used.any(axis=1), used.argmax(axis=1), used.shape[1])
    # Only the rows of a page are ever looked up, so the counts stay where they are.
    places = np.array(order, np.intp)
    return QueryScopes(
        [given_ids[place] for place in order],
        [given[place] for place in order],
        month.reading.sources,
        places,
        first_days[places],
    )
