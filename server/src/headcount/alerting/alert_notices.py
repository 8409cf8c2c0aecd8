"""An event in words: takes what was found, gives the JSON that every channel is told.

It is made once, when an event is written down for its channels, and never changes; what a person
reads is made of it (`notice_page`), so that all channels say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from headcount.catalog import DatedPrice, prices_on
from headcount.counting.alerts import ALERT_METRICS, SHARES, AlertEvent, Crossing
from headcount.counting.calendar import day_of_ms, parse_period, second_text
from headcount.counting.cost import cost_of, money_text
from headcount.wording import month_text

__all__ = [
    "alert_body",
    "moment_words",
    "sentence",
]


def moment_words(at_ms: int) -> str:
    """A moment for people, such as `2026-11-26 08:10 UTC`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def alert_body(
    event: AlertEvent,
    workspace: tuple[str, str],
    sources: Mapping[int, tuple[str, str]],
    prices: Sequence[DatedPrice] = (),
) -> str:
    """An event as JSON, as every channel gets it.

    Args:
        event: what was found.
        workspace: the workspace's id and name.
        sources: the ids and names of its sources, by number.
        prices: all of its plan's, with their days.
    """
    crossings = [
        _crossing_data(each, sources.get(each.source, ("", "a source that is gone")))
        for each in event.crossings
    ]
    of_whole = workspace[1]
    sentences = [
        sentence(each, sources.get(each.source, ("", "a source"))[1] if each.source else of_whole)
        for each in event.crossings
    ]
    for data, said, crossing in zip(crossings, sentences, event.crossings, strict=True):
        data["text"] = said
        if costs := _costs(crossing, prices, day_of_ms(event.at_ms)):
            currency, amounts = costs
            data["overageCost"] = {
                "currency": currency,
                **{n: f"{a:f}" for n, a in amounts.items()},
            }
            data["text"] += _cost_sentence(currency, amounts)
    data = {
        "id": event.uid,
        "workspace": {"id": workspace[0], "name": workspace[1]},
        "title": _title(of_whole, event.crossings, sentences),
        "imported": any(each.imported for each in event.crossings),
        "crossings": crossings,
    }
    body = {"type": "headcount.alert", "timestamp": second_text(event.at_ms), "data": data}
    return msgspec.json.encode(body).decode()


def _costs(
    crossing: Crossing, prices: Sequence[DatedPrice], today: int
) -> tuple[str, dict[str, Decimal]] | None:
    """What use beyond the plan costs, now or at the month's end; None where nothing is charged."""
    if crossing.source or crossing.limit is None or crossing.kind not in ("count", "forecast"):
        return None
    day = min(today, parse_period(crossing.period).last_day)
    price = prices_on(prices, day).get(crossing.metric)
    if price is None:
        return None
    counts = {"now": crossing.value}
    if crossing.kind == "forecast":
        ends = {"likely": crossing.likely, "low": crossing.low, "high": crossing.high}
        counts = {name: count for name, count in ends.items() if count is not None}
    amounts = {name: cost_of(int(n), crossing.limit, price).amount for name, n in counts.items()}
    return (price.currency, amounts) if any(amounts.values()) else None


def _cost_sentence(currency: str, amounts: Mapping[str, Decimal]) -> str:
    told = {name: money_text(amount, currency) for name, amount in amounts.items()}
    if "now" in told:
        return f" That is {told['now']} beyond the plan so far."
    return (
        f" Beyond the plan that will be about {told['likely']} ({told['low']} to {told['high']})."
    )


def _crossing_data(crossing: Crossing, source: tuple[str, str]) -> dict[str, Any]:
    data: dict[str, Any] = {
        "rule": {"id": crossing.rule, "name": crossing.name},
        "kind": crossing.kind,
        "metric": ALERT_METRICS[crossing.metric].wire,
        "source": {"id": source[0], "name": source[1]} if crossing.source else None,
        "period": crossing.period,
        "imported": crossing.imported,
    }
    if crossing.threshold:
        data |= {
            "threshold": crossing.threshold,
            "value": crossing.value,
            "target": crossing.target,
            "planLimit": crossing.limit,
        }
    if crossing.kind == "forecast":
        data["forecast"] = {
            "low": crossing.low, "likely": crossing.likely, "high": crossing.high,
        }  # fmt: skip
    if crossing.kind == "unusual":
        data |= {"day": crossing.day, "value": crossing.value, "usual": crossing.usual}
    if crossing.since_ms is not None:
        data["silentSince"] = second_text(crossing.since_ms)
    return data


def sentence(crossing: Crossing, scope: str) -> str:
    """What was found, for people.

    Args:
        crossing: what.
        scope: the name of the source or workspace.
    """
    label, month = ALERT_METRICS[crossing.metric].label, month_text(crossing.period)
    if crossing.kind == "silent":
        said = f"Nothing has come from {scope} since {moment_words(crossing.since_ms or 0)}."
    elif crossing.kind == "unusual":
        weekday = f"{date.fromisoformat(crossing.day):%A}"
        said = (
            f"{scope} had {_number(crossing.value)} {label} on {crossing.day}; a {weekday} usually"
            f" has {_number(crossing.usual or 0)}."
        )
    elif crossing.metric in SHARES:
        said = (
            f"{_number(crossing.value)} % of the messages of {scope} in {month} are"
            f" {label.removesuffix(' messages')}: the threshold of {crossing.threshold} is reached."
        )
    elif crossing.kind == "forecast":
        said = (
            f"{scope} is going to reach {_of(crossing)} {label} in {month}: at its end there will"
            f" be {_number(crossing.low or 0)} to {_number(crossing.high or 0)}, most likely"
            f" {_number(crossing.likely or 0)}."
        )
    else:
        said = f"{scope} has reached {_of(crossing)} {label} in {month}: {_number(crossing.value)}."
    return said + (" An import brought it." if crossing.imported else "")


def _of(crossing: Crossing) -> str:
    if crossing.limit is None or not crossing.threshold.endswith("%"):
        return _number(crossing.target)
    return f"{crossing.threshold} of the plan's {crossing.limit:,}"


def _number(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")


def _title(workspace: str, crossings: Sequence[Crossing], sentences: Sequence[str]) -> str:
    if len(sentences) == 1:
        return f"Headcount: {sentences[0]}"[:200]
    reached = [
        f"{ALERT_METRICS[each.metric].label} {each.threshold or each.kind}" for each in crossings
    ]
    by_import = " (by an import)" if all(each.imported for each in crossings) else ""
    listed = f"Headcount: {workspace}: {', '.join(reached)}"
    return listed[: 200 - len(by_import)] + by_import
