"""Which partition a fact or a tracked id is for, and an entry's parts for all of them.

Takes entries of a queue, gives to each partition the bytes that are its own, in order. Copies of a
message have one message key and so meet in one partition, whatever their node, day and month; a
source's and its workspace's key of one id stand together too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from headcount.counting.aside import AsideReason
from headcount.counting.attributes import NUMBERS_END
from headcount.counting.batch import FACT_DTYPE, bytes_of
from headcount.counting.calendar import Period
from headcount.counting.facts import FACT_BYTES, WideFacts
from headcount.counting.keys import message_keys, tracked_keys
from headcount.counting.libraries import tallies_of
from headcount.errors import OperatorError
from headcount.journal import JournalEntry
from headcount.meter.arrivals import is_tally
from headcount.meter.sources import KnownSources
from headcount.stages.packs import PackedEntry
from headcount.stages.tracked_records import ANONYMOUS_KIND, TRACKED_DTYPE, TrackedRecords

__all__ = ["FactsSplit", "RecordsSplit", "Split", "key_partitions", "message_partitions"]

Numbers = npt.NDArray[np.int64]


class Split(Protocol):
    """Gives the parts of some entries.

    Attributes:
        row_bytes: of what rows the data of those parts consists.
    """

    row_bytes: int

    def __call__(self, entries: Sequence[JournalEntry]) -> dict[int, list[PackedEntry]]:
        """Partition to what is for it; an entry that has nothing for a partition is not there."""
        ...


def message_partitions(
    sources: npt.NDArray[np.uint32], hashes: npt.NDArray[np.uint64], partitions: int
) -> Numbers:
    """The partition of each of some messages.

    Args:
        sources: numbers of their sources, shape (n,).
        hashes: keyed hashes of their ids, shape (n,).
        partitions: how many there are.
    """
    return (message_keys(sources, hashes) % np.uint64(partitions)).astype(np.int64)


def key_partitions(records: TrackedRecords, partitions: int, whole_until: int = 0) -> Numbers:
    """The partition of each of some tracked ids.

    Args:
        records: shape (n,).
        partitions: how many there are.
        whole_until: number of the last month whose ids all lie in partition 0.
    """
    anonymous = records["kind"] >= ANONYMOUS_KIND
    keys = np.where(
        anonymous,
        tracked_keys(records["workspace"], records["hash"], workspace=True, anonymous=True),
        tracked_keys(records["workspace"], records["hash"], workspace=True, anonymous=False),
    )
    found = (keys % np.uint64(partitions)).astype(np.int64)
    if whole_until:
        found[records["day"] <= Period(whole_until).last_day] = 0
    return found


class _Part(NamedTuple):
    """What beside data an entry has for a partition."""

    tallies: list[tuple[int, int, int, str, int]]
    aside: list[tuple[str, bytes, str, int | None]]


class FactsSplit:
    """Splits entries of journals by message.

    Args:
        partitions: how many there are.
        sources: which workspace each source is of, as this node's catalog says: whoever took a
            message knows it, and others may not yet.
    """

    row_bytes = FACT_BYTES

    def __init__(self, partitions: int, sources: KnownSources) -> None:
        self._partitions = partitions
        self._sources = sources

    def __call__(self, entries: Sequence[JournalEntry]) -> dict[int, list[PackedEntry]]:
        """The parts of some entries.

        Raises:
            OperatorError: ids are hashed under two keys, as while a key is rotated.
        """
        beside: dict[tuple[int, int], _Part] = {}
        blocks = []
        for at, entry in enumerate(entries):
            self._note_tallies(beside, at, entry)
            if isinstance(entry.facts, WideFacts):
                raise OperatorError(
                    "Ids are hashed under two keys, as while a hash key is rotated: a message's"
                    " copies would not meet in one partition.",
                    "A hash key cannot be rotated in a cluster; see docs/cluster.md.",
                )
            is_whole = entry.damage is None and not len(entry.facts) % FACT_BYTES
            blocks.append(entry.facts if is_whole else b"")
        facts = np.frombuffer(bytearray().join(blocks), FACT_DTYPE)
        # The numbers of attributes mean something in their entry alone, and are not followed.
        facts["tags"] &= np.uint32(NUMBERS_END - 1)
        of_entry = np.repeat(np.arange(len(blocks)), [len(each) // FACT_BYTES for each in blocks])
        strangers = self._sources.strangers(facts) if len(facts) else None
        if strangers is not None:
            self._note_strangers(beside, facts[strangers], of_entry[strangers])
            facts, of_entry = facts[~strangers], of_entry[~strangers]
        places = message_partitions(facts["source"], facts["message"], self._partitions)
        return _parts(entries, facts, of_entry, places, beside)

    def _note_tallies(
        self, beside: dict[tuple[int, int], _Part], at: int, entry: JournalEntry
    ) -> None:
        """What an entry has beside facts: each source's tallies go to one partition."""

        def part(number: int) -> _Part:
            return beside.setdefault((number % self._partitions, at), _Part([], []))

        undigestible = AsideReason.UNDIGESTIBLE.value
        if entry.damage is not None:
            held = entry.damage.messages or 0
            aside = (AsideReason.DAMAGED.value, b"", entry.damage.text, held)
            part(entry.id).aside.append(aside)
        elif len(entry.facts) % FACT_BYTES and not isinstance(entry.facts, WideFacts):
            part(entry.id).aside.append((undigestible, entry.facts, f"entry {entry.id}", None))
        for tally in (*entry.rejections, *tallies_of(entry.libraries)):
            if is_tally(tally):
                workspace, source, day, word, messages = tally
                part(source).tallies.append((workspace, source, day, word, messages))
            else:
                what = f"entry {entry.id}, rejections {tuple(tally)!r}"
                part(entry.id).aside.append((undigestible, b"", what, None))

    def _note_strangers(
        self,
        beside: dict[tuple[int, int], _Part],
        facts: npt.NDArray[np.void],
        of_entry: Numbers,
    ) -> None:
        for at in np.unique(of_entry).tolist():
            held = bytes_of(facts[of_entry == at])
            place = beside.setdefault((at % self._partitions, at), _Part([], []))
            place.aside.append((AsideReason.UNKNOWN_SOURCE.value, held, "", None))


class RecordsSplit:
    """Splits entries of outboxes by tracked id; that a month is closed, or somebody to be
    forgotten, goes to every partition.

    Args:
        partitions: how many there are.
        whole_until: as `key_partitions` takes it.
    """

    row_bytes = TRACKED_DTYPE.itemsize

    def __init__(self, partitions: int, whole_until: int = 0) -> None:
        self._partitions = partitions
        self._whole_until = whole_until

    def __call__(self, entries: Sequence[JournalEntry]) -> dict[int, list[PackedEntry]]:
        """The parts of some entries."""
        beside = {
            (number, at): _Part([], [])
            for at, entry in enumerate(entries)
            if entry.sealed or entry.forget
            for number in range(self._partitions)
        }
        records = np.frombuffer(b"".join(entry.facts for entry in entries), TRACKED_DTYPE)
        lengths = [len(entry.facts) // TRACKED_DTYPE.itemsize for entry in entries]
        of_entry = np.repeat(np.arange(len(entries)), lengths)
        places = key_partitions(records, self._partitions, self._whole_until)
        return _parts(entries, records, of_entry, places, beside)


def _parts(
    entries: Sequence[JournalEntry],
    rows: npt.NDArray[np.void],
    of_entry: Numbers,
    places: Numbers,
    beside: dict[tuple[int, int], _Part],
) -> dict[int, list[PackedEntry]]:
    """Rows by partition and entry, with what goes beside them."""
    found: dict[tuple[int, int], bytes] = dict.fromkeys(beside, b"")
    if len(rows):
        slots = places * len(entries) + of_entry
        order = np.argsort(slots, kind="stable")
        rows, slots = rows[order], slots[order]
        starts = np.flatnonzero(np.r_[True, slots[1:] != slots[:-1]])
        stops = np.r_[starts[1:], len(slots)]
        numbers = zip(slots[starts].tolist(), starts.tolist(), stops.tolist(), strict=True)
        for slot, start, stop in numbers:
            found[divmod(slot, len(entries))] = rows[start:stop].tobytes()
    parts: dict[int, list[PackedEntry]] = {}
    for (number, at), data in sorted(found.items()):
        entry, extra = entries[at], beside.get((number, at))
        parts.setdefault(number, []).append(
            PackedEntry(
                *(entry.id, entry.appended_at_ms, data),
                tallies=extra.tallies if extra else (),
                aside=extra.aside if extra else (),
                sealed=tuple(entry.sealed),
                forgotten=entry.forgotten,
                forget=tuple(entry.forget),
            )
        )
    return parts
