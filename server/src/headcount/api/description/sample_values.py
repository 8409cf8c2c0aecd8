"""What samples in the description are made of: values by the name of a member.

One small workspace in the last week of a November, so that the samples tell one story.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from headcount.counting.metrics import HEADLINES, KINDS, METRICS, REPORTED, Metric
from headcount.counting.usage import Counts

__all__ = ["SAMPLE_VALUES"]

_SOURCE = "5tGq0cVbN1xWm8RyKp3ZaL"
# A row of counts as a store keeps it, by column; what is new on two days, and totals of a month and
# of the one before it. A column that is added later is a zero here.
_TWO_DAYS = ["2026-11-01", "2026-11-02"]
_NEW = ((1_204, 150, 140, 50, 1_204), (1_327, 105, 98, 31, 1_329))
_NOW = (48_210, 1_210, 1_302, 578, 48_247)
_BEFORE = (45_109, 1_155, 1_240, 549, 45_120)


def _row(counts: Sequence[int]) -> Counts:
    return np.array([*counts, *[0] * (len(KINDS) - len(counts))], np.int64)


def _of(metrics: Iterable[Metric], counts: Counts) -> dict[str, Any]:
    return {metric.wire: metric.of(counts).tolist() for metric in metrics}


_COUNTS, _COUNTS_BEFORE = _of(METRICS, _row(_NOW)), _of(REPORTED, _row(_BEFORE))
_OF_TWO_DAYS = _of(METRICS, np.array([_row(day) for day in _NEW]).cumsum(axis=0))
_OUTCOMES = {
    "accepted": 48_210,
    "duplicate": 37,
    "rejected": 3,
    "rejectedByReason": {"no_user_anon_id": 3},
}


def _of_headlines(shape: str, values: Mapping[str, object]) -> dict[str, Any]:
    return {f"{shape}.{each.wire}": values[each.wire] for each in HEADLINES}


def _limit(now: int, *, is_over: bool) -> int:
    """A number that is one digit and noughts, below a count or well above it."""
    digits: int = 10 ** (len(str(now)) - 1)
    return now // digits * digits if is_over else (now // digits + 2) * digits


def _estimate(now: int) -> dict[str, int]:
    likely = now * 30 // 26
    return {"likely": likely, "low": likely - likely // 50, "high": likely + likely // 50}


_CHANGES = {wire: _COUNTS[wire] - before for wire, before in _COUNTS_BEFORE.items()}
_LIMITS = {each.wire: _limit(_COUNTS[each.wire], is_over=each.adds_up) for each in HEADLINES}
_BEYOND = {wire: _COUNTS[wire] - limit for wire, limit in _LIMITS.items()}

SAMPLE_VALUES: dict[str, Any] = {
    # Whose, and when.
    "period": "2026-11-01",
    "day": "2026-11-26",
    "timestamp": "2026-11-26T00:00:00.000Z",
    "periodStart": 1_793_491_200,
    "periodEnd": 1_796_083_200,
    "countedUntil": "2026-11-26T10:00:00.250Z",
    "createdAt": "2026-01-05T09:30:00.000Z",
    "from": "2026-11-01",
    "currentPeriod": "2026-11-01",
    "firstPeriod": "2026-01-01",
    "sourceId": _SOURCE,
    "afterSource": _SOURCE,
    "sourceName": "Website",
    "SourceRecord.id": _SOURCE,
    "SourceRecord.name": "Website",
    "SourceRecord.writeKey": "Vb2kQ7mXt9RsJw4LpZc6HdNf8YgEu1Ta",
    "NewSource.name": "Mobile app",
    "SourceChange.enabled": False,
    "SourceChange.name": ...,
    "SourceRecord.deletedAt": ...,
    "WorkspaceChange.name": "Shop, Europe",
    "WorkspaceRecord.id": "8sKd02LmQx7VbTn4YcRf1W",
    "WorkspaceRecord.name": "Shop",
    "tokenScope": "admin",
    "TokenRecord.id": "2nHj9PwEr5UzXo6AgDk7Ms",
    "TokenRecord.expiresAt": "2027-01-05T09:30:00.000Z",
    "TokenRecord.valid": False,
    "TokenRecord.revokedAt": "2026-11-20T12:00:00.000Z",
    "NewTokenBody.token": {"scope": "read", "valid": True, "expiresAt": ..., "revokedAt": ...},
    "LinkRecord.id": "6pQe1RtYu3IoSd8FgHj4Kl",
    "LinkRecord.name": "Board",
    "LinkRecord.view": "source",
    "LinkRecord.valid": True,
    "LinkRecord.period": ...,
    "LinkRecord.expiresAt": "2027-01-05T09:30:00.000Z",
    "LinkRecord.revokedAt": ...,
    "LinkRecord.lastUsedAt": "2026-11-26T09:50:00.000Z",
    "LinkBody.link": {"valid": False, "revokedAt": "2026-11-26T10:00:00.000Z"},
    "NewLinkBody.link": {"lastUsedAt": ..., "createdAt": "2026-11-26T10:00:00.000Z"},
    "NewLinkBody.path": "/page/view/hcl_" + "x" * 43,
    "NewLink.view": "workspace",
    "NewLink.name": "Board",
    "NewLink.period": ...,
    "NewLink.expiresAt": ...,
    # A rule that was reached, told by a webhook at the second try.
    "AlertRecord.id": "3wEr7TyUi9OpAs1DfGh5Jk",
    "AlertRecord.name": "MTU of the workspace",
    "kind": "count",
    "AlertRecord.metric": "mtu",
    "thresholds": ["80%", "100%", "120%"],
    "channelIds": [],
    "AlertRecord.quietHours": ...,
    "AlertRecord.sourceId": ...,
    "AlertRecord.sourceName": ...,
    "AlertRecord.enabled": True,
    "NewAlert.metric": "mtu",
    "NewAlert.thresholds": ["80%", "100%"],
    "AlertChange.thresholds": ["90%", "100%"],
    "NewAlert.sourceId": ...,
    "NewAlert.name": ...,
    "NewAlert.quietHours": ...,
    "NewAlert.channelIds": ...,
    "NewAlert.kind": ...,
    "AlertChange.enabled": ...,
    "AlertChange.name": ...,
    "AlertChange.quietHours": ...,
    "AlertChange.channelIds": ...,
    "ChannelRecord.id": "7zXc3VbNm5QwEr9TyUi1Op",
    "ChannelRecord.name": "ops",
    "ChannelRecord.kind": "webhook",
    "ChannelRecord.leadsTo": "https://hooks.example.com/…",
    "ChannelRecord.state": "on",
    "ChannelRecord.said": ...,
    "digest": "none",
    "NewChannelBody.secret": "whsec_" + "x" * 43 + "=",
    "NewChannel.name": "ops",
    "NewChannel.webhook": "https://hooks.example.com/usage",
    "ChannelChange.state": "off",
    "ChannelChange.digest": ...,
    "DeliveryEntry.id": 17,
    "DeliveryEntry.event": "evt_5f1c0a9be2d84376a1c05e7b",
    "DeliveryEntry.kind": "alert",
    "DeliveryEntry.channelId": "7zXc3VbNm5QwEr9TyUi1Op",
    "DeliveryEntry.channelName": "ops",
    "DeliveryEntry.title": "Headcount: Shop has reached 80% of the plan's 2,000 MTU.",
    "DeliveryEntry.lines": ["Shop has reached 80% of the plan's 2,000 MTU."],
    "DeliveryEntry.state": "delivered",
    "DeliveryEntry.madeAt": "2026-11-26T09:58:00.000Z",
    "DeliveryEntry.attempts": 2,
    "DeliveryEntry.nextAt": ...,
    "DeliveryTry.at": "2026-11-26T09:58:05.000Z",
    "DeliveryTry.said": "it answers 204",
    "DeliveryTry.tookMs": 140,
    "DeliveryTry.status": 204,
    "against": 1,
    "secret": "hct_" + "x" * 43,
    # Counts: numbers, and in rows of the usage API texts.
    **_COUNTS,
    **{
        f"{row}.{name}": str(count)
        for row in (
            "APICallSnapshotV1",
            "SourceAPICallSnapshotV1",
            "MtuSnapshotV1",
            "UsersPerSourceSnapshotV1",
        )
        for name, count in _COUNTS.items()
    },
    "DailyBody.days": _TWO_DAYS,
    "MonthColumns.days": _TWO_DAYS,
    **{f"Columns.{name}": counts for name, counts in _OF_TWO_DAYS.items()},
    "SummaryBody.previous": {
        "period": "2026-10-01",
        "day": "2026-10-26",
        "totals": _COUNTS_BEFORE,
    },
    "SourceTotals.previous": _COUNTS_BEFORE,
    **_of_headlines("TotalsChange", _CHANGES),
    **_of_headlines("Estimates", {wire: _estimate(now) for wire, now in _COUNTS.items()}),
    **_of_headlines("LimitsRecord", _LIMITS),
    **_of_headlines("NewLimits", _LIMITS),
    **_of_headlines("Overage", {wire: over if over > 0 else ... for wire, over in _BEYOND.items()}),
    "SummaryBody.compared": ...,
    "DatedPriceRecord.metric": HEADLINES[0].wire,
    "NewPrice.metric": HEADLINES[0].wire,
    "amount": "12.50",
    "currency": "USD",
    "PriceRecord.step": 1_000,
    "CostRecord.amount": "25.00",
    "CostRecord.steps": 2,
    "CostEstimate.likely": "50.00",
    "CostEstimate.low": "37.50",
    "CostEstimate.high": "62.50",
    "DatedLimitRecord.metric": HEADLINES[0].wire,
    "DatedLimitRecord.limit": _LIMITS[HEADLINES[0].wire],
    "inForceFrom": "2026-11-01",
    "setAt": "2026-10-28T14:00:00.000Z",
    **{f"Outcomes.{name}": value for name, value in _OUTCOMES.items()},
    "DayOutcomes.day": "2026-11-26",
    "ReachedQuota.metric": "apiCalls",
    "ReachedQuota.quota": 40_000,
    "ReachedQuota.reachedAt": "2026-11-22T14:05:00.000Z",
    "ReachedQuota.past": "mark",
    "DailyBody.rejected": _OUTCOMES["rejected"],
    "ForecastRecord.days": ["2026-11-26", "2026-11-27"],
    "ForecastRecord.likely": [1_934, 2_008],
    "ForecastRecord.low": [1_934, 1_981],
    "ForecastRecord.high": [1_934, 2_036],
    "ForecastRecord.learnedDays": 298,
    "ForecastRecord.learnedMonths": 9,
    "Library.name": "analytics.js",
    "Library.messages": 41_050,
    # A vendor that fell behind, so that a source stopped to forward.
    "NewForwarding.to": "segment",
    "NewForwarding.writeKey": "$VENDOR_WRITE_KEY",
    "ForwardingChange.state": "ending",
    "ForwardingRecord.to": "https://api.segment.io",
    "ForwardingRecord.whenFull": "stop",
    "ForwardingRecord.state": "full",
    "ForwardingRecord.stoppedAt": "2026-11-26T08:30:00.000Z",
    "ForwardingRecord.waitingMessages": 120_000,
    "ForwardingRecord.waitingBytes": 52_428_800,
    "ForwardingRecord.behindSeconds": 5_400.0,
    "ForwardingRecord.failing": "it answers 503",
    "ForwardingRecord.retryAt": "2026-11-26T10:05:00.000Z",
    "ForwardingRecord.sentence": "120,000 messages wait, the oldest for 1.5 hours.",
    "RequestCount": {"requests": 0, "messages": 0},
    "ForwardingOutcomes.delivered": {"requests": 3_910, "messages": 47_900},
    "ForwardingOutcomes.refused": {"requests": 1, "messages": 20},
    "RefusedCount": {"status": 400, "requests": 1, "messages": 20},
    # Pages.
    "current": "AAEAAAAAZm9vYmFyYmF6",
    "next": "AgEAAAAAYmF6Zm9vYmFy",
    "previous": "AQEAAAAAYmFyYmF6Zm9v",
    "RangeBody.next": {"from": "2026-12-01"},
    "totalEntries": 26,
    # Health.
    "status": "ok",
    "Behind.messages": 1_200,
    "Behind.seconds": 2.5,
    "Behind.caughtUpInSeconds": 4.0,
    "Behind.message": "1,200 messages wait to be counted, the oldest for 2.5 s.",
    "Readiness.meterSilentSeconds": ...,
    "Noted.kind": "set-aside",
    "Noted.since": "2026-11-26T08:00:00.000Z",
    "Noted.message": "3 messages wait aside.",
}
