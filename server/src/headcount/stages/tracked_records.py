"""Tracked records: what stage 1 tells stage 2 of a tracked id, as 24 bytes.

Takes the facts that rule 2 has left in, gives one record for each id, source, day and kind; and
gives the facts with one id each that fold as those records mean. Ids that were sent lately are left
out by an index that may forget: sending twice is harmless, since the sets only grow.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from headcount.counting.batch import FACT_DTYPE, Facts, MonthOfFacts
from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.index import FirstSeenIndex
from headcount.counting.keys import MESSAGE, U64, Groups, KeyBlock, Slots, tracked_keys

__all__ = [
    "ANONYMOUS_KIND",
    "TRACKED_DTYPE",
    "TrackedRecords",
    "TrackedSending",
    "facts_of_records",
]

TRACKED_DTYPE = np.dtype(
    [("day", "<u4"), ("workspace", "<u4"), ("source", "<u4"), ("kind", "<u4"), ("hash", "<u8")]
)
"""`day` is in days since 1970, `kind` one of those below."""

TrackedRecords = npt.NDArray[np.void]

USER_KIND, ANONYMOUS_KIND, IDENTIFIED_KIND = 0, 1, 2
"""A userId; an anonymousId; an anonymousId that was seen with a userId."""

_COLUMNS = {USER_KIND: "user", ANONYMOUS_KIND: "anonymous", IDENTIFIED_KIND: "previous"}
_REMEMBERED_MAX = 100_000
_IDENTIFIED_NAMESPACE = np.uint64(0x5851F42D4C957F2D)


def facts_of_records(records: TrackedRecords) -> Facts:
    """Facts with one id each, ascending in time, that add to the sets what the records say."""
    records = records[np.argsort(records["day"], kind="stable")]
    facts = np.zeros(len(records), FACT_DTYPE)
    facts["received_at_ms"] = records["day"].astype(np.int64) * MS_PER_DAY
    facts["workspace"], facts["source"] = records["workspace"], records["source"]
    for kind, column in _COLUMNS.items():
        of_kind = records["kind"] == kind
        facts[column][of_kind] = records["hash"][of_kind]
    return facts


class TrackedSending:
    """What one partition sends on: makes records, and leaves out what it has sent lately.

    Nothing is remembered until `sent`: a commit that fails sends nothing.
    """

    def __init__(self) -> None:
        self._lately: dict[Period, FirstSeenIndex] = {}
        self._making: list[tuple[Period, KeyBlock, Slots]] = []

    def records(self, months: Iterable[MonthOfFacts]) -> TrackedRecords:
        """The records of facts by month, none of which is a duplicate."""
        self._making.clear()
        found = [self._of_month(month) for month in months]
        return np.concatenate(found) if found else np.zeros(0, TRACKED_DTYPE)

    def sent(self) -> None:
        """Remember what was made last: it is committed."""
        for period, keys, slots in self._making:
            index = self._lately.setdefault(period, FirstSeenIndex(MESSAGE))
            index.upsert(keys, slots)
            if len(index) > _REMEMBERED_MAX:
                del self._lately[period]
        self._making.clear()

    def drop(self, period: Period) -> None:
        """Forget a month that is closed."""
        self._lately.pop(period, None)

    def _of_month(self, month: MonthOfFacts) -> TrackedRecords:
        facts = month.facts
        identified = facts["user"] != 0
        parts: list[TrackedRecords] = []
        keys: list[U64] = []
        for kind, hashes, present in (
            (USER_KIND, facts["user"], identified),
            (ANONYMOUS_KIND, facts["anonymous"], (facts["anonymous"] != 0) & ~identified),
            (IDENTIFIED_KIND, facts["anonymous"], (facts["anonymous"] != 0) & identified),
            (IDENTIFIED_KIND, facts["previous"], facts["previous"] != 0),
        ):
            if not present.any():
                continue
            part = np.zeros(int(present.sum()), TRACKED_DTYPE)
            part["day"] = month.days[present].astype(np.uint32) + month.period.first_day
            part["workspace"], part["source"] = (
                facts["workspace"][present],
                facts["source"][present],
            )
            part["kind"], part["hash"] = kind, hashes[present]
            parts.append(part)
            of_part = tracked_keys(
                part["source"], part["hash"], workspace=False, anonymous=kind != USER_KIND
            )
            if kind == IDENTIFIED_KIND:
                of_part = np.maximum(
                    (of_part ^ _IDENTIFIED_NAMESPACE) >> np.uint64(1), np.uint64(1)
                )
            keys.append(of_part)
        if not parts:
            return np.zeros(0, TRACKED_DTYPE)
        return self._new(month.period, np.concatenate(parts), np.concatenate(keys))

    def _new(self, period: Period, records: TrackedRecords, keys: U64) -> TrackedRecords:
        """Those that were not sent lately, each once, on its earliest day."""
        groups = Groups(keys)
        days = groups.earliest((records["day"] - period.first_day).astype(np.uint8))
        index = self._lately.get(period) or FirstSeenIndex(MESSAGE)
        known = index.probe(groups.fingerprints)
        new = days < known.days
        chosen = records[groups.members[new]].copy()
        chosen["day"] = days[new].astype(np.uint32) + period.first_day
        if new.any():
            self._making.append(
                (period, KeyBlock(groups.fingerprints[new], days[new]), known.slots[new])
            )
        return chosen
