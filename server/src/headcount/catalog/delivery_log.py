"""What became of every telling: takes what is to be told to a channel, gives what was.

It is written down once for each channel before anything is sent, together with how far the events
were read: so each is sent at least once, and nothing that was sent is forgotten. What nobody can be
told, for there is no channel, or too much waits for it, is written down as well: as dropped, and
why. It can be told later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from headcount.catalog.alert_entities import (
    NO_CHANNEL,
    Attempt,
    DeliveryRecord,
    DeliveryState,
    NewDelivery,
)
from headcount.catalog.base import CatalogFile
from headcount.catalog.schema import DELIVERY, META
from headcount.counting.calendar import MS_PER_DAY
from headcount.errors import UsageError

__all__ = ["TESTS_WAITING_MAX", "WAITING_MAX", "DeliveringCatalog"]

WAITING_MAX = 1_000
"""So many deliveries wait for one channel at most."""

TESTS_WAITING_MAX = 20
"""So many of them are tests at most."""

_TESTS_KEPT = 50
_UNTOLD_READ_MAX = 1_000
_ATTEMPTS_KEPT = 12
_EVENTS_READ = "alert_events_read"
_DELIVERIES_KEPT_MS = 90 * MS_PER_DAY
_OLD_TESTS = (
    "WHERE channel = ?1 AND kind = 'test' AND state <> 'waiting' AND id NOT IN"
    " (SELECT id FROM delivery WHERE channel = ?1 AND kind = 'test' ORDER BY id DESC LIMIT ?2)"
)


class DeliveringCatalog(CatalogFile):
    """Deliveries."""

    def events_read(self) -> int:
        """The number of the last event that was written down for its channels."""
        rows = self._read(META, "WHERE name = ?", _EVENTS_READ)
        return int(rows[0][1]) if rows else 0

    def take_events(
        self, new: Sequence[NewDelivery], upto: int, now_ms: int
    ) -> list[DeliveryRecord]:
        """Write down what is to be told to which channels, and how far events were read.

        Args:
            new: one for each event and channel; those that are there already stay as they are.
            upto: the number of the last event among them.
            now_ms: milliseconds since 1970, UTC.

        Returns:
            What stands there of each.
        """
        with self._transaction():
            held = self._ledger.get(META, _EVENTS_READ)
            made = [self._add_delivery(each, now_ms) for each in new]
            if held is None or int(held[1]) < upto:
                self._ledger.put(META, _EVENTS_READ, str(upto))
        return made

    def add_delivery(self, new: NewDelivery, now_ms: int) -> DeliveryRecord:
        """Write down one more thing to be told, unless the channel was told it before.

        Raises:
            UsageError: it is a test, and many wait for the channel already.
        """
        with self._transaction():
            if new.kind == "test":
                self._require_room_for_test(new.channel)
            return self._add_delivery(new, now_ms)

    def _require_room_for_test(self, channel: int) -> None:
        waiting = "WHERE channel = ? AND kind = 'test' AND state = 'waiting' LIMIT 1 OFFSET ?"
        if self._ledger.read(DELIVERY, waiting, (channel, TESTS_WAITING_MAX - 1)):
            raise UsageError(
                f"{TESTS_WAITING_MAX} tests wait for the channel already.",
                "The log says what becomes of them.",
            )
        self._ledger.drop(DELIVERY, _OLD_TESTS, (channel, _TESTS_KEPT))

    def _add_delivery(self, new: NewDelivery, now_ms: int) -> DeliveryRecord:
        clause = "WHERE event = ? AND channel = ?"
        if held := self._ledger.read(DELIVERY, clause, (new.event, new.channel)):
            return _delivery(held[0])
        why_not = self._why_not(new.channel)
        made = DeliveryRecord(
            self._ledger.next_id(DELIVERY), *new[:4], "dropped" if why_not else "waiting", now_ms,
            0, now_ms, now_ms if why_not else None,
            (Attempt(now_ms, 0, why_not, 0),) if why_not else (), new.body,
        )  # fmt: skip
        self._ledger.add(DELIVERY, *_delivery_row(made))
        return made

    def _why_not(self, channel: int) -> str:
        """Why nothing more can wait for a channel; empty where it can."""
        if channel == NO_CHANNEL:
            return "nobody was told: there was no channel"
        waiting = "WHERE channel = ? AND state = 'waiting' LIMIT 1 OFFSET ?"
        if self._ledger.read(DELIVERY, waiting, (channel, WAITING_MAX - 1)):
            return f"it was not told: {WAITING_MAX:,} others waited for it"
        return ""

    def untold(self, workspace: int | None = None) -> list[DeliveryRecord]:
        """What nobody was told, for there was no channel, of a workspace or of all."""
        clause = "WHERE channel = ?1 AND (?2 IS NULL OR workspace = ?2) ORDER BY id LIMIT ?3"
        values = NO_CHANNEL, workspace, _UNTOLD_READ_MAX
        return [_delivery(row) for row in self._read(DELIVERY, clause, *values)]

    def tell_untold(self, delivery: int, channels: Sequence[int], now_ms: int) -> DeliveryRecord:
        """Let something that nobody was told be told to channels that are there now.

        Returns:
            What is told to the first of them.

        Raises:
            UsageError: nothing is known of it.
        """
        with self._transaction():
            row = self._ledger.get(DELIVERY, delivery)
            if row is None:
                raise UsageError("There is no such delivery.", "See `headcount alert log`.")
            held = _delivery(row)
            made = [
                self._add_delivery(
                    NewDelivery(held.workspace, each, held.event, held.kind, held.body), now_ms
                )
                for each in channels
            ]
            self._ledger.drop(DELIVERY, "WHERE id = ?", (delivery,))
        return made[0]

    def add_tried(self, new: NewDelivery, attempt: Attempt, state: DeliveryState) -> None:
        """Write down something that was told at once, and what became of it."""
        with self._transaction():
            self._ledger.drop(DELIVERY, _OLD_TESTS, (new.channel, _TESTS_KEPT))
            made = DeliveryRecord(
                self._ledger.next_id(DELIVERY), *new[:4], state, attempt.at_ms, 1, attempt.at_ms,
                attempt.at_ms, (attempt,), new.body,
            )  # fmt: skip
            self._ledger.add(DELIVERY, *_delivery_row(made))

    def note_attempt(
        self,
        delivery: int,
        attempt: Attempt,
        *,
        state: DeliveryState,
        next_at_ms: int,
    ) -> None:
        """Write down what became of a try; nothing happens where it was dropped meanwhile."""
        with self._transaction():
            row = self._ledger.get(DELIVERY, delivery)
            if row is None:
                return
            held = _delivery(row)
            changed = replace(
                held,
                # A removed channel's stays dropped, unless it was sent all the same.
                state=state if held.state == "waiting" or state == "delivered" else held.state,
                attempts=held.attempts + 1,
                next_at_ms=next_at_ms,
                ended_at_ms=None if state == "waiting" else attempt.at_ms,
                log=(*held.log, attempt)[-_ATTEMPTS_KEPT:],
            )
            self._ledger.put(DELIVERY, *_delivery_row(changed))

    def send_again(self, delivery: int, now_ms: int) -> DeliveryRecord:
        """Let something be told again, under the name that it was told by.

        Raises:
            UsageError: nothing is known of it.
        """
        with self._transaction():
            row = self._ledger.get(DELIVERY, delivery)
            if row is None:
                raise UsageError("There is no such delivery.", "See `headcount alert log`.")
            again = replace(
                _delivery(row), state="waiting", attempts=0, next_at_ms=now_ms, ended_at_ms=None
            )
            self._ledger.put(DELIVERY, *_delivery_row(again))
        return again

    def drop_deliveries(self, channel: int, now_ms: int) -> None:
        """Tell a channel nothing of what waits for it."""
        with self._transaction():
            self._drop_waiting(channel, now_ms)

    def waiting_deliveries(self) -> list[DeliveryRecord]:
        """What is to be told, in the order in which it was written down."""
        clause = "WHERE state = 'waiting' ORDER BY id"
        return [_delivery(row) for row in self._read(DELIVERY, clause)]

    def deliveries(
        self, workspace: int, *, before: int | None = None, most: int = 100
    ) -> list[DeliveryRecord]:
        """What was told, and what is to be, the latest first.

        Args:
            workspace: whose, by number.
            before: only those with smaller ids; None for all.
            most: how many at most.
        """
        clause = "WHERE workspace = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"
        return [_delivery(row) for row in self._read(DELIVERY, clause, workspace, before, most)]

    def delivery(self, number: int) -> DeliveryRecord | None:
        """One of them by its id."""
        rows = self._read(DELIVERY, "WHERE id = ?", number)
        return _delivery(rows[0]) if rows else None

    def forget_deliveries(self, now_ms: int) -> None:
        """Forget what was told more than three months ago."""
        clause = "WHERE state <> 'waiting' AND ended_at_ms < ?"
        if self._read(DELIVERY, f"{clause} LIMIT 1", now_ms - _DELIVERIES_KEPT_MS):
            with self._transaction():
                self._ledger.drop(DELIVERY, clause, (now_ms - _DELIVERIES_KEPT_MS,))

    def _drop_waiting(self, channel: int, now_ms: int) -> None:
        clause = "WHERE channel = ? AND state = 'waiting'"
        for row in self._ledger.read(DELIVERY, clause, (channel,)):
            dropped = replace(_delivery(row), state="dropped", ended_at_ms=now_ms)
            self._ledger.put(DELIVERY, *_delivery_row(dropped))


def _delivery_row(record: DeliveryRecord) -> tuple[Any, ...]:
    values = {name: getattr(record, name) for name in DELIVERY.columns}
    values["log"] = msgspec.json.encode(record.log).decode()
    return tuple(values.values())


def _delivery(row: tuple[Any, ...]) -> DeliveryRecord:
    values = dict(zip(DELIVERY.columns, row, strict=True))
    values["log"] = msgspec.json.decode(values["log"], type=tuple[Attempt, ...])
    return DeliveryRecord(**values)
