"""Counting a batch: from facts and what goes with them to one committed change, and the indexes.

Takes facts and a change that says what else they bring; sets aside what cannot be counted, folds
the rest, commits, applies to the indexes. The order matters: the indexes are asked before the
commit and told after it. An id that was marked as seen and then not committed would never be
counted, so whoever fails between the two must end this process, and the next one rebuilds the
indexes from the store.

A meter of a whole installation folds both halves; a partition's meter is given the half that is its
own, and passes on what the other half is to have.
"""

from __future__ import annotations

from collections.abc import Callable

from headcount import telemetry
from headcount.counting.aside import Aside, AsideReason
from headcount.counting.batch import Facts, bytes_of
from headcount.counting.conflicts import RECENT_BITS, RecentMessages
from headcount.counting.folded import Folded
from headcount.counting.hashing import KeyPlan
from headcount.counting.other_key import other_key
from headcount.meter.digestion import FoldHalf, digest
from headcount.meter.indexes import MeterIndexes
from headcount.meter.limits import MeterLimits
from headcount.meter.sealing import Sealing
from headcount.store.protocol import Change, MeterStore

__all__ = ["Committing", "report"]


class Committing:
    """Counts into one store.

    Args:
        store: where keys and counts go.
        clock_ms: the time, in milliseconds since 1970.
        window_days: as `fold` takes it.
        limits: bounds on memory.
        key_plan: which hash key serves which month, at the moment.
        half: folds a batch; None for both halves.
        recent_bits: how many recent messages are remembered, as `RecentMessages` takes it; None
            where facts are no messages, but what is left of them for the second half.

    Attributes:
        indexes: of the store's keys.
        sealing: of the store's months.
        before_commit: called with what was folded and the change that is about to be committed.
        on_folded: called with each batch, once it is committed and the indexes know it.
    """

    def __init__(
        self,
        store: MeterStore,
        clock_ms: Callable[[], int],
        window_days: int,
        limits: MeterLimits,
        key_plan: Callable[[], KeyPlan],
        half: FoldHalf | None = None,
        *,
        recent_bits: int | None = RECENT_BITS,
    ) -> None:
        self._store = store
        self._window_days = window_days
        self._key_plan = key_plan
        self._half = half
        # Whoever decides which messages are API calls sees all copies of each.
        self._recent = None if recent_bits is None else RecentMessages(recent_bits)
        self.before_commit: Callable[[Folded, Change], None] = lambda _folded, _change: None
        self.on_folded: Callable[[Folded], None] = lambda _: None
        self.indexes = MeterIndexes(store, clock_ms, window_days, limits)
        self.sealing = Sealing(store, self.indexes, clock_ms)

    def commit(self, facts: Facts, change: Change, now_ms: int) -> Folded:
        """Count facts with a change that says already what else goes with them.

        Args:
            facts: ascending in `received_at_ms`, none of them implausible.
            change: what else; it is completed.
            now_ms: the present moment, milliseconds since 1970.

        Raises:
            StorageUnavailableError: nothing was committed.
        """
        facts, late = self.sealing.split(facts)
        misfits = other_key(facts, self._key_plan(), self.indexes, self._window_days)
        if misfits is not None:
            late.append(Aside(AsideReason.OTHER_KEY, bytes_of(facts[misfits])))
            facts = facts[~misfits]
        folded, facts, undigestible = digest(
            facts, self.indexes, self._window_days, now_ms, self._half
        )
        change.keys, change.counts = folded.keys, folded.counts
        change.contributions = folded.contributions
        if self._recent is not None:
            self._recent.remember(facts)
            change.conflicting = self._recent.conflicts(folded.duplicated)
        change.last_metered_day = max(folded.live_days, default=None)
        change.trusted_day = self.sealing.trusted_after(folded.live_days)
        change.imported = self.sealing.imported(facts)
        change.aside = [*change.aside, *late, *undigestible]
        self.before_commit(folded, change)
        with telemetry.COMMIT_SECONDS.labels("store").time():
            self._store.commit(change)
        folded.apply_to(self.indexes)
        self.on_folded(folded)
        return folded


def report(folded: Folded, change: Change) -> None:
    """Count what became of the messages of a batch that is committed."""
    conflicting = sum(each.messages for each in change.conflicting)
    telemetry.MESSAGES.labels("accepted", "").inc(folded.facts - folded.duplicates)
    telemetry.MESSAGES.labels("duplicate", "").inc(folded.duplicates - conflicting)
    telemetry.MESSAGES.labels("duplicate", "conflicting").inc(conflicting)
