"""What a day or a week was like: takes usage, gives what is sent to the channels that asked for it.

The first look after six o'clock (UTC) writes down yesterday's; a week's is written on Mondays; both
once all that came until midnight is counted. Each is known by its channel and day, so a start, or a
clock that is set, writes none twice. Charts are the page's, by the one description of them, and are
drawn when it is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import msgspec
import numpy as np

from headcount.catalog import Catalog, Channel, NewDelivery, limits_on
from headcount.charts import Point, Size, cumulative_chart, themed
from headcount.counting.calendar import MS_PER_DAY, Period, day_of_ms, day_text, second_text
from headcount.counting.forecast import FORMER_MONTHS, forecast_of
from headcount.counting.metrics import BY_NAME, HEADLINES, Metric
from headcount.counting.usage import Counts, is_possible
from headcount.errors import DamagedDataError
from headcount.store.protocol import UsageStore

__all__ = ["Digests", "digest_body"]

_AT_HOUR_MS = 6 * 3_600_000
_LOOK_EVERY_MS = 60_000
_MONDAY = 4  # 1970-01-01 was a Thursday
_EPOCH = date(1970, 1, 1)
_SOURCES_MAX = 10
_CHART = Size(480, 260)  # that its words can be read on a phone, where it is made narrower


class Digests:
    """The digests of all channels.

    Args:
        catalog: whose channels, limits and names.
        store: whose usage.
        clock_ms: the time, in milliseconds since 1970.

    Attributes:
        damaged: workspaces, by number, whose digests cannot be written, for what they are about is
            damaged; they are tried again about once a minute.
    """

    def __init__(self, catalog: Catalog, store: UsageStore, clock_ms: Callable[[], int]) -> None:
        self._catalog = catalog
        self._store = store
        self._clock_ms = clock_ms
        self._looked_at_ms = 0
        self._written: dict[int, int] = {}
        self.damaged: dict[int, DamagedDataError] = {}

    def look(self) -> None:
        """Write down what is due, save what `damaged` names.

        Raises:
            DataFolderError: the catalog cannot be read or written.
            StorageUnavailableError: the store cannot be read.
        """
        now_ms = self._clock_ms()
        if 0 <= now_ms - self._looked_at_ms < _LOOK_EVERY_MS:
            return
        waits = False
        channels, damaged = self._catalog.channels(), {}
        for channel in channels:
            day = _due(channel, now_ms)
            if day is None or self._written.get(channel.number) == day:
                continue
            try:
                is_written = self._write(channel, day, now_ms)
            except DamagedDataError as error:
                # Of one workspace: the others' digests do not wait for its repair.
                damaged[channel.workspace] = error
                continue
            if is_written:
                self._written[channel.number] = day
            waits |= not is_written
        self.damaged = damaged
        self._looked_at_ms = 0 if waits else now_ms

    def _write(self, channel: Channel, day: int, now_ms: int) -> bool:
        """Write one down, if it is due; False while what it is about is not counted yet."""
        # A channel of today has not missed this morning's.
        if channel.created_at_ms >= day * MS_PER_DAY + _AT_HOUR_MS:
            return True
        if not self._is_counted(channel.workspace, day):
            return False
        body = digest_body(self._catalog, self._store, channel, day)
        if body is not None:
            event = f"digest_{channel.id}_{day_text(day)}"
            new = NewDelivery(channel.workspace, channel.number, event, "digest", body)
            self._catalog.add_delivery(new, now_ms)
        return True

    def _is_counted(self, workspace: int, day: int) -> bool:
        """Whether all that came before a day is counted: after a start, a meter may be behind."""
        reading = self._store.read_usage(workspace, Period.of_day(day), sources=False)
        return reading.counted_until_ms >= day * MS_PER_DAY


def _due(channel: Channel, now_ms: int) -> int | None:
    """The day on which the digest that is due was to be sent; None for none."""
    day = day_of_ms(now_ms - _AT_HOUR_MS)
    if channel.state != "on" or channel.digest == "none":
        return None
    return day if channel.digest == "daily" else day - (day - _MONDAY) % 7


def digest_body(catalog: Catalog, store: UsageStore, channel: Channel, day: int) -> str | None:
    """A digest as JSON; None where there is no such workspace.

    Args:
        catalog: limits and names.
        store: usage.
        channel: whose it is.
        day: on which it is sent: it is about the day, or the seven days, before.

    Raises:
        DamagedDataError: the counts of its month are damaged.
    """
    workspace = catalog.workspace_by_number(channel.workspace)
    if workspace is None:
        return None
    days = 1 if channel.digest == "daily" else 7
    last = day - 1
    period = Period.of_day(last)
    months = [
        _former(store, workspace.number, period.shifted(-back))
        for back in range(FORMER_MONTHS, 0, -1)
    ]
    reading = store.read_usage(workspace.number, period)
    so_far = reading.workspace[: last - period.first_day + 1]
    limits = limits_on(catalog.dated_limits(workspace.number), last)
    span = day_text(last) if days == 1 else f"{day_text(day - days)} to {day_text(last)}"
    when = "on" if days == 1 else "from"
    lines, charts = [], []
    for metric in HEADLINES:
        added = _between(metric, so_far, months[-1], period, day - days)
        line, chart = _of_metric(
            metric, period, so_far, months, limits.get(metric.name),
            "" if added is None else f"; {added:,} {when} {span}",
        )  # fmt: skip
        lines.append(line)
        charts.append(chart)
    names = {each.number: each.name for each in catalog.sources(workspace.number)}
    api_calls = BY_NAME["api_calls"]
    totals = api_calls.of(reading.sources[:, : len(so_far)]).sum(axis=-1)
    largest = np.argsort(-totals)[:_SOURCES_MAX].tolist()
    notes = [
        f"{names.get(int(reading.source_numbers[at]), 'a source')}: {int(totals[at]):,}"
        f" {api_calls.label} this month"
        for at in largest
    ]
    if any(each is None or not is_possible(each) for each in (so_far, *months)):
        notes.append(
            "Counts are damaged, of this month or of one before it, and not learned from: see what"
            " headcount doctor says."
        )
    what = "day" if days == 1 else "week"
    event = f"digest_{channel.id}_{day_text(day)}"
    data: dict[str, Any] = {
        "id": event,
        "workspace": {"id": workspace.id, "name": workspace.name},
        "title": f"Headcount: {workspace.name}, the {what} of {span}",
        "lines": lines,
        "notes": notes,
        "charts": charts,
    }
    at_ms = day * MS_PER_DAY + _AT_HOUR_MS
    body = {"type": "headcount.digest", "timestamp": second_text(at_ms), "data": data}
    return msgspec.json.encode(body).decode()


def _former(store: UsageStore, workspace: int, period: Period) -> Counts | None:
    """The counts of a month before; None where they are damaged."""
    try:
        return store.read_usage(workspace, period, sources=False).workspace
    except DamagedDataError:
        return None


def _between(
    metric: Metric, so_far: Counts, former: Counts | None, period: Period, first: int
) -> int | None:
    """What was new from a day on, of this month or the one before; None where nobody can say."""
    total = int(metric.of(so_far)[max(0, first - period.first_day) :].sum())
    if first < period.first_day:
        if former is None:
            return None
        before = period.shifted(-1)
        total += int(metric.of(former)[first - before.first_day : before.length].sum())
    return total


def _of_metric(
    metric: Metric,
    period: Period,
    so_far: Counts,
    months: list[Counts | None],
    limit: int | None,
    added: str,
) -> tuple[str, dict[str, Any]]:
    """A sentence and a chart of one metric."""
    points, before = _points(metric, period, so_far), period.shifted(-1)
    now = points[-1].total
    # Whole days: the last of what is given counts as one that is not over.
    ahead = np.concatenate([so_far, np.zeros((1, so_far.shape[1]), np.int64)])
    forecast = None
    if len(so_far) < period.length:
        forecast = forecast_of(metric, period, ahead, months)
    share = f", {100 * now / limit:.0f}% of the plan's {limit:,}" if limit else ""
    line = f"{metric.title}: {now:,} this month so far{share}{added}."
    if forecast is not None:
        end = forecast.at_end
        line += f" At the month's end there will be {end.low:,} to {end.high:,}."
    previous = so_far[:0] if months[-1] is None else months[-1][: before.length]
    chart = cumulative_chart(
        points,
        unit=metric.label,
        days=period.length,
        previous=_points(metric, before, previous) if previous.any() else (),
        outlook=forecast.outlook(now) if forecast is not None else None,
        limit=limit,
        title=metric.title,
        size=_CHART,
    )
    return line, {"title": f"{metric.title} by day", "spec": themed(chart, dark=False)}


def _points(metric: Metric, period: Period, counts: Counts) -> list[Point]:
    first = _EPOCH + timedelta(days=period.first_day)
    totals = metric.of(counts).cumsum().tolist()
    return [Point(first + timedelta(days=at), total) for at, total in enumerate(totals)]
