"""A served API for tests: the real app over real files, with a clock that the test sets.

Takes counts in a readable form, gives a client that speaks to the app over a socket.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np

from headcount.api import ApiSettings, create_app
from headcount.backlog import Backlog
from headcount.catalog import FROM_THE_BEGINNING, Catalog, PlanLimits, Source, Workspace
from headcount.counting.calendar import MS_PER_DAY, Period, parse_moment_ms
from headcount.counting.facts import Rejection
from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX, UsageReading
from headcount.forwarding_status import ForwardingStatus
from headcount.store.opening import open_store
from headcount.store.protocol import Change
from headcount.troubles import Trouble
from support.served_app import plainly_served

NOVEMBER = Period(2026 * 12 + 10)
NOW_MS = parse_moment_ms("2026-11-23T10:00:00Z")


@dataclass
class Clock:
    """A clock that the test sets."""

    now_ms: int = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@dataclass
class Installation:
    """A data folder with one workspace, and an app over it."""

    folder: Path
    settings: ApiSettings = field(default_factory=lambda: ApiSettings(requests_per_minute=100_000))
    clock: Clock = field(default_factory=Clock)
    not_ready: list[str] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    backlog: Backlog | None = None
    forwarding: list[ForwardingStatus] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.store = open_store(self.folder / "store.sqlite")
        self.catalog = Catalog(self.folder / "catalog.sqlite")
        self.workspace = self.catalog.add_workspace("Acme", NOW_MS)
        self.read_token, self.read_secret = self.token("read")
        self.admin_token, self.admin_secret = self.token("admin")
        self.app: Any = create_app(
            store=self.store,
            catalog=self.catalog,
            clock=self.clock,
            not_ready=lambda: self.not_ready,
            troubles=lambda: self.troubles,
            backlog=lambda: self.backlog,
            server_metrics=lambda: "# TYPE headcount_up gauge\nheadcount_up 1\n",
            forwarding=lambda: self.forwarding,
            settings=self.settings,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.store.close()
        self.catalog.close()

    def token(self, scope: Any, expires_at_ms: int | None = None) -> Any:
        return self.catalog.add_token(self.workspace.number, scope, NOW_MS, expires_at_ms)

    def limit(
        self, limits: PlanLimits, number: int | None = None, from_day: int = FROM_THE_BEGINNING
    ) -> None:
        """Set limits of a workspace's plan, of this one unless a number is given."""
        owner = self.workspace.number if number is None else number
        self.catalog.set_plan_limits(owner, limits, from_day=from_day, now_ms=NOW_MS)

    def source(self, name: str, workspace: Workspace | None = None) -> Source:
        return self.catalog.add_source((workspace or self.workspace).number, name, NOW_MS)

    def use(
        self,
        source: Source,
        period: Period,
        days: dict[int, dict[str, int]],
        *,
        rejections: tuple[Rejection, ...] = (),
    ) -> None:
        """Add counts, new on days of the month (1 to 31), to a source and its workspace."""
        counts = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
        for day, kinds in days.items():
            for kind, number in kinds.items():
                counts[day - 1, KINDS.index(kind)] = number
        places = [(period, source.workspace, source.number), (period, source.workspace, 0)]
        change = Change(
            counts=dict.fromkeys(places, counts),
            rejections=rejections,
            counted_until_ms=self.clock.now_ms,
        )
        self.store.commit(change)

    def served(self) -> AbstractContextManager[str]:
        """The address of the app, served over a socket until the block ends."""
        return plainly_served(self.app)

    @contextmanager
    def client(self, secret: str | None = None) -> Iterator[httpx.Client]:
        """A client of the served app, with the reading token unless another is given."""
        headers = {"Authorization": f"Bearer {secret or self.read_secret}"}
        with self.served() as address, httpx.Client(base_url=address, headers=headers) as client:
            yield client


def day_of(period: Period, day: int) -> int:
    """Days since 1970 of a day of the month, 1 to 31."""
    return period.first_day + day - 1


def ms_of(period: Period, day: int) -> int:
    """Noon of a day of the month."""
    return day_of(period, day) * MS_PER_DAY + MS_PER_DAY // 2


class MemoryStore:
    """A store that is a dict of day counts, for tests that change usage thousands of times."""

    def __init__(self) -> None:
        self.new_calls: dict[tuple[Period, int], dict[int, int]] = {}
        self.last_metered_day: int | None = None
        self.counted_until_ms = NOW_MS

    def read_usage(
        self, workspace: int, period: Period, *, sources: bool = True, libraries: bool = False
    ) -> UsageReading:
        numbers = sorted({source for held, source in self.new_calls if held == period})
        sources = np.zeros((len(numbers), DAYS_MAX, len(KINDS)), np.int64)
        for place, number in enumerate(numbers):
            for day, calls in self.new_calls[period, number].items():
                sources[place, day, :] = calls
        return UsageReading(
            period=period,
            first_period=min((held for held, _ in self.new_calls), default=None),
            last_metered_day=self.last_metered_day,
            counted_until_ms=self.counted_until_ms,
            revision=0,
            workspace=sources.sum(axis=0),
            source_numbers=np.array(numbers, np.uint32),
            sources=sources,
            rejected=(),
        )

    def close(self) -> None:
        """Nothing to release."""
