"""What a cluster has told, as its nodes agree upon it: takes events that any of them has found,
gives each crossing once.

Every node judges what it shows, so several find one crossing. Its mark stands in the one catalog,
which is changed by comparison: whoever is second finds it there. Marks, and the deliveries that are
made of what is left, are one change; how far a node has read its own events is a row of its file
alone. Quotas are noted in the same way: the moment that was told first is the one that is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from headcount.catalog.alert_entities import DeliveryRecord, NewDelivery
from headcount.catalog.alerts import AlertingCatalog
from headcount.catalog.schema import DELIVERY, META
from headcount.catalog.shared_contents import OWN_PREFIX
from headcount.counting.alerts import AlertEvent, MarkPlace, QuotaReached, without_marked
from headcount.counting.calendar import MS_PER_DAY, Period

__all__ = ["ToldCatalog"]

_READ_HERE = OWN_PREFIX + "alert_events_read"
_TOLD, _QUOTA, _CHANNEL_KEY = "told", "quota_reached", "channel_key"
_BEGINS = "WHERE substr(name, 1, length(?1)) = ?1"
_OLD = "WHERE state <> 'waiting' AND ended_at_ms < ?1 AND id <= (SELECT max(id) FROM delivery) - ?2"
_ENDED_KEPT = 500
_ENDED_KEPT_MS = 2 * MS_PER_DAY


class ToldCatalog(AlertingCatalog):
    """What was told, of a cluster."""

    @property
    def is_shared(self) -> bool:
        """Whether this is a copy of a cluster's catalog, open for changes."""
        return self._shared is not None

    def events_read_here(self) -> int:
        """The number of the last event of this node's store that was given to the cluster."""
        rows = self._read(META, "WHERE name = ?", _READ_HERE)
        return int(rows[0][1]) if rows else 0

    def take_own_events(
        self,
        found: Sequence[AlertEvent],
        deliveries_of: Callable[[AlertEvent], Sequence[NewDelivery]],
        upto: int,
        now_ms: int,
    ) -> list[DeliveryRecord]:
        """Write down what this node has found and nobody has told, for the channels that tell it.

        Args:
            found: events of this node's store.
            deliveries_of: what is to be told of one; it must not ask this catalog.
            upto: the number of the last of them.
            now_ms: milliseconds since 1970, UTC.

        Returns:
            What stands there of each delivery.

        Raises:
            CatalogUnchangedError: nothing was written down, here or anywhere.
        """
        made = []
        with self._transaction():
            for event in found:
                left = without_marked(event, self._is_told)
                if left is None:
                    continue
                for place in left.places():
                    self._ledger.put(META, _told_name(place), left.uid)
                made += [self._add_delivery(new, now_ms) for new in deliveries_of(left)]
            self._ledger.put(META, _READ_HERE, str(upto))
        return made

    def _is_told(self, place: MarkPlace) -> bool:
        return self._ledger.get(META, _told_name(place)) is not None

    def begin_told(self, places: Sequence[MarkPlace]) -> None:
        """Take over what a single machine has told, before its folder becomes a cluster's."""
        with self._transaction(own=True):
            for place in places:
                self._ledger.put(META, _told_name(place), "")

    def note_quotas_reached(self, reached: Sequence[QuotaReached]) -> None:
        """Write down when sources came to their quotas; who was first stays."""
        with self._transaction():
            for each in reached:
                name = f"{_QUOTA} {each.workspace} {each.period.number} {each.source} {each.metric}"
                if self._ledger.get(META, name) is None:
                    said = [each.amount, each.reached_at_ms, each.past]
                    self._ledger.put(META, name, msgspec.json.encode(said).decode())

    def quotas_reached(self, workspace: int, period: Period) -> list[QuotaReached]:
        """The quotas of a workspace that the cluster knows to be reached in a month."""
        found = []
        begin = f"{_QUOTA} {workspace} {period.number} "
        for name, text in self._read(META, _BEGINS, begin):
            source, _, metric = name.removeprefix(begin).partition(" ")
            amount, at_ms, past = msgspec.json.decode(text, type=tuple[int, int, str])
            reached = QuotaReached(workspace, period, int(source), metric, amount, at_ms, past)
            found.append(reached)
        return sorted(found, key=lambda each: (each.source, each.metric))

    def forget_told(self, now_ms: int, *, kept: int = _ENDED_KEPT) -> None:
        """Forget what was told before the latest few hundred: each change copies all of it.

        Args:
            now_ms: milliseconds since 1970, UTC.
            kept: how many are kept, beside those of two days.
        """
        old = now_ms - _ENDED_KEPT_MS, kept
        if self._read(DELIVERY, f"{_OLD} LIMIT 1", *old):
            with self._transaction():
                self._ledger.drop(DELIVERY, _OLD, old)

    def channel_keys(self) -> Mapping[str, bytes]:
        """The key that channels are sealed under, itself sealed: by the hash key that opens it."""
        rows = self._read(META, _BEGINS, _CHANNEL_KEY + " ")
        return {name.partition(" ")[2]: bytes.fromhex(text) for name, text in rows}

    def add_channel_keys(self, sealed: Mapping[str, bytes], *, first: bool) -> bool:
        """Keep the key that channels are sealed under, sealed for some hash keys.

        Args:
            sealed: fingerprint of a hash key to what it opens.
            first: whether there may be none yet; else it is kept beside one that is.

        Returns:
            Whether it was kept.
        """
        with self._transaction():
            held = self._ledger.read(META, _BEGINS, (_CHANNEL_KEY + " ",))
            if bool(held) == first:
                return False
            for fingerprint, text in sealed.items():
                self._ledger.put(META, f"{_CHANNEL_KEY} {fingerprint}", text.hex())
        return True


def _told_name(place: MarkPlace) -> str:
    return " ".join(map(str, (_TOLD, *place)))
