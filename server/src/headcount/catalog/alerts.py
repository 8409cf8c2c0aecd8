"""Rules of alerts, the channels that tell them, and what became of every telling: takes plain
values, gives records.

What is told is written down once for each channel before anything is sent, together with how far
the events were read: so each is sent at least once, and nothing that was sent is forgotten. Where a
channel leads to, and its secrets, stand here sealed; who may open them is no matter of the catalog.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from headcount.catalog.alert_entities import (
    AlertRuleRecord,
    Attempt,
    Channel,
    ChannelKind,
    DeliveryRecord,
    DeliveryState,
    DigestWhen,
    NewDelivery,
    QuotaRecord,
)
from headcount.catalog.base import CatalogFile
from headcount.catalog.entities import clean_name, fresh_id
from headcount.catalog.schema import ALERT_RULE, CHANNEL, DELIVERY, META, QUOTA
from headcount.counting.alerts import AlertKind
from headcount.counting.calendar import MS_PER_DAY
from headcount.errors import UsageError

__all__ = ["AlertingCatalog"]

_RULES_MAX, _CHANNELS_MAX = 200, 50
_ATTEMPTS_KEPT = 12
_EVENTS_READ = "alert_events_read"
_DELIVERIES_KEPT_MS = 90 * MS_PER_DAY


class AlertingCatalog(CatalogFile):
    """Rules, channels, deliveries and quotas."""

    # Rules

    def add_alert_rule(
        self,
        workspace: int,
        *,
        source: int | None,
        name: str,
        kind: AlertKind,
        metric: str,
        thresholds: Sequence[str],
        quiet_hours: int,
        channels: Sequence[int],
        now_ms: int,
    ) -> AlertRuleRecord:
        """Make a rule.

        Args:
            workspace: whose usage, by number.
            source: one source of it; None for the whole workspace.
            name: what people call it.
            kind, metric, thresholds, quiet_hours: as for `AlertRule`; thresholds in the spelling
                of `parse_threshold`.
            channels: numbers of those that tell; none for all that the workspace has.
            now_ms: milliseconds since 1970, UTC.

        Raises:
            UsageError: the name cannot be used, or there are too many rules.
        """
        name = clean_name("rule", name)
        with self._transaction():
            clause = "WHERE workspace = ? AND removed_at_ms IS NULL"
            held = self._ledger.read(ALERT_RULE, clause, (workspace,))
            if len(held) >= _RULES_MAX:
                raise UsageError(
                    f"The workspace has {_RULES_MAX} rules already.",
                    "Remove one: headcount alert remove",
                )
            made = AlertRuleRecord(
                self._ledger.next_id(ALERT_RULE), fresh_id(), workspace, source, name, kind,
                metric, tuple(thresholds), quiet_hours, tuple(channels), True, now_ms, None,
            )  # fmt: skip
            self._ledger.add(ALERT_RULE, *_rule_row(made))
        return made

    def change_alert_rule(self, number: int, **changes: Any) -> AlertRuleRecord:
        """Change a rule's name, thresholds, quiet hours, channels, or whether it is on.

        What it looks at stays: what was told of that was told.

        Raises:
            UsageError: there is no such rule, or the name cannot be used.
        """
        if "name" in changes:
            changes["name"] = clean_name("rule", changes["name"])
        with self._transaction():
            row = self._ledger.get(ALERT_RULE, number)
            if row is None or row[-1] is not None:
                raise UsageError("There is no such rule.", "See `headcount alert list`.")
            changed = replace(_rule(row), **changes)
            self._ledger.put(ALERT_RULE, *_rule_row(changed))
        return changed

    def remove_alert_rule(self, number: int, now_ms: int) -> None:
        """Judge by a rule no more.

        Raises:
            UsageError: there is no such rule.
        """
        self.change_alert_rule(number, removed_at_ms=now_ms)

    def alert_rules(self, workspace: int | None = None) -> list[AlertRuleRecord]:
        """The rules of a workspace, or of all, in the order in which they were made."""
        clause = "WHERE (?1 IS NULL OR workspace = ?1) AND removed_at_ms IS NULL ORDER BY number"
        return [_rule(row) for row in self._read(ALERT_RULE, clause, workspace)]

    def alert_rule(self, workspace: int, id_or_name: str) -> AlertRuleRecord | None:
        """The rule of that id, else the first of that name."""
        rules = self.alert_rules(workspace)
        named = [each for each in rules if each.name == id_or_name.strip()]
        return next((each for each in rules if each.id == id_or_name), None) or (
            named[0] if named else None
        )

    # Channels

    def add_channel(
        self,
        workspace: int,
        *,
        channel_id: str,
        name: str,
        kind: ChannelKind,
        shown: str,
        sealed: bytes,
        digest: DigestWhen,
        now_ms: int,
    ) -> Channel:
        """Make a channel.

        Args:
            workspace: whose alerts it tells, by number.
            channel_id: its id, which what is sealed is tied to; from `fresh_id`.
            name: unique among the workspace's channels.
            kind: how it tells.
            shown: where to, without a secret.
            sealed: all that is needed to tell it.
            digest: how often it is sent a digest.
            now_ms: milliseconds since 1970, UTC.

        Raises:
            UsageError: the name is taken or cannot be used, or there are too many.
        """
        name = clean_name("channel", name)
        with self._transaction():
            clause = "WHERE workspace = ? AND removed_at_ms IS NULL"
            held = [_channel(row) for row in self._ledger.read(CHANNEL, clause, (workspace,))]
            if any(each.name == name for each in held):
                raise UsageError(
                    f'There is already a channel named "{name}".',
                    "Choose another name, or see `headcount channel list`.",
                )
            if len(held) >= _CHANNELS_MAX:
                raise UsageError(
                    f"The workspace has {_CHANNELS_MAX} channels already.",
                    "Remove one: headcount channel remove",
                )
            made = Channel(
                self._ledger.next_id(CHANNEL), channel_id, workspace, name, kind, shown, sealed,
                digest, "on", "", now_ms, now_ms, None,
            )  # fmt: skip
            self._ledger.add(CHANNEL, *_row(made))
        return made

    def change_channel(self, number: int, now_ms: int, **changes: Any) -> Channel:
        """Change where a channel leads to, its state, or when it is sent a digest.

        Raises:
            UsageError: there is no such channel.
        """
        with self._transaction():
            row = self._ledger.get(CHANNEL, number)
            if row is None or row[-1] is not None:
                raise UsageError("There is no such channel.", "See `headcount channel list`.")
            changed = replace(_channel(row), changed_at_ms=now_ms, **changes)
            self._ledger.put(CHANNEL, *_row(changed))
            if changed.removed_at_ms is not None:
                self._drop_waiting(number, now_ms)
        return changed

    def _drop_waiting(self, channel: int, now_ms: int) -> None:
        clause = "WHERE channel = ? AND state = 'waiting'"
        for row in self._ledger.read(DELIVERY, clause, (channel,)):
            dropped = replace(_delivery(row), state="dropped", ended_at_ms=now_ms)
            self._ledger.put(DELIVERY, *_delivery_row(dropped))

    def channels(self, workspace: int | None = None) -> list[Channel]:
        """The channels of a workspace, or of all, in the order in which they were made."""
        clause = "WHERE (?1 IS NULL OR workspace = ?1) AND removed_at_ms IS NULL ORDER BY number"
        return [_channel(row) for row in self._read(CHANNEL, clause, workspace)]

    def channel(self, workspace: int, id_or_name: str) -> Channel | None:
        """The channel of that id, else the one of that name."""
        found = self.channels(workspace)
        wanted = id_or_name.strip()
        return next((each for each in found if each.id == wanted), None) or next(
            (each for each in found if each.name == wanted), None
        )

    # Deliveries

    def events_read(self) -> int:
        """The number of the last event that was written down for its channels."""
        rows = self._read(META, "WHERE name = ?", _EVENTS_READ)
        return int(rows[0][1]) if rows else 0

    def take_events(self, new: Sequence[NewDelivery], upto: int, now_ms: int) -> None:
        """Write down what is to be told to which channels, and how far events were read.

        Args:
            new: one for each event and channel; those that are there already stay as they are.
            upto: the number of the last event among them.
            now_ms: milliseconds since 1970, UTC.
        """
        with self._transaction():
            held = self._ledger.get(META, _EVENTS_READ)
            for each in new:
                self._add_delivery(each, now_ms)
            if held is None or int(held[1]) < upto:
                self._ledger.put(META, _EVENTS_READ, str(upto))

    def add_delivery(self, new: NewDelivery, now_ms: int) -> DeliveryRecord:
        """Write down one more thing to be told, unless the channel was told it before."""
        with self._transaction():
            return self._add_delivery(new, now_ms)

    def _add_delivery(self, new: NewDelivery, now_ms: int) -> DeliveryRecord:
        clause = "WHERE event = ? AND channel = ?"
        if held := self._ledger.read(DELIVERY, clause, (new.event, new.channel)):
            return _delivery(held[0])
        made = DeliveryRecord(
            self._ledger.next_id(DELIVERY), *new[:4], "waiting", now_ms, 0, now_ms, None, (),
            new.body,
        )  # fmt: skip
        self._ledger.add(DELIVERY, *_delivery_row(made))
        return made

    def add_tried(self, new: NewDelivery, attempt: Attempt, state: DeliveryState) -> None:
        """Write down something that was told at once, and what became of it."""
        with self._transaction():
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

    # Quotas

    def set_quota(
        self, source: int, metric: str, amount: int | None, past: str, now_ms: int
    ) -> None:
        """Set what a source may use in a month; None takes the quota away.

        Raises:
            UsageError: the catalog is a cluster's, and there is an amount.
        """
        with self._transaction():
            if amount is None:
                self._ledger.drop(QUOTA, "WHERE source = ?1 AND metric = ?2", (source, metric))
            else:
                self._ledger.put(QUOTA, source, metric, amount, past, now_ms)

    def quotas(self) -> list[QuotaRecord]:
        """The quotas of all sources."""
        return [QuotaRecord(*row) for row in self._read(QUOTA, "ORDER BY source, metric")]


def _row(record: Channel) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in CHANNEL.columns)


def _channel(row: tuple[Any, ...]) -> Channel:
    return Channel(*row)


def _rule_row(rule: AlertRuleRecord) -> tuple[Any, ...]:
    values = {name: getattr(rule, name) for name in ALERT_RULE.columns}
    values["thresholds"] = msgspec.json.encode(rule.thresholds).decode()
    values["channels"] = msgspec.json.encode(rule.channels).decode()
    values["enabled"] = int(rule.enabled)
    return tuple(values.values())


def _rule(row: tuple[Any, ...]) -> AlertRuleRecord:
    values = dict(zip(ALERT_RULE.columns, row, strict=True))
    values["thresholds"] = msgspec.json.decode(values["thresholds"], type=tuple[str, ...])
    values["channels"] = msgspec.json.decode(values["channels"], type=tuple[int, ...])
    values["enabled"] = bool(values["enabled"])
    return AlertRuleRecord(**values)


def _delivery_row(record: DeliveryRecord) -> tuple[Any, ...]:
    values = {name: getattr(record, name) for name in DELIVERY.columns}
    values["log"] = msgspec.json.encode(record.log).decode()
    return tuple(values.values())


def _delivery(row: tuple[Any, ...]) -> DeliveryRecord:
    values = dict(zip(DELIVERY.columns, row, strict=True))
    values["log"] = msgspec.json.decode(values["log"], type=tuple[Attempt, ...])
    return DeliveryRecord(**values)
