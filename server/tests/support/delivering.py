"""A catalog with channels, a store with events, and what is told out of them, on a clock that goes
on as a test looks."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from headcount.alerting.channels import WebhookConfig, sealed, shown, webhook_config
from headcount.alerting.deliverer import Deliverer, DeliveryPace
from headcount.catalog import Catalog, Channel
from headcount.catalog.entities import fresh_id
from headcount.counting.alerts import AlertEvent, Crossing
from headcount.store.protocol import Change
from support.memory_store import Held, MemoryStore

__all__ = ["KEY", "PACE", "AlertsTold", "crossing"]

KEY = bytes(range(32))
PACE = DeliveryPace(first_s=0.01, most_s=0.05, attempts_max=60, channel_most_s=0.05)


def crossing(mark: str) -> Crossing:
    return Crossing(
        rule="r1", name="MTU", kind="count", metric="mtu", rule_number=1, source=0,
        period="2026-03-01", mark=mark, threshold=mark, value=12, target=10,
    )  # fmt: skip


class AlertsTold:
    """A catalog, a store, and what is told out of them."""

    def __init__(self, folder: Path) -> None:
        self.catalog = Catalog(folder / "catalog.sqlite")
        self.workspace = self.catalog.add_workspace("Shop", 0)
        self.store = MemoryStore(Held())
        self.now_ms = time.time_ns() // 1_000_000
        self.found = 0
        self.start()

    def start(self, pace: DeliveryPace = PACE) -> None:
        self.deliverer = Deliverer(
            self.catalog, self.store.alerts, lambda: KEY, lambda: self.now_ms, pace
        )

    def channel(
        self, url: str, name: str = "ops", workspace: int = 1
    ) -> tuple[Channel, WebhookConfig]:
        config = webhook_config(url, by_token=False, allow_private=True)
        channel_id = fresh_id()
        made = self.catalog.add_channel(
            workspace, channel_id=channel_id, name=name, kind="webhook", shown=shown(config),
            sealed=sealed(KEY, channel_id, config), digest="none", now_ms=self.now_ms,
        )  # fmt: skip
        return made, config

    def finds(self, *channels: int, workspace: int = 1) -> str:
        self.found += 1
        event = AlertEvent(
            f"evt_{self.found}", workspace, self.now_ms, channels, (crossing(f"{self.found}"),)
        )
        self.store.commit(Change(alerts=[event]))
        return event.uid

    def looks_until(self, done: Callable[[], bool]) -> None:
        """Look again and again, as time passes."""
        for _ in range(2_000):
            self.deliverer.look()
            if done():
                return
            time.sleep(0.005)
            self.now_ms += 20
        raise AssertionError([self.states(), self.deliverer.health])

    def states(self) -> list[str]:
        return [each.state for each in self.catalog.deliveries(1)][::-1]
