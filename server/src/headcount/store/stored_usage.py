"""What readers ask of the embedded store: usage, and what it is attributed to.

Takes a connection that stands at one moment, gives readings of the rows as they were written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import apsw
import numpy as np

from headcount.counting.calendar import Period
from headcount.counting.conflicts import CONFLICTING
from headcount.counting.contributions import Contributions
from headcount.counting.facts import Rejection
from headcount.counting.libraries import USE_PREFIX, split_tallies
from headcount.counting.metrics import API_CALLS, KINDS
from headcount.counting.usage import DAYS_MAX, Counts, UsageReading, WorkspaceReading
from headcount.sqlite.rows import Row, Table, read_checked
from headcount.store import sql, writing
from headcount.store.contribution_rows import contributions_of
from headcount.store.counts import all_counts_of, counts_of
from headcount.store.tables import (
    ATTRIBUTES,
    CONFLICT,
    CONTRIBUTION,
    REJECTION,
    USAGE,
    WATERMARK,
)

__all__ = ["StoredAttribution", "usage_of", "workspace_usage_of"]


def workspace_usage_of(
    path: Path, db: apsw.Connection, workspace: int, period: Period
) -> WorkspaceReading:
    """The usage of a workspace as a whole in a period: one row, however many sources it has.

    Args:
        path: of the database, for errors.
        db: stands at one moment.
        workspace: which, by its number.
        period: the month.
    """
    place = (workspace, period.number, 0)
    found = [row[2:] for row in read_checked(path, db, USAGE, sql.OF_SOURCE, place)]
    return WorkspaceReading(*_whole(path, db, workspace, period, found))


def _whole(
    path: Path, db: apsw.Connection, workspace: int, period: Period, totals: Sequence[Row]
) -> tuple[Period, Period | None, int | None, int, int, Counts]:
    """What a reading says of a workspace as a whole, out of its row if there is one."""
    watermarks: dict[str, int] = dict(read_checked(path, db, WATERMARK))
    return (
        period,
        _first_period(path, db, workspace),
        watermarks.get(writing.LAST_METERED_DAY),
        watermarks.get(writing.COUNTED_UNTIL, 0),
        totals[0][1] if totals else 0,
        counts_of(totals[0][2]) if totals else np.zeros((DAYS_MAX, len(KINDS)), np.int64),
    )


def usage_of(
    path: Path, db: apsw.Connection, workspace: int, period: Period, *, libraries: bool = False
) -> UsageReading:
    """The usage of a workspace in a period.

    Args:
        path: of the database, for errors.
        db: stands at one moment.
        workspace: which, by its number.
        period: the month.
        libraries: whether to read who sent the messages too.
    """

    def read(table: Table, clause: str, bindings: Row) -> list[Row]:
        return list(read_checked(path, db, table, clause, bindings))

    place = (workspace, period.number)
    usage = [row[2:] for row in read(USAGE, f"{sql.OF_MONTH} ORDER BY source", place)]
    prefixed = (*place, USE_PREFIX)
    rejected = read(REJECTION, sql.REJECTIONS_OF_MONTH, prefixed)
    used = read(REJECTION, sql.USES_OF_MONTH, prefixed) if libraries else []
    conflicts = read(CONFLICT, f"{sql.OF_MONTH} ORDER BY source, day", place)
    totals = [row for row in usage if row[0] == 0]
    sources = usage[len(totals) :]  # source 0, the workspace itself, comes first
    return UsageReading(
        *_whole(path, db, workspace, period, totals),
        source_numbers=np.array([row[0] for row in sources], np.uint32),
        sources=all_counts_of([row[2] for row in sources]),
        rejected=tuple(Rejection(workspace, *row[2:]) for row in rejected),
        conflicting=tuple(
            Rejection(workspace, source, day, CONFLICTING, messages)
            for *_, source, day, messages in conflicts
        ),
        libraries=tuple(split_tallies(Rejection(workspace, *row[2:]) for row in used)[1]),
    )


def _first_period(path: Path, db: apsw.Connection, workspace: int) -> Period | None:
    clause = "WHERE workspace = ?1 AND source = 0 ORDER BY period"
    for row in read_checked(path, db, USAGE, clause, (workspace,)):
        # A month may hold nothing but duplicates of its neighbour's messages: no usage.
        if counts_of(row[-1])[:, API_CALLS].any():
            return Period(row[1])
    return None


class StoredAttribution:
    """To which messages the usage of a workspace is attributed; see `AttributedUsage`.

    Args:
        path: of the database, for errors.
        db: stands at one moment as long as this is used.
        workspace: which, by its number.
        periods: the months.
    """

    def __init__(
        self, path: Path, db: apsw.Connection, workspace: int, periods: Sequence[Period]
    ) -> None:
        self._path, self._db, self._workspace = path, db, workspace
        self.readings: Sequence[UsageReading] = [
            usage_of(path, db, workspace, each) for each in periods
        ]

    def of_source(self, source: int) -> Sequence[Contributions]:
        """The contributions of one source in each of the months."""
        return [self._of(each.period, source) for each in self.readings]

    def _of(self, period: Period, source: int) -> Contributions:
        place = (self._workspace, period.number, source)
        listed, days = (
            list(read_checked(self._path, self._db, table, clause, place))
            for table, clause in (
                (ATTRIBUTES, sql.OF_SOURCE),
                (CONTRIBUTION, f"{sql.OF_SOURCE} ORDER BY day"),
            )
        )
        return contributions_of(listed[0] if listed else None, days)
