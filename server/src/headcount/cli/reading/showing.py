"""Usage for people: takes rows and a summary, gives headings, lines of a table and a caption."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from headcount.cli.reading.usage_rows import Query, Row
from headcount.counting.calendar import Period, day_text, parse_period
from headcount.counting.cost import money_text
from headcount.counting.metrics import HEADLINES, REPORTED
from headcount.wording import change_text, count_text, month_text, percent_text, range_text

__all__ = ["by_use", "caption", "headings", "line_of", "month_words", "rows_of_last_day"]


def headings(query: Query) -> tuple[str, ...]:
    """Headings of a table, as `print_table` takes them."""
    scope = ("source",) if query.by == "source" else ()
    return ("day", *scope, *(f"{metric.label}#" for metric in query.metrics))


def line_of(query: Query, row: Row) -> tuple[str, ...]:
    """A row as texts, under `headings`."""
    scope = (row["source_name"] or row["source_id"],) if query.by == "source" else ()
    counts = (row[metric.name] for metric in query.metrics)
    texts = ("" if count is None else f"{count:,}" for count in counts)
    return (row["day"].isoformat(), *scope, *texts)


def rows_of_last_day(rows: Sequence[Row]) -> list[Row]:
    """The rows of the last day that there is."""
    return [row for row in rows if row["day"] == rows[-1]["day"]]


def by_use(query: Query, rows: Sequence[Row]) -> list[Row]:
    """Rows day by day, the largest first within each."""
    first = query.headlines[0].name
    return sorted(rows, key=lambda row: (row["day"], -(row[first] or 0)))


def month_words(period: Period) -> str:
    """A month as people say it, such as November 2026."""
    return month_text(str(period))


def caption(period: Period, summary: Mapping[str, Any] | None) -> Iterator[str]:
    """What a person should know about a table of usage, in lines.

    Args:
        period: the month that it shows.
        summary: the answer of Headcount's own summary of that month; None from another server.
    """
    if summary is None:
        yield f"{month_words(period)}, UTC."
        return
    month = summary["month"]
    until = datetime.fromisoformat(month["countedUntil"]).astimezone(UTC)
    yield f"{month_words(period)}, UTC; counted up to {until:%Y-%m-%d %H:%M:%S}."
    before = summary.get("previous")
    if before is not None:
        # Against the month that runs, this one is compared up to the same day.
        now = summary.get("compared", month)
        changes = " and ".join(
            f"{metric.label} {_change(before['totals'][metric.wire], now['totals'][metric.wire])}"
            for metric in REPORTED
            if metric.headline
        )
        other = parse_period(before["period"])
        name = "the month before" if other == period.shifted(-1) else month_words(other)
        here = "" if now is month else f" ({now['day']} here)"
        yield f"Against {name}, up to {before['day']}{here}: {changes}."
    yield from _plan(summary)
    yield from _estimates(period, summary)


def _plan(summary: Mapping[str, Any]) -> Iterator[str]:
    totals, limits = summary["month"]["totals"], summary["planLimits"]
    costs = summary.get("overageCost", {})
    shares = [
        _of_plan(metric.label, totals[metric.wire], limit, costs.get(metric.wire))
        for metric in HEADLINES
        if (limit := limits.get(metric.wire)) is not None
    ]
    if shares:
        yield f"Used of the plan: {', '.join(shares)}."
    ahead = [
        f"{metric.label} about {_money(each['likely'], each)}"
        f" ({_money(each['low'], each)} to {_money(each['high'], each)})"
        for metric in HEADLINES
        if (each := summary.get("estimatedOverageCost", {}).get(metric.wire))
    ]
    if ahead:
        yield f"Beyond the plan by the month's end: {', '.join(ahead)}."


def _money(amount: str, of: Mapping[str, Any]) -> str:
    return money_text(Decimal(amount), of["currency"])


def _of_plan(label: str, used: int, limit: int, cost: Mapping[str, Any] | None) -> str:
    share = f"{percent_text(used, limit)} of " if limit else ""
    charged = f", {_money(cost['amount'], cost)}" if cost else ""
    over = (
        f" ({count_text(used - limit)} over {count_text(limit)}{charged})" if used > limit else ""
    )
    return f"{label} {share or f'{count_text(used)} of '}{count_text(limit)}{over}"


def _estimates(period: Period, summary: Mapping[str, Any]) -> Iterator[str]:
    told = summary.get("estimates", {})
    estimates = [
        f"{metric.label} about {count_text(each['likely'])}"
        + (f" ({ends})" if (ends := range_text(each["low"], each["high"])) else "")
        for metric in HEADLINES
        if (each := told.get(metric.wire))
    ]
    if estimates:
        last_day = day_text(period.last_day)
        yield f"Estimate for {last_day}, right in four cases of five: {', '.join(estimates)}."


def _change(before: int, now: int) -> str:
    share = change_text(now, before)
    if now == before:
        return share
    sign = "+" if now > before else ""
    return f"{sign}{count_text(now - before)} ({share})"
