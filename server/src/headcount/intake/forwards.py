"""What a request leaves to forward: takes what became of it, gives a letter for each of its sources
that forward.

A source that forwards nothing pays for none of this but the look at a table that is empty.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping

from headcount.counting.facts import fact_bytes, sources_of
from headcount.intake.reasons import Reason, Refused
from headcount.intake.tracking import BatchResult, Receipt, id_stem
from headcount.spool.letters import Letter, Posted, encoded

__all__ = ["Forwards", "letters_of"]


class Forwards:
    """Which sources forward, as whoever starts intake knows it.

    Attributes:
        sources: the numbers of those that forward, and whether each has room left. Replaced, and
            never changed, so that all of one request is done by the same.
        next_number: tells each request of this process from the others.
    """

    def __init__(self) -> None:
        self.sources: Mapping[int, bool] = {}
        self.next_number = itertools.count().__next__

    def check(self, source: int) -> None:
        """See that a source may send, which may forward.

        Raises:
            Refused: it forwards, and what waits for its vendor takes all the room there is.
        """
        if not self.sources.get(source, True):
            raise Refused(Reason.FORWARDING_FULL)


def letters_of(
    result: BatchResult, body: bytes, message_type: str, receipt: Receipt
) -> list[Posted]:
    """What each source that forwards is to forward of a request.

    Args:
        result: what became of it.
        body: what it brought, unpacked.
        message_type: what its path says that a single message is; empty for a batch.
        receipt: how it came.

    Raises:
        Refused: a source has no room left.
    """
    facts, forwards = result.facts, receipt.forwards
    if not facts:
        return []
    rejected = [index for index, _ in result.rejected]
    owners: list[int] | None = None
    if result.source is not None:
        # That is nearly all: a request is of one source.
        messages = Counter({result.source.source: len(facts) // fact_bytes(facts)})
    else:
        owners = sources_of(facts)
        messages = Counter(owners)
    letters = []
    for number in messages.keys() & forwards.keys():
        if not forwards[number]:
            raise Refused(Reason.FORWARDING_FULL)
        left_out = rejected
        if owners is not None and len(messages) > 1:
            left_out = _others(owners, rejected, number)
        letter = Letter(message_type, id_stem(receipt.number), left_out, body)
        posted = Posted(number, receipt.received_at_ms, messages[number], encoded(letter))
        letters.append(posted)
    return letters


def _others(owners: list[int], rejected: list[int], source: int) -> list[int]:
    """The indexes of a batch's messages that are not of a source; those admitted have owners."""
    none = set(rejected)
    rest = iter(owners)
    everything = range(len(owners) + len(none))
    return [index for index in everything if index in none or next(rest) != source]
