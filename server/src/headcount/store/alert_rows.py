"""Writing what is told into the embedded store: takes a change, gives rows beside its counts.

An event and its marks are rows of the same transaction as the counts: a crash leaves both or none.
"""

from __future__ import annotations

import msgspec

from headcount.counting.alerts import Crossing, without_marked
from headcount.counting.metrics import HEADLINES
from headcount.counting.usage import Counts
from headcount.sqlite.rows import Ledger
from headcount.store.protocol import Change
from headcount.store.tables import ALERT_EVENT, ALERT_MARK, ARRIVAL, HIGH_WATER, QUOTA_REACHED

__all__ = ["EventBody", "erase_alerts", "write_alerts", "write_high_water"]

_FALLING = tuple(metric for metric in HEADLINES if metric.may_fall)


class EventBody(msgspec.Struct, frozen=True):
    """What stands in an event's row."""

    channels: tuple[int, ...]
    crossings: tuple[Crossing, ...]


def write_alerts(ledger: Ledger, change: Change) -> None:
    """Write what a change makes people hear of; what was told before is told by nothing again."""
    for event in change.alerts:
        left = without_marked(event, lambda place: ledger.get(ALERT_MARK, *place) is not None)
        if left is None or ledger.read(ALERT_EVENT, "WHERE uid = ?1", (left.uid,)):
            continue
        number = ledger.next_id(ALERT_EVENT)
        body = msgspec.json.encode(EventBody(left.channels, left.crossings)).decode()
        ledger.add(ALERT_EVENT, number, left.uid, left.workspace, left.at_ms, body)
        for place in left.places():
            ledger.put(ALERT_MARK, *place, number)
    for (workspace, source), at_ms in change.arrivals.items():
        ledger.put(ARRIVAL, workspace, source, at_ms)
    for reached in change.quotas_reached:
        place = reached.workspace, reached.period.number, reached.source, reached.metric
        if ledger.get(QUOTA_REACHED, *place) is None:
            ledger.put(QUOTA_REACHED, *place, reached.amount, reached.reached_at_ms, reached.past)


def write_high_water(
    ledger: Ledger, place: tuple[int, int, int], former: Counts, added: Counts
) -> None:
    """Keep what a metric had reached that falls with a change; nothing is written where none does.

    Args:
        ledger: the store's.
        place: workspace, period and source.
        former: the counts before.
        added: what is added to them.
    """
    for metric in _FALLING:
        if int(metric.of(added).sum()) < 0:
            reached = int(metric.of(former).sum())
            held = ledger.get(HIGH_WATER, *place, metric.name)
            if held is None or held[-1] < reached:
                ledger.put(HIGH_WATER, *place, metric.name, reached)


def erase_alerts(ledger: Ledger, workspace: int) -> None:
    """Delete what was told of a workspace, and what that was judged by."""
    for table in (ALERT_EVENT, ALERT_MARK, HIGH_WATER, ARRIVAL, QUOTA_REACHED):
        ledger.drop(table, "WHERE workspace = ?1", (workspace,))
