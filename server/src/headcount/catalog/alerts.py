"""Rules of alerts, the channels that tell them, and quotas: takes plain values, gives records.

Where a channel leads to, and its secrets, stand here sealed; who may open them is no matter of the
catalog. Of a channel that is removed they are erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from headcount.catalog.alert_entities import (
    AlertRuleRecord,
    Channel,
    ChannelKind,
    DigestWhen,
    QuotaRecord,
)
from headcount.catalog.delivery_log import DeliveringCatalog
from headcount.catalog.entities import clean_name, fresh_id
from headcount.catalog.schema import ALERT_RULE, CHANNEL, QUOTA
from headcount.counting.alerts import AlertKind
from headcount.errors import UsageError

__all__ = ["AlertingCatalog"]

_RULES_MAX, _CHANNELS_MAX = 200, 50


class AlertingCatalog(DeliveringCatalog):
    """Rules, channels and quotas."""

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
            if changed.removed_at_ms is not None:
                changed = replace(changed, sealed=b"")
                self._drop_waiting(number, now_ms)
            self._ledger.put(CHANNEL, *_row(changed))
        if changed.removed_at_ms is not None:
            self._empty_log()
        return changed

    def erase_removed_channels(self) -> None:
        """Erase what is sealed of channels that were removed by a version that kept it."""
        clause = "WHERE removed_at_ms IS NOT NULL AND length(sealed) > 0"
        if self._read(CHANNEL, f"{clause} LIMIT 1"):
            with self._transaction():
                for row in self._ledger.read(CHANNEL, clause):
                    self._ledger.put(CHANNEL, *_row(replace(_channel(row), sealed=b"")))
            self._empty_log()

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
