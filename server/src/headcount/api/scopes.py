"""Whose rows a query is about: the workspace, or its sources in the order of their ids.

Takes a month and the names of sources, gives ids, numbers, counts and first days, aligned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headcount.api.exchange import Caller
from headcount.api.grid import Indexes
from headcount.api.month import Month
from headcount.metering.usage import API_CALLS, Counts

__all__ = ["Scopes", "source_scopes", "workspace_scope"]


@dataclass(frozen=True, slots=True)
class Scopes:
    """Scopes in the order of their ids.

    Attributes:
        ids: what clients see; empty for the workspace.
        numbers: what counts are kept by; 0 for the workspace.
        counts: new by day, shape (S, 31, 5).
        first_days: first day of the month that has a row, 0 to 30; 31 for none.
    """

    ids: Sequence[str]
    numbers: Sequence[int]
    counts: Counts
    first_days: Indexes


def workspace_scope(month: Month) -> Scopes:
    """The workspace alone, which has a row for every day."""
    return Scopes([""], [0], month.reading.workspace[np.newaxis], np.zeros(1, np.intp))


def source_scopes(caller: Caller, month: Month) -> Scopes:
    """The sources that the month knows, each from its first day with an API call."""
    given = month.reading.source_numbers.tolist()
    given_ids = caller.services.directory.source_ids(caller.workspace.number, given)
    order = sorted(range(len(given)), key=given_ids.__getitem__)
    counts = month.reading.sources[order]
    used = counts[:, :, API_CALLS] > 0
    first_days = np.where(used.any(axis=1), used.argmax(axis=1), used.shape[1])
    return Scopes(
        [given_ids[place] for place in order],
        [given[place] for place in order],
        counts,
        first_days,
    )
