"""Months that went beyond their plan, each by the limit of its own time.

Takes counts, limits with their days and the clock; gives a finding for each workspace that has a
plan. To use more than a plan includes is no fault of a data folder, so it is never a problem.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from headcount.catalog import DatedLimit, limits_on
from headcount.counting.metrics import HEADLINES
from headcount.counting.months import current_period, day_reached
from headcount.doctor.findings import Finding, ok
from headcount.store.counts import counts_of
from headcount.store.view import StoredUsage
from headcount.wording import count_text, number_of

__all__ = ["check_plans"]

_SHOWN_MAX = 13


def check_plans(
    usage: Sequence[StoredUsage],
    limits: Mapping[int, Sequence[DatedLimit]],
    names: Mapping[int, str],
    now_ms: int,
    last_metered_day: int | None,
) -> Iterator[Finding]:
    """Hold every month against the limits that were in force in it.

    Args:
        usage: the counts of all scopes.
        limits: workspace to all its limits.
        names: workspace to its name.
        now_ms: what the clock says, milliseconds since 1970.
        last_metered_day: the latest day of a live message; None before the first.
    """
    today = day_reached(now_ms, last_metered_day)
    current = current_period(now_ms, last_metered_day)
    beyond: defaultdict[int, list[dict[str, object]]] = defaultdict(list)
    for row in usage:
        if row.source or row.workspace not in limits or row.period > current:
            continue
        # A month that is over is judged by its last day, the one that runs by today.
        day = min(row.period.last_day, today)
        in_force = limits_on(limits[row.workspace], day)
        new = counts_of(row.counts)[: day - row.period.first_day + 1]
        for metric in HEADLINES:
            limit = in_force.get(metric.name)
            used = int(metric.of(new).sum())
            if limit is not None and used > limit:
                month = str(row.period)[:7]
                told = {"month": month, "metric": metric.wire, "used": used, "limit": limit}
                beyond[row.workspace].append(told | {"over": used - limit, "label": metric.label})
    for workspace in sorted(limits):
        yield _finding(names.get(workspace, str(workspace)), beyond[workspace])


def _finding(name: str, beyond: list[dict[str, object]]) -> Finding:
    if not beyond:
        return ok("plan", f"{name} has not used more than its plan included in any month.")
    latest = beyond[-_SHOWN_MAX:][::-1]
    told = ", ".join(
        f"{each['month']} {count_text(int(str(each['over'])))} {each['label']} over"
        f" {count_text(int(str(each['limit'])))}"
        for each in latest
    )
    more = len(beyond) - len(latest)
    ending = f", and {number_of(more, 'earlier one')}" if more else ""
    details = [{key: value for key, value in each.items() if key != "label"} for each in beyond]
    return ok("plan", f"{name} has used more than its plan included: {told}{ending}.", over=details)
