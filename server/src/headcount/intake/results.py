"""How a request came, and what became of what it brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from headcount.counting.facts import Rejection
from headcount.counting.libraries import Told
from headcount.intake.ports import SourceRef
from headcount.intake.reasons import Reason

__all__ = ["BatchResult", "Receipt"]


class Receipt(NamedTuple):
    """How a request came.

    Attributes:
        received_at_ms: when, milliseconds since 1970.
        library: through which library, one of `LIBRARIES`.
        number: tells it from the other requests of this process, where any source forwards.
        forwards: the numbers of the sources that forward what they send.
        agent: its User-Agent.
        short: whether it came by an address that has the one-letter form.
    """

    received_at_ms: int
    library: str
    number: int = 0
    forwards: Mapping[int, bool] = {}
    agent: bytes = b""
    short: bool = False


class BatchResult(NamedTuple):
    """What became of a batch.

    Attributes:
        facts: of the messages that were admitted.
        rejections: tallies of those that were rejected, where their source is known.
        rejected: the index of each rejected message, and why.
        source: whose all of the batch is; None where its messages name their sources.
        libraries: which libraries sent those that were admitted.
    """

    facts: bytes
    rejections: list[Rejection]
    rejected: list[tuple[int, Reason]]
    source: SourceRef | None = None
    libraries: Sequence[Told] = ()
