"""A workspace with two months of usage, limits, and channels that are sent digests, on a clock that
tests move."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headcount.alerting.digests import Digests
from headcount.catalog import Catalog, Channel
from headcount.catalog.entities import fresh_id
from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.metrics import ADMITTED, API_CALLS, IDENTIFIED, KINDS
from headcount.counting.usage import DAYS_MAX
from headcount.store.protocol import Change, MeterStore
from support.memory_store import Held, MemoryStore

__all__ = ["FIRST_DAY", "DigestPlace"]

FIRST_DAY = parse_period("2026-03-01").first_day
HOUR_MS = 3_600_000


class DigestPlace:
    """A catalog with limits, a store with two months of usage, and a clock."""

    def __init__(self, folder: Path, store: MeterStore | None = None) -> None:
        self.catalog = Catalog(folder / "catalog.sqlite")
        self.catalog.add_workspace("Shop", 0)
        self.catalog.add_source(1, "web", 0)
        self.catalog.set_plan_limits(1, {"api_calls": 10_000}, from_day=0, now_ms=0)
        self.store = store or MemoryStore(Held())
        counts = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
        counts[:, API_CALLS] = counts[:, ADMITTED] = 100
        counts[:, IDENTIFIED] = 7
        for period in (Period.of_day(FIRST_DAY - 1), Period.of_day(FIRST_DAY)):
            of_month = counts.copy()
            of_month[28:] = 0
            self.store.commit(Change(counts={(period, 1, 0): of_month, (period, 1, 1): of_month}))
        self.now_ms = (FIRST_DAY + 9) * MS_PER_DAY + 12 * HOUR_MS
        self.digests = Digests(self.catalog, self.store, lambda: self.now_ms)

    def channel(self, digest: str, name: str = "", *, workspace: int = 1) -> Channel:
        return self.catalog.add_channel(
            workspace, channel_id=fresh_id(), name=name or digest, kind="email", shown="a@b.c",
            sealed=b"", digest=digest, now_ms=self.now_ms,  # type: ignore[arg-type]
        )  # fmt: skip

    def goes_on(self, days: float, *, counting: bool = True) -> None:
        for _ in range(round(days * 24)):
            self.now_ms += HOUR_MS
            if counting:
                self.store.commit(Change(counted_until_ms=self.now_ms))
            self.digests.look()

    def told(self) -> list[str]:
        return [each.event.rpartition("_")[2] for each in self.catalog.deliveries(1)][::-1]
