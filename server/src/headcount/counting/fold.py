"""Folding: a batch of facts becomes new keys, changed counts and what to apply to the indexes.

Takes facts in metering order and, for each period and family, an index to ask; gives a `Folded`:
the change to commit to a store, and the steps that bring the indexes up to it afterwards. It
changes nothing itself, so a batch whose commit fails has left no trace.

The counting rules, as they are applied here:

1. The day of a fact is the UTC date of `received_at`; its period is the month of that day.
2. Within a period, a (source, messageId) pair is one API call, on its earliest day. A pair that its
   source accepted in another period, on a day at most `window_days` away, is a duplicate that
   leaves nothing else; the delivery metered first counts.
3. Every other fact adds its userId to the identified set and its anonymousId to the anonymous set,
   of its source and of its workspace; an anonymousId seen together with a userId joins the
   anonymous identified set as well, and the previousId of an alias is such an anonymousId.

It has two halves, which know nothing of one another. The first (`fold_messages`) applies rules 1
and 2 by message keys and says which facts go on; the second (`fold_tracked`) adds the ids of those
to the sets. Each may stand on a machine of its own, with its own part of the keys: copies of a
message must meet in one first half, those of an id in one second half.

Facts are folded period by period, in ascending order, which is the metering order when the batch
is sorted by `received_at`: only rule 2 looks across periods, and it sees what earlier periods of
the same batch have changed.
"""

from __future__ import annotations

from headcount.counting.api_calls import fold_messages
from headcount.counting.batch import Facts, MonthOfFacts
from headcount.counting.folded import Folded, Indexes
from headcount.counting.tracked_ids import fold_tracked

__all__ = ["fold"]


def fold(facts: Facts, indexes: Indexes, window_days: int) -> Folded:
    """Fold facts that are sorted by `received_at`.

    Args:
        facts: shape (n,), dtype `FACT_DTYPE`, ascending in `received_at_ms`.
        indexes: what is known already.
        window_days: how far apart two days in different periods may be for one message id to be
            the same message.
    """
    messages, candidates = fold_messages(MonthOfFacts.each(facts), indexes, window_days)
    return messages.joined(fold_tracked(candidates, indexes))
