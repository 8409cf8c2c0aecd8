"""One batch of what came: entries of all journals in order of arrival, whatever is in them.

Takes open journals and how far each is metered, gives packed facts, tallies and new positions. What
of an entry cannot be facts or tallies at all is handed over to be set aside, with where it stood.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from operator import itemgetter

from headcount.counting.aside import Aside, AsideReason
from headcount.counting.attributes import Attributes
from headcount.counting.facts import FACT_BYTES, FIRST_MS, Rejection, fact_bytes
from headcount.counting.libraries import LibraryUse
from headcount.journal import JournalEntry, MeterSource

__all__ = ["Arrivals", "is_tally", "take"]

_NUMBER_END = 1 << 32
_NEVER_MS = 1 << 62
_DAY_END = 2_500_000
_TALLY_END = 1 << 40


@dataclass(slots=True)
class Arrivals:
    """Entries of one batch.

    Attributes:
        facts: packed facts, entry by entry.
        attributes: for each of these, which attributes the numbers are that its facts name.
        rejections: tallies.
        libraries: tallies of who sent the messages.
        positions: journal UUID to the id of the last entry that is in here.
        aside: what cannot be facts or tallies.
        least_ms: the least moment at which one of them came, by a clock that says anything.
        heads_ms: when the next entry of each journal came that has any left.
    """

    facts: list[bytes] = field(default_factory=list)
    attributes: list[Mapping[int, Attributes]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    libraries: list[LibraryUse] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    aside: list[Aside] = field(default_factory=list)
    least_ms: int = _NEVER_MS
    heads_ms: list[int] = field(default_factory=list)

    @property
    def messages(self) -> int:
        """How many messages they are."""
        return sum(len(each) // fact_bytes(each) for each in self.facts)


def take(journals: Iterable[MeterSource], positions: Mapping[str, int], facts_max: int) -> Arrivals:
    """The entries that follow some positions, up to a batch; each journal's in order.

    Args:
        journals: all of them, open.
        positions: journal UUID to the id of its last metered entry.
        facts_max: how many facts are enough; the last entry is taken whole.

    Raises:
        DataFolderError: a journal cannot be read as it is.
    """
    taken = Arrivals()
    room_bytes = facts_max * FACT_BYTES
    heads_ms: dict[str, int] = {}
    with ExitStack() as stack:
        arrivals = [
            stack.enter_context(closing(_entries(each, positions.get(each.uuid, 0), heads_ms)))
            for each in journals
        ]
        for appended_at_ms, journal, entry in heapq.merge(*arrivals, key=itemgetter(0)):
            if room_bytes <= 0:
                taken.heads_ms = list(heads_ms.values())
                break
            _add(taken, journal, entry)
            if FIRST_MS <= appended_at_ms < taken.least_ms:
                taken.least_ms = appended_at_ms
            room_bytes -= len(entry.facts)
    return taken


def _entries(
    journal: MeterSource, position: int, heads_ms: dict[str, int]
) -> Generator[tuple[int, MeterSource, JournalEntry], None, None]:
    with closing(journal.entries(position)) as entries:
        for entry in entries:
            heads_ms[journal.uuid] = entry.appended_at_ms
            yield entry.appended_at_ms, journal, entry
    heads_ms.pop(journal.uuid, None)


def _add(taken: Arrivals, journal: MeterSource, entry: JournalEntry) -> None:
    origin = f"entry {entry.id} of {journal.path.name}"
    if entry.damage is not None:
        # Its bytes stay in the journal's file; how many messages it held is known as a rule.
        what = f"{entry.damage.text} of {journal.path.name}"
        held = entry.damage.messages or 0
        taken.aside.append(Aside(AsideReason.DAMAGED, b"", origin=what, held=held))
    elif len(entry.facts) % fact_bytes(entry.facts):
        taken.aside.append(Aside(AsideReason.UNDIGESTIBLE, entry.facts, origin=origin))
    else:
        taken.facts.append(entry.facts)
        taken.attributes.append(entry.attributes)
    for rejection in entry.rejections:
        if is_tally(rejection):
            taken.rejections.append(rejection)
        else:
            what = f"{origin}, rejections {tuple(rejection)!r}"
            taken.aside.append(Aside(AsideReason.UNDIGESTIBLE, b"", origin=what))
    taken.libraries += entry.libraries
    taken.positions[journal.uuid] = entry.id


def is_tally(rejection: Rejection) -> bool:
    """Whether a tally is one that intake can have written."""
    *numbers, reason, messages = rejection
    bounds = (_NUMBER_END, _NUMBER_END, _DAY_END)
    return (
        all(type(n) is int and 0 <= n < end for n, end in zip(numbers, bounds, strict=True))
        and isinstance(reason, str)
        and type(messages) is int
        and 0 <= messages < _TALLY_END
    )
