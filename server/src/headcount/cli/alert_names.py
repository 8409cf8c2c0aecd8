"""Rules and deliveries as commands show them: takes records, gives plain data with names in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headcount.clock import now_ms
from headcount.counting.alerts import ALERT_METRICS
from headcount.counting.calendar import day_of_ms
from headcount.terminal import moment_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headcount.catalog import AlertRuleRecord, Catalog, DeliveryRecord, Workspace

__all__ = ["AlertNames"]


class AlertNames:
    """Records with names in place of numbers."""

    def __init__(self, catalog: Catalog) -> None:
        from headcount.catalog import limits_on

        today = day_of_ms(now_ms())
        self._limits = {
            each.number: limits_on(catalog.dated_limits(each.number), today)
            for each in catalog.workspaces()
        }
        self._sources: Mapping[int, str] = {each.number: each.name for each in catalog.sources()}
        self._channels: Mapping[int, str] = {each.number: each.name for each in catalog.channels()}

    def told(self, owner: Workspace, rule: AlertRuleRecord) -> dict[str, Any]:
        """A rule."""
        from headcount.alerting.rules import needing_limit

        limits = self._limits.get(owner.number, {})
        return {
            "id": rule.id,
            "name": rule.name,
            "workspace": owner.name,
            "source": None if rule.source is None else self._sources.get(rule.source, "?"),
            "kind": rule.kind,
            "metric": ALERT_METRICS[rule.metric].wire,
            "thresholds": list(rule.thresholds),
            "needsLimit": needing_limit(rule.metric, rule.thresholds, limits),
            "quietHours": rule.quiet_hours if rule.kind == "silent" else None,
            "channels": [self._channels.get(each, "a removed one") for each in rule.channels],
            "enabled": rule.enabled,
            "createdAt": moment_text(rule.created_at_ms),
        }

    def delivery(self, owner: Workspace, record: DeliveryRecord) -> dict[str, Any]:
        """What was told to one channel."""
        import msgspec

        data = msgspec.json.decode(record.body)["data"]
        return {
            "id": record.id,
            "event": record.event,
            "kind": record.kind,
            "workspace": owner.name,
            "channel": self._channels.get(
                record.channel, "a removed one" if record.channel else "no channel"
            ),
            "title": data["title"],
            "at": moment_text(record.made_at_ms),
            "state": record.state,
            "attempts": record.attempts,
            "nextAt": moment_text(record.next_at_ms) if record.state == "waiting" else None,
            "tries": [
                {
                    "at": moment_text(each.at_ms),
                    "status": each.status or None,
                    "said": each.said,
                    "tookMs": each.took_ms,
                }
                for each in record.log
            ],
        }
