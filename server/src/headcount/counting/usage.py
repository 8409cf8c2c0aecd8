"""What a store answers when usage is read: new counts by day, and when they are from.

Takes nothing, decides nothing: plain data between the stores and the readers, with the one piece
of arithmetic (running totals) that all readers share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headcount.counting.calendar import Period
from headcount.counting.facts import Rejection
from headcount.counting.libraries import LibraryUse
from headcount.counting.metrics import Metric

__all__ = ["DAYS_MAX", "Counts", "UsageReading", "WorkspaceReading", "all_of", "is_possible"]

DAYS_MAX = 31

Counts = npt.NDArray[np.int64]
"""Counts of one scope: new on each day of the period, shape (31, columns), the columns being those
of `headcount.counting.metrics`."""


def all_of(metrics: Sequence[Metric], counts: Counts) -> Counts:
    """Several metrics as the last axis of an array, out of one whose last axis is the columns."""
    return np.stack([metric.of(counts) for metric in metrics], axis=-1)


def is_possible(counts: Counts) -> bool:
    """Whether no count is below zero. Nothing that is counted makes one be: it is damage, or made
    by hand, and nothing can be learned from it."""
    return bool((counts >= 0).all())


@dataclass(frozen=True, slots=True)
class WorkspaceReading:
    """The usage of one workspace as a whole in one period, all from one moment.

    Attributes:
        period: the month it is about.
        first_period: month of the workspace's first usage ever; None without any.
        last_metered_day: latest day on which a live message of any workspace was received and
            metered (days since 1970); None before the first.
        counted_until_ms: messages acknowledged up to this moment are in these counts.
        revision: changes whenever a count of this workspace and period changes.
        workspace: counts of the workspace, shape (31, columns), new per day.
    """

    period: Period
    first_period: Period | None
    last_metered_day: int | None
    counted_until_ms: int
    revision: int
    workspace: Counts

    def workspace_totals(self) -> Counts:
        """Running totals of the workspace up to and including each day, shaped as `workspace`."""
        return np.cumsum(self.workspace, axis=0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class UsageReading(WorkspaceReading):
    """The same with all of its sources.

    Attributes:
        source_numbers: sources with usage in the period, ascending, shape (S,).
        sources: their counts, shape (S, 31, columns), new per day.
        rejected: rejections of the workspace's sources in the period, one entry for each
            (source, day, reason).
        conflicting: conflicting duplicates, one entry for each source and day.
        libraries: which libraries sent the admitted messages of its sources, by source and name;
            empty where nobody asked for them.
    """

    source_numbers: npt.NDArray[np.uint32]
    sources: npt.NDArray[np.int64]
    rejected: tuple[Rejection, ...]
    conflicting: tuple[Rejection, ...] = ()
    libraries: tuple[LibraryUse, ...] = ()

    def source_totals(self) -> npt.NDArray[np.int64]:
        """Running totals of each source up to and including each day, shaped as `sources`."""
        return np.cumsum(self.sources, axis=1, dtype=np.int64)
