"""What tells goes on with all the rest where one part of it meets what is damaged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from headcount.alerting.channels import sealed, shown, webhook_config
from headcount.alerting.deliverer import Deliverer
from headcount.alerting.digests import Digests
from headcount.catalog import Catalog, Channel, NewDelivery
from headcount.catalog.entities import fresh_id
from headcount.clock import now_ms
from headcount.counting.alerts import AlertEvent
from headcount.counting.calendar import MS_PER_DAY, Period, day_of_ms
from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX
from headcount.store.opening import open_store
from headcount.store.protocol import Change
from headcount.troubles import Troubles
from headcount.wiring.alerting import AlertRounds
from support.damaged_counts import change_by_hand
from support.delivering import KEY, PACE, crossing
from support.scripted_receiver import Does, scripted_receiver

LONG_AGO_MS = now_ms() - 100 * MS_PER_DAY


class Telling:
    """A workspace with usage and a digest that is due, and the rounds of the process that tells."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store.sqlite"
        self.store = open_store(self.path)
        self.catalog = Catalog(folder / "catalog.sqlite")
        self.catalog.add_workspace("Shop", 0)
        # At noon, so that no other digest becomes due meanwhile.
        today = day_of_ms(now_ms())
        self.now_ms = today * MS_PER_DAY + 12 * 3_600_000
        ones = np.ones((DAYS_MAX, len(KINDS)), np.int64)
        counts = {(Period.of_day(today - 1), 1, 0): ones}
        self.store.commit(Change(counts=counts, counted_until_ms=self.now_ms))
        self.troubles = Troubles(None, "alert", lambda: self.now_ms)
        self.deliverer = Deliverer(
            self.catalog, self.store.alerts, lambda: KEY, lambda: self.now_ms, PACE
        )
        digests = Digests(self.catalog, self.store, lambda: self.now_ms)
        self.rounds = AlertRounds(self.catalog, self.deliverer, digests, self.troubles, lambda: KEY)
        self.found = 0

    def channel(self, url: str, name: str) -> Channel:
        config, channel_id = webhook_config(url, by_token=False, allow_private=True), fresh_id()
        return self.catalog.add_channel(
            1, channel_id=channel_id, name=name, kind="webhook", shown=shown(config),
            sealed=sealed(KEY, channel_id, config), digest="daily", now_ms=LONG_AGO_MS,
        )  # fmt: skip

    def finds(self, *channels: Channel) -> None:
        self.found += 1
        numbers = tuple(each.number for each in channels)
        what = (crossing(f"{self.found}"),)
        event = AlertEvent(f"evt_{self.found}", 1, self.now_ms, numbers, what)
        self.store.commit(Change(alerts=[event]))

    def looks_until(self, done: Callable[[], bool]) -> None:
        for _ in range(3_000):
            self.rounds.look()
            if done():
                return
            time.sleep(0.01)
            self.now_ms += 20
        raise AssertionError([self.said(), self.catalog.deliveries(1)])

    def said(self) -> dict[str, str]:
        return {each.kind: each.message for each in self.troubles.now()}

    def is_told(self, kind: str, count: int) -> bool:
        found = [each for each in self.catalog.deliveries(1) if each.kind == kind]
        return [each.state for each in found] == ["delivered"] * count


@pytest.fixture
def telling(tmp_path: Path) -> Iterator[Telling]:
    made = Telling(tmp_path)
    yield made
    made.deliverer.close()
    made.catalog.close()
    made.store.close()


def test_a_damaged_month_keeps_digests_back_and_nothing_else(telling: Telling) -> None:
    change_by_hand(telling.path, "usage", "revision", 1)
    with scripted_receiver() as receiver, scripted_receiver(lambda _: Does(500)) as fails:
        takes, refuses = telling.channel(receiver.url, "takes"), telling.channel(fails.url, "bad")
        old = NewDelivery(1, refuses.number, "evt_old", "alert", "{}")
        telling.catalog.add_delivery(old, LONG_AGO_MS)
        telling.catalog.drop_deliveries(refuses.number, LONG_AGO_MS)
        telling.finds(takes)
        telling.looks_until(lambda: telling.is_told("alert", 1))
        telling.finds(refuses)
        # What was sent is counted, what fails is named, and what is old is forgotten.
        telling.looks_until(lambda: "alerts_failing" in telling.said())
        assert "bad" in telling.said()["alerts_failing"]
        telling.looks_until(lambda: not telling.deliverer.answers)
        assert "evt_old" not in {each.event for each in telling.catalog.deliveries(1)}
        assert set(telling.said()) == {"alerts_failing", "digests_written"}
        assert telling.said()["digests_written"].startswith("Digests of Shop cannot be written: ")
        telling.catalog.change_channel(refuses.number, telling.now_ms, state="off")
        change_by_hand(telling.path, "usage", "revision", -1)
        telling.now_ms += 60_000
        telling.looks_until(lambda: bool(receiver.taken()[1:]))
        assert "digests_written" not in telling.said()


def test_what_was_written_down_is_sent_though_what_was_found_since_is_damaged(
    telling: Telling,
) -> None:
    with scripted_receiver(lambda number: Does(500) if number < 2 else Does()) as receiver:
        channel = telling.channel(receiver.url, "ops")
        telling.catalog.change_channel(channel.number, telling.now_ms, digest="none")
        telling.finds(channel)
        telling.rounds.look()
        telling.finds(channel)
        change_by_hand(telling.path, "alert_event", "created_at_ms", 1, "id = 2")
        telling.looks_until(lambda: telling.is_told("alert", 1))
        assert telling.said()["alerts_written"].startswith("New alerts are not sent for now: ")
        change_by_hand(telling.path, "alert_event", "created_at_ms", -1, "id = 2")
        telling.looks_until(lambda: telling.is_told("alert", 2))
        telling.looks_until(lambda: not telling.said())
