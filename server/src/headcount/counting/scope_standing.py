"""Where a scope stands in a month, as alerts look at it: takes counts, gives what was reached.

A metric that may fall stands where it has been at most; a share stands where it is, once there are
enough messages to tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headcount.counting.alerts import SHARE_MESSAGES_MIN
from headcount.counting.metrics import ADMITTED, API_CALLS, BY_NAME, HEADLINES
from headcount.counting.usage import Counts

__all__ = ["Standing"]

_FALLING = [metric.name for metric in HEADLINES if metric.may_fall]


@dataclass(slots=True)
class Standing:
    """Where one scope stands in a month.

    Attributes:
        counts: of the month, shape (31, columns).
        high: name of a metric that may fall to the most that it is known to have been.
        rejected: how many messages were rejected.
    """

    counts: Counts
    high: Mapping[str, int]
    rejected: int

    def plus(self, added: Counts | None, rejected: int) -> Standing:
        """The same with what a change adds."""
        counts = self.counts if added is None else self.counts + added
        # What it has been before it falls is what it has reached.
        high = {name: int(self.reached(name)) for name in _FALLING}
        return Standing(counts, high, self.rejected + rejected)

    def reached(self, metric: str) -> float:
        """The most that a metric has been in the month; of a share, what it is."""
        if (counted := BY_NAME.get(metric)) is not None:
            return max(int(counted.of(self.counts).sum()), self.high.get(metric, 0))
        admitted = int(self.counts[:, ADMITTED].sum())
        if admitted + self.rejected < SHARE_MESSAGES_MIN:
            return 0
        if metric == "rejected_share":
            return 100 * self.rejected / (admitted + self.rejected)
        duplicates = admitted - int(self.counts[:, API_CALLS].sum())
        return 100 * duplicates / admitted if admitted else 0
