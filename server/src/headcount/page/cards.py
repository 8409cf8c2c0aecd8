"""Where usage stands: the large figures, their change, what drives them, the limit, the outlook.

Takes a month's totals and days, gives what one card shows; every estimate with its range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from headcount.api.v1.plan_prices import CostRecord
from headcount.api.v1.summary import CostEstimate
from headcount.counting.cost import money_text
from headcount.counting.forecast import Forecast
from headcount.counting.metrics import Metric
from headcount.page.figures import ChangeText, change_of, day_text, short_day_text
from headcount.wording import count_text, month_text, percent_text, range_text

__all__ = ["Against", "Driver", "EstimateText", "LimitUse", "UsageCard", "drivers_of", "usage_card"]

_YOUNG = (
    "An estimate for the month\N{RIGHT SINGLE QUOTATION MARK}s end needs at least four complete"
    " days of usage."
)


@dataclass(frozen=True, slots=True)
class EstimateText:
    """A forecast in words.

    Attributes:
        label: what is estimated.
        likely: the middle of it.
        range: where four of five would lie; empty where days were too much alike to tell.
    """

    label: str
    likely: str
    range: str


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How much of the plan is used.

    Attributes:
        limit: what it includes in a month.
        share: used of it, in words.
        over: how much more than it was used; 0 while it is not more.
        permille: used of it in thousandths, at most 1000, for a bar.
        permille_ahead: what is estimated to be used at the month's end, in the same way.
        reached: the day on which it was reached, in words; None while it was not.
    """

    limit: int
    share: str
    over: int
    permille: int
    permille_ahead: int
    reached: str | None


@dataclass(frozen=True, slots=True)
class Driver:
    """A source that stands out.

    Attributes:
        label: for what.
        name: the source's.
        figure: in words.
        share: of the workspace's count, in words; empty where there is none to name.
    """

    label: str
    name: str
    figure: str
    share: str


@dataclass(frozen=True, slots=True)
class Against:
    """What a count is held against.

    Attributes:
        now: the count, over the days that are compared.
        before: the other month's.
        words: what stands there, such as `40 in October 2026`.
    """

    now: int
    before: int
    words: str


@dataclass(frozen=True, slots=True)
class UsageCard:
    """One large figure and what belongs to it.

    Attributes:
        key: names what is counted, in addresses and elements.
        label: what is counted, as a heading.
        unit: the same within a sentence.
        may_fall: whether what a day brings may be less than nothing.
        total: so far.
        change: against the other month; None without one.
        compared: what it is held against, in words.
        drivers: the sources that stand out.
        limit: None without one.
        cost: of what was used beyond it, in words; empty without a price, and while nothing was.
        cost_ahead: of what will be by the month's end, in words; empty where that cannot be told.
        estimates: of the month's end, then of the limit; none for a month that is over, or too
            young.
        forecast: what the estimates are made of; None without any.
        no_estimate: why estimates are missing of a month with usage, or why they are learned from
            less than there was; empty where nothing is to be said.
    """

    key: str
    label: str
    unit: str
    may_fall: bool
    total: int
    change: ChangeText | None
    compared: str
    drivers: Sequence[Driver]
    limit: LimitUse | None
    cost: str
    cost_ahead: str
    estimates: Sequence[EstimateText]
    forecast: Forecast | None
    no_estimate: str


def usage_card(
    metric: Metric,
    *,
    days: Sequence[str],
    totals: Sequence[int],
    runs: bool,
    forecast: Forecast | None,
    damaged: Sequence[str] = (),
    against: Against | None,
    sources: Sequence[tuple[str, int, int]] = (),
    limit: int | None,
    cost: CostRecord | None = None,
    cost_ahead: CostEstimate | None = None,
) -> UsageCard:
    """The standing of one metric.

    Args:
        metric: what is counted.
        days, totals: the days so far and the running total of each.
        runs: whether it is the current month.
        forecast: of the days to come; None where nothing can be told.
        damaged: first days of months that it could not be learned from.
        against: what it is held against; None without another month.
        sources: name, count so far and how much more than in the other month, of each.
        limit: of the plan.
        cost: of what was used beyond it; None where nothing is charged.
        cost_ahead: of what will be used beyond it; None where that cannot be told.
    """
    now = totals[-1]
    ahead = now if forecast is None else forecast.at_end.likely
    use = None if limit is None else _limit_use(now, ahead, limit, days, totals)
    today = date.fromisoformat(days[-1])
    estimates = [] if forecast is None else _estimates(forecast, today, use)
    return UsageCard(
        metric.option,
        metric.title,
        metric.label,
        metric.may_fall,
        now,
        None if against is None else change_of(against.now, against.before),
        "" if against is None else against.words,
        drivers_of(sources, now, compared=against is not None),
        use,
        "" if cost is None else money_text(Decimal(cost.amount), cost.currency),
        "" if cost_ahead is None else _cost_ahead(cost_ahead),
        estimates,
        forecast,
        _no_estimate(damaged, days[0], is_missing=forecast is None) if runs and now else "",
    )


def _no_estimate(damaged: Sequence[str], first_day: str, *, is_missing: bool) -> str:
    if first_day in damaged:
        return "There is no estimate: counts of this month are damaged. headcount doctor says more."
    words = ""
    if damaged:
        named = ", ".join(month_text(each) for each in damaged)
        words = f"Nothing is learned from {named} and before, where counts are damaged."
    if is_missing:
        words = f"{_YOUNG} {words}"
    return words.strip()


def _cost_ahead(cost: CostEstimate) -> str:
    likely, low, high = (
        money_text(Decimal(each), cost.currency) for each in (cost.likely, cost.low, cost.high)
    )
    return likely if low == high else f"{likely} ({low} to {high})"


def drivers_of(
    sources: Sequence[tuple[str, int, int]], whole: int, *, compared: bool
) -> list[Driver]:
    """The largest source, and the one that moved the count most against the other month.

    Args:
        sources: as for `usage_card`.
        whole: the workspace's count.
        compared: whether there is another month.
    """
    if not sources or whole == 0:
        return []
    name, now, _ = max(sources, key=lambda each: each[1])
    # A source may have more tracked users than its workspace: one is known elsewhere.
    share = percent_text(now, whole) if now <= whole else ""
    found = [Driver("Largest source", name, count_text(now), share)]
    name, _, more = max(sources, key=lambda each: abs(each[2]))
    if compared and more:
        sign = "+" if more > 0 else ""
        found.append(Driver("Moved most", name, f"{sign}{count_text(more)}", ""))
    return found


def _limit_use(
    now: int, ahead: int, limit: int, days: Sequence[str], totals: Sequence[int]
) -> LimitUse:
    reached = None
    if now >= limit:
        reached = day_text(
            next(day for day, total in zip(days, totals, strict=True) if total >= limit)
        )
    over = max(0, now - limit)
    if limit == 0:
        return LimitUse(limit, "all", over, 1000, 1000, reached)
    permille, permille_ahead = (min(1000, 1000 * each // limit) for each in (now, ahead))
    return LimitUse(limit, percent_text(now, limit), over, permille, permille_ahead, reached)


def _estimates(forecast: Forecast, today: date, use: LimitUse | None) -> list[EstimateText]:
    end = forecast.at_end
    last_day = short_day_text(today + timedelta(len(forecast.days) - 1))
    spread = range_text(end.low, end.high)
    found = [EstimateText(f"Estimate for {last_day}", f"about {count_text(end.likely)}", spread)]
    if use is None or use.reached is not None:
        return found
    reach = forecast.reaches(use.limit)

    def named(day: int) -> str:
        return short_day_text(today.replace(day=day))

    label = f"Limit of {count_text(use.limit)}"
    if reach.earliest is None:
        found.append(EstimateText(label, "not this month", "in four of five cases at least"))
    elif reach.likely is None:
        found.append(EstimateText(label, "not this month", f"or from {named(reach.earliest)}"))
    elif reach.latest is None:
        found.append(
            EstimateText(
                label,
                f"about {named(reach.likely)}",
                f"{named(reach.earliest)} at the earliest, or not this month",
            )
        )
    elif reach.earliest == reach.latest:
        found.append(EstimateText(label, f"about {named(reach.likely)}", "on that day"))
    else:
        between = f"{named(reach.earliest)} to {named(reach.latest)}"
        found.append(EstimateText(label, f"about {named(reach.likely)}", between))
    return found
