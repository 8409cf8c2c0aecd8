"""When sources of a cluster came to their quotas: takes what this node has seen, tells all nodes.

Each node refuses by what it has seen itself; but where a quota began is one moment for everybody,
and stands in the catalog that nodes have in common.
"""

from __future__ import annotations

from collections.abc import Callable

from headcount.alerting.written_down import written_down
from headcount.catalog import Catalog
from headcount.counting.months import current_period
from headcount.store.alert_protocol import AlertStore

__all__ = ["SharedQuotas"]


class SharedQuotas:
    """The quotas that were reached in the month that runs and the one before it.

    Args:
        catalog: the cluster's, open for changes.
        alerts: of this node's store.
        clock_ms: the time, in milliseconds since 1970.
    """

    def __init__(self, catalog: Catalog, alerts: AlertStore, clock_ms: Callable[[], int]) -> None:
        self._catalog = catalog
        self._alerts = alerts
        self._clock_ms = clock_ms
        self._told: set[tuple[int, int, int, str]] = set()

    def look(self, last_live_day: int | None) -> None:
        """Tell what is new.

        Args:
            last_live_day: the latest day of a live message, days since 1970; None before the first.

        Raises:
            DataFolderError: the catalog takes no change now; the next look tells it.
            StorageUnavailableError: the store cannot be read.
        """
        period = current_period(self._clock_ms(), last_live_day)
        found = {
            (each.workspace, each.period.number, each.source, each.metric): each
            for month in (period.shifted(-1), period)
            for each in self._alerts.quotas_reached(None, month)
        }
        new = found.keys() - self._told
        if new:
            written_down(lambda: self._catalog.note_quotas_reached([found[each] for each in new]))
        self._told = set(found)
