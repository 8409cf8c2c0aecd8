"""What a partition of messages must know to be recounted where a cluster began with a history.

A single machine's message keys were shared out over all partitions of messages, and what they add
up to stands in the counts of one: keys do not tell their scope. From then on each partition counts
what its own keys say, so the difference stays as it was. It is kept among the partition's numbers,
by month and day. Pure: takes and gives such numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from headcount.counting.calendar import Period
from headcount.counting.usage import DAYS_MAX

__all__ = ["JOINED", "JoinedKeys", "joined_to"]

JOINED = "joined"
"""Name of the number that says that a partition knows by how many its keys differ."""


def joined_to(period: Period) -> str:
    """How the names of the numbers begin that are kept of a month; they are 0 once its keys go."""
    return f"{JOINED} {period.number} "


ByDay = npt.NDArray[np.int64]


@dataclass(slots=True)
class JoinedKeys:
    """By how many a partition's message keys are more than its API calls.

    Attributes:
        months: month to that difference on each day, shape (31,); below 0 where they are fewer.
    """

    months: dict[Period, ByDay] = field(default_factory=dict)

    @classmethod
    def of(cls, watermarks: Mapping[str, int]) -> JoinedKeys | None:
        """Those that a partition has kept; None where it was never told."""
        if JOINED not in watermarks:
            return None
        found = cls()
        for name, keys in watermarks.items():
            words = name.split()
            if len(words) == 3 and words[0] == JOINED:
                found.add(Period(int(words[1])), int(words[2]), keys)
        return found

    def add(self, period: Period, day: int, keys: int) -> None:
        """Note a difference of one day of a month, from 0 on."""
        self.months.setdefault(period, np.zeros(DAYS_MAX, np.int64))[day] += keys

    def add_all(self, period: Period, keys: ByDay) -> None:
        """Note differences of all days of a month."""
        self.months[period] = self.beyond(period) + keys

    def has(self, period: Period) -> bool:
        """Whether they differ in a month, or did as long as its keys were there."""
        return period in self.months

    def beyond(self, period: Period) -> ByDay:
        """The difference on each day of a month, shape (31,)."""
        return self.months.get(period, np.zeros(DAYS_MAX, np.int64))

    def watermarks(self) -> dict[str, int]:
        """What to keep."""
        kept = {JOINED: 1}
        for period, keys in self.months.items():
            for day in np.flatnonzero(keys).tolist():
                kept[f"{joined_to(period)}{day}"] = int(keys[day])
        return kept
