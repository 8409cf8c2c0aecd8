"""Usage and plan of workspaces as metrics: takes the store and the catalog, gives Prometheus' text.

Of the month that runs, and of a bounded number of workspaces, the oldest first: so a series does
not come and go. One whose counts cannot be read has none, and is counted; it is never a zero.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from prometheus_client.core import GaugeMetricFamily

from headcount.api.telemetry import text_of
from headcount.api.usage.month import workspace_month_of
from headcount.catalog import Catalog, Workspace
from headcount.counting.metrics import HEADLINES
from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.store.protocol import UsageStore

__all__ = ["WORKSPACES_SHOWN_MAX", "WorkspaceUsage"]

WORKSPACES_SHOWN_MAX = 100
"""Of more workspaces than these, those that were made last are not shown."""

_LABELS = ("workspace", "workspace_id")
_TIMES = 4


class WorkspaceUsage:
    """The usage of all workspaces, found out anew a fifth of the time at most.

    Args:
        store: where usage is read.
        catalog: knows workspaces and their plans.
        clock: the time, in milliseconds since 1970.
    """

    def __init__(self, store: UsageStore, catalog: Catalog, clock: Callable[[], int]) -> None:
        self._store = store
        self._catalog = catalog
        self._clock = clock
        self._found = ""
        self._until_s = 0.0

    async def text(self) -> str:
        """All of it; other requests are answered between one workspace and the next."""
        begun_s = time.monotonic()
        if begun_s >= self._until_s:
            # Whoever asks meanwhile gets what was found before.
            self._until_s = float("inf") if self._found else begun_s
            try:
                self._found = await self._find()
            finally:
                now_s = time.monotonic()
                self._until_s = now_s + _TIMES * (now_s - begun_s)
        return self._found

    async def _find(self) -> str:
        used = {
            each: GaugeMetricFamily(
                f"headcount_workspace_{each.name}",
                f"{each.title} of a workspace in the month that runs, so far.",
                labels=_LABELS,
            )
            for each in HEADLINES
        }
        planned = {
            each: GaugeMetricFamily(
                f"headcount_workspace_{each.name}_limit",
                f"{each.title} that the plan of a workspace includes in the month that runs; none"
                " where it sets no limit.",
                labels=_LABELS,
            )
            for each in HEADLINES
        }
        workspaces = sorted(self._catalog.workspaces(), key=lambda each: each.number)
        unreadable = 0
        for workspace in workspaces[:WORKSPACES_SHOWN_MAX]:
            labels = [workspace.name, workspace.id]
            try:
                totals, limits = self._read(workspace)
            except (DataFolderError, StorageUnavailableError):
                unreadable += 1
                continue
            for metric, total in zip(HEADLINES, totals, strict=True):
                used[metric].add_metric(labels, total)
                if (limit := limits.get(metric.name)) is not None:
                    planned[metric].add_metric(labels, limit)
            await asyncio.sleep(0)
        return text_of(
            *used.values(),
            *planned.values(),
            GaugeMetricFamily(
                "headcount_workspaces", "Workspaces that there are.", len(workspaces)
            ),
            GaugeMetricFamily(
                "headcount_workspaces_unreadable",
                "Workspaces whose usage is missing here, because it could not be read.",
                unreadable,
            ),
        )

    def _read(self, workspace: Workspace) -> tuple[list[int], dict[str, int | None]]:
        month = workspace_month_of(self._store, workspace.number, None, self._clock())
        counts = month.reading.workspace[: month.days]
        totals = [int(metric.of(counts).sum()) for metric in HEADLINES]
        return totals, self._catalog.plan_limits(workspace.number, month.last_day)
