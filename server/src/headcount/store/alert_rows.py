"""Writing what is told into the embedded store: takes a change, gives rows beside its counts.

An event and its marks are rows of the same transaction as the counts: a crash leaves both or none.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from headcount.counting.alerts import Crossing, without_marked
from headcount.counting.metrics import HEADLINES
from headcount.counting.usage import Counts
from headcount.errors import DamagedDataError
from headcount.sqlite.rows import Ledger
from headcount.store.protocol import Change
from headcount.store.tables import ALERT_EVENT, ALERT_MARK, ARRIVAL, HIGH_WATER, QUOTA_REACHED

__all__ = ["EventBody", "erase_alerts", "write_alerts", "write_high_water"]

_FALLING = tuple(metric for metric in HEADLINES if metric.may_fall)

_AT_MARK, _AT_QUOTA = (f"WHERE {table.where_key}" for table in (ALERT_MARK, QUOTA_REACHED))


class EventBody(msgspec.Struct, frozen=True):
    """What stands in an event's row."""

    channels: tuple[int, ...]
    crossings: tuple[Crossing, ...]


def write_alerts(ledger: Ledger, change: Change) -> None:
    """Write what a change makes people hear of; what was told before is told by nothing again.

    A row of these that is damaged stays as it is, for whoever reads it to say so: counts are
    written with them, and must not wait for its repair.
    """
    for event in change.alerts:
        left = without_marked(event, lambda place: ledger.holds(ALERT_MARK, _AT_MARK, place))
        if left is None or ledger.holds(ALERT_EVENT, "WHERE uid = ?1", (left.uid,)):
            continue
        number = ledger.next_id(ALERT_EVENT)
        body = msgspec.json.encode(EventBody(left.channels, left.crossings)).decode()
        ledger.add(ALERT_EVENT, number, left.uid, left.workspace, left.at_ms, body)
        for place in left.places():
            ledger.put(ALERT_MARK, *place, number)
    for (workspace, source), at_ms in change.arrivals.items():
        with suppress(DamagedDataError):
            ledger.put(ARRIVAL, workspace, source, at_ms)
    for reached in change.quotas_reached:
        place = reached.workspace, reached.period.number, reached.source, reached.metric
        if not ledger.holds(QUOTA_REACHED, _AT_QUOTA, place):
            ledger.put(QUOTA_REACHED, *place, reached.amount, reached.reached_at_ms, reached.past)


def write_high_water(
    ledger: Ledger, place: tuple[int, int, int], former: Counts, added: Counts
) -> None:
    """Keep what a metric had reached that falls with a change; nothing is written where none does,
    nor where what was kept before is damaged.

    Args:
        ledger: the store's.
        place: workspace, period and source.
        former: the counts before.
        added: what is added to them.
    """
    for metric in _FALLING:
        if int(metric.of(added).sum()) < 0:
            reached = int(metric.of(former).sum())
            with suppress(DamagedDataError):
                held = ledger.get(HIGH_WATER, *place, metric.name)
                if held is None or held[-1] < reached:
                    ledger.put(HIGH_WATER, *place, metric.name, reached)


def erase_alerts(ledger: Ledger, workspace: int) -> None:
    """Delete what was told of a workspace, and what that was judged by."""
    for table in (ALERT_EVENT, ALERT_MARK, HIGH_WATER, ARRIVAL, QUOTA_REACHED):
        ledger.drop(table, "WHERE workspace = ?1", (workspace,))
