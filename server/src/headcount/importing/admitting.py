"""What becomes of plain records: takes them as they were decoded, gives facts and rejections.

Sources are looked up once for all records that call theirs the same, attributes are numbered once
for all that have the same, and a month is asked about once a day. Records that are not plain are
taken one by one, in their places.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headcount.counting.batch import FACT_DTYPE, Facts
from headcount.counting.calendar import MS_PER_DAY
from headcount.counting.facts import FIRST_MS
from headcount.counting.keys import distinct
from headcount.importing.line_files import Gathered, UnreadRecord
from headcount.importing.plain_records import PlainRecords
from headcount.intake.ports import SourceRef
from headcount.intake.records import RecordTaker, RejectedRecord

__all__ = ["Outcomes", "admit_each", "admit_plain"]

Outcomes = tuple[bytes, list[tuple[int, RejectedRecord]]]
"""The facts of what was admitted, packed; and what was rejected, by its place."""

_Bools = npt.NDArray[np.bool_]
# More than there are days.
_DAYS_END = 1 << 32


def admit_each(some: Gathered, taker: RecordTaker) -> Outcomes:
    """Take records one by one.

    Args:
        some: records.
        taker: told the present moment.
    """
    facts, rejected = [], []
    for place, record in enumerate(some.all()):
        outcome = _taken(record, taker)
        if isinstance(outcome, bytes):
            facts.append(outcome)
        else:
            rejected.append((place, outcome))
    return taker.packed(facts), rejected


def _taken(record: bytes, taker: RecordTaker) -> bytes | RejectedRecord:
    if isinstance(record, UnreadRecord):
        return taker.refuse(record.reason)
    return taker.take(record)


def admit_plain(some: Gathered, plain: PlainRecords, taker: RecordTaker) -> Outcomes:
    """Take records that were decoded already, as far as they are plain.

    Args:
        some: records.
        plain: the same, hashed under the taker's key.
        taker: told the present moment.
    """
    facts = plain.facts
    kept: _Bools = np.ones(len(facts), np.bool_)
    kept[plain.others] = False
    _put_sources(facts, plain, kept, taker)
    times = facts["received_at_ms"]
    kept &= (times <= taker.now_ms) & (times >= FIRST_MS)
    _leave_out_sealed(facts, kept, taker)
    _put_attributes(facts, plain, kept, taker)
    if kept.all():
        return facts.tobytes(), []
    rejected = []
    records = some.all()
    for place in np.flatnonzero(~kept).tolist():
        outcome = _taken(records[place], taker)
        if isinstance(outcome, bytes):
            facts[place] = np.frombuffer(outcome, FACT_DTYPE)[0]
            kept[place] = True
        else:
            rejected.append((place, outcome))
    return facts[kept].tobytes(), rejected


def _put_sources(facts: Facts, plain: PlainRecords, kept: _Bools, taker: RecordTaker) -> None:
    found: list[SourceRef | None] = [None] * len(plain.names)
    used, first = np.unique(plain.of_names[kept], return_index=True)
    for place in used[np.argsort(first)].tolist():
        found[place] = taker.source_of(*plain.names[place])
    kept &= np.array([each is not None for each in found])[plain.of_names]
    numbers = np.array([(0, 0) if each is None else each[:2] for each in found], np.uint32)
    facts["workspace"], facts["source"] = numbers[plain.of_names].T


def _leave_out_sealed(facts: Facts, kept: _Bools, taker: RecordTaker) -> None:
    days = facts["received_at_ms"] // MS_PER_DAY
    where = facts["workspace"].astype(np.int64) * _DAYS_END + days
    for each in distinct(where[kept]).tolist():
        if taker.is_sealed(*divmod(each, _DAYS_END)):
            kept &= where != each


def _put_attributes(facts: Facts, plain: PlainRecords, kept: _Bools, taker: RecordTaker) -> None:
    places = facts["source"].astype(np.int64) * len(plain.combinations) + plain.of_combination
    used, of_used = np.unique(places[kept], return_inverse=True)
    numbers = np.zeros(len(used), np.uint32)
    for at, each in enumerate(used.tolist()):
        source, combination = divmod(each, len(plain.combinations))
        numbers[at] = taker.tags_of(source, *plain.combinations[combination])
    facts["tags"][kept] |= numbers[of_used]
