"""What a source may use: takes its number and what it wants, admits it or refuses the request.

Write keys are public, so anybody can flood any source; what is refused here is refused to that
source alone, with 429, before anything of it is acknowledged.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable

from headcount.allowances import Allowances
from headcount.counting.facts import FACT_BYTES, WIDE_FACT_BYTES, WideFacts, fact_bytes
from headcount.intake.ports import SourceRef
from headcount.intake.reasons import Reason, Refused

__all__ = ["Budgets"]

# Where in a fact its source stands.
_SOURCE, _WIDE_SOURCE = struct.Struct("<12xI40x"), struct.Struct("<12xI48x")
assert (_SOURCE.size, _WIDE_SOURCE.size) == (FACT_BYTES, WIDE_FACT_BYTES)


class Budgets:
    """The budgets of all sources, as one worker sees them.

    Args:
        allowances: what all workers and the meter say of sources.
        clock: the time, in milliseconds since 1970.
        messages_a_minute_max: messages that one source may send in a minute; None for any number.
        new_ids_a_minute_max: tracked ids new in the month that it may bring in a minute, as far as
            they are metered; None for any number.
        over_quota: says of a source whether it has used its quota of the month.
    """

    def __init__(
        self,
        allowances: Allowances,
        clock: Callable[[], int],
        *,
        messages_a_minute_max: int | None = None,
        new_ids_a_minute_max: int | None = None,
        over_quota: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self._allowances = allowances
        self._clock = clock
        self._messages_max = messages_a_minute_max
        self._new_ids_max = new_ids_a_minute_max
        self._over_quota = over_quota

    def check(self, source: int) -> None:
        """See whether a source may send anything now.

        Raises:
            Refused: there is no memory for its ids, or it has used what it may in this minute, or
                in this month.
        """
        if self._over_quota(source):
            raise Refused(Reason.QUOTA_REACHED)
        if self._allowances.without_memory(source):
            raise Refused(Reason.MEMORY_SHORT)
        if self._new_ids_max is not None:
            self._require(self._allowances.new_ids(source, self._clock()) < self._new_ids_max)
        if self._messages_max is not None:
            self._require(self._allowances.messages(source, self._clock()) < self._messages_max)

    def check_import(self) -> None:
        """See whether an import may go on, which only the whole meter's memory bounds.

        Raises:
            Refused: there is no memory for anybody's ids.
        """
        if self._allowances.everybody_without_memory():
            raise Refused(Reason.MEMORY_SHORT)

    def spend(self, source: SourceRef | None, facts: bytes) -> None:
        """Count messages that are about to be kept.

        A batch of more than a source may send in a minute is taken as the only one of its minute.

        Args:
            source: whose they are; None where only the facts say it.
            facts: what is to be kept of them.

        Raises:
            Refused: they are more than a source may still send; none of them is to be kept.
        """
        if source is not None:
            if self._messages_max is None:
                self.check(source.source)
                return
            spent = {source.source: len(facts) // fact_bytes(facts)}
        else:
            of_source = _WIDE_SOURCE if isinstance(facts, WideFacts) else _SOURCE
            spent = Counter(number for (number,) in of_source.iter_unpack(facts))
        for number in spent:
            self.check(number)
        if self._messages_max is None:
            return
        now_ms = self._clock()
        for number, messages in spent.items():
            used = self._allowances.messages(number, now_ms)
            self._require(not used or used + messages <= self._messages_max)
        for number, messages in spent.items():
            self._allowances.add_messages(number, messages, now_ms)

    def spend_checked(self, source: int, facts: bytes) -> None:
        """Do what `spend` does for messages of a source that `check` has just let in.

        Raises:
            Refused: they are more than it may still send; none of them is to be kept.
        """
        if self._messages_max is not None:
            now_ms, messages = self._clock(), len(facts) // fact_bytes(facts)
            used = self._allowances.messages(source, now_ms)
            self._require(not used or used + messages <= self._messages_max)
            self._allowances.add_messages(source, messages, now_ms)

    def _require(self, within: bool) -> None:
        if not within:
            raise Refused(Reason.SOURCE_OVER_BUDGET)
