"""Taking along what a single machine has told, as its folder becomes a cluster's first node.

Takes its store and catalog, changes the new node's catalog alone, before the cluster begins: what
was told is told by nobody again, what was found and not yet written down is told by the cluster,
and its channels can be opened by every node that has the hash key.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from headcount.alerting.deliverer import Deliverer
from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.cluster.channel_keys import give_channel_key
from headcount.counting.hashing import IdHasher
from headcount.spool.spool_key import read_spool_key
from headcount.store.protocol import MeterStore

__all__ = ["take_alerts_along"]


def take_alerts_along(
    catalog: Catalog, store: MeterStore, spool_key: Path, hash_key: bytes
) -> None:
    """Put into a catalog, which is a copy of the single machine's, what its store has told.

    Args:
        catalog: the new node's, which is no cluster's yet.
        store: the single machine's.
        spool_key: where its key lies, under which channels are sealed.
        hash_key: the hash key of both.
    """
    with closing(Deliverer(catalog, store.alerts, bytes, now_ms)) as deliverer:
        while store.alerts.events(after=catalog.events_read(), most=1):
            deliverer.take_events()
    months = {(each.workspace, each.period) for each in store.months()}
    catalog.begin_told(
        [
            (workspace, rule, period.number, mark)
            for workspace, period in sorted(months)
            for rule, marks in store.alerts.marks(workspace, period).items()
            for mark in sorted(marks)
        ]
    )
    periods = sorted({period for _, period in months})
    reached = [each for of in periods for each in store.alerts.quotas_reached(None, of)]
    catalog.note_quotas_reached(reached)
    if catalog.channels() and spool_key.exists():
        key = read_spool_key(spool_key)
        give_channel_key(catalog, key, {IdHasher(hash_key).fingerprint: hash_key})
    catalog.begin_sharing(anew=True)
