"""What a partition says of its counts: rows as they are, from which state of it to which.

Takes rows of counts, gives checked bytes that fit into the log, and the other way round. A row is
absolute: whoever has one state and gets what changed up to another has that other one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from isal.isal_zlib import compress, crc32, decompress

from headcount.counting.calendar import Period
from headcount.counting.facts import Rejection
from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.engines import PUBLISH_BYTES_MAX
from headcount.stages.packs import PackError
from headcount.store.partition_protocol import Place

__all__ = [
    "CountsPack",
    "CountsStanding",
    "CountsWanted",
    "FreshCounts",
    "decode_counts",
    "decode_counts_tells",
    "encode_counts",
    "encode_counts_tell",
]

VERSION = 1
_ROWS_A_PART = 4_096
_PART_BYTES = PUBLISH_BYTES_MAX // 2
_CRC_BYTES = 4
_COLUMNS = len(KINDS)

PackedRows = tuple[bytes, int]
"""Compressed places and counts, and how many columns the counts have."""


class CountsStanding(msgspec.Struct, frozen=True, array_like=True):
    """How far a partition has come.

    Attributes:
        partition: its name.
        epoch: the how-manieth owner says so.
        lineage: the UUID of the copy of its store: another one after a restore or a move.
        generation: the state of that copy.
        until_ms: until when everything is counted in it; None while nobody knows.
        latest_ms: when the latest of what is counted was appended.
        positions: queue to the last entry that is counted.
        last_metered_day, trusted_day: marks of its store, or None.
        sealed: (workspace, number of the month) pairs that it has closed.
        imported: (workspace, number of the month, day) of the latest import.
    """

    partition: str
    epoch: int
    lineage: str
    generation: int
    until_ms: int | None
    latest_ms: int
    positions: dict[str, int]
    last_metered_day: int | None = None
    trusted_day: int | None = None
    sealed: list[tuple[int, int]] = []
    imported: list[tuple[int, int, int]] = []


class CountsPack(msgspec.Struct, frozen=True, array_like=True):
    """Rows that changed between two states of a partition, or all; possibly a part of them.

    Attributes:
        version: of this format.
        standing: the state that the rows are of.
        since: the state before; 0 where these are all rows.
        part, parts: which of how many parts, from 0 on; applied together.
        rows: of some scopes.
        tallies: of some sources.
    """

    version: int
    standing: CountsStanding
    since: int
    part: int
    parts: int
    rows: PackedRows
    tallies: list[tuple[int, int, int, str, int]] = []

    def unpacked(self) -> list[tuple[Place, Counts]]:
        """The rows.

        Raises:
            PackError: they have more columns than this version knows.
        """
        data, columns = self.rows
        raw = decompress(data) if data else b""
        row_bytes = 3 * 4 + DAYS_MAX * columns * 8
        if columns > _COLUMNS or len(raw) % row_bytes:
            raise PackError("its counts are of a newer version")
        count = len(raw) // row_bytes
        places = np.frombuffer(raw, "<u4", count * 3).reshape(count, 3)
        counts = np.frombuffer(raw, "<i8", offset=count * 12).reshape(count, DAYS_MAX, columns)
        if columns < _COLUMNS:
            counts = np.pad(counts, ((0, 0), (0, 0), (0, _COLUMNS - columns)))
        numbers = zip(places.tolist(), counts, strict=True)
        return [((w, Period(p), s), of_scope) for (w, p, s), of_scope in numbers]


class FreshCounts(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """That a state of a partition has everything until a moment; told, and may be lost."""

    partition: str
    epoch: int
    lineage: str
    generation: int
    until_ms: int


class CountsWanted(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """That a mirror lacks what followed a state; told, and may be lost.

    Attributes:
        partition: whose.
        lineage: of what it has; empty where it has nothing.
        generation: the state that it has.
    """

    partition: str
    lineage: str
    generation: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CountsPack).decode
_decode_tell = msgspec.msgpack.Decoder(list[FreshCounts | CountsWanted]).decode


def encode_counts(
    standing: CountsStanding,
    since: int,
    rows: Sequence[tuple[Place, Counts]],
    tallies: Sequence[Rejection],
) -> list[bytes]:
    """What is published of some rows: one message or several, each small enough for the log."""
    packed = [
        each
        for start in range(0, max(1, len(rows)), _ROWS_A_PART)
        for each in _packed(rows[start : start + _ROWS_A_PART])
    ]
    told = [(t.workspace, t.source, t.day, t.reason, t.messages) for t in tallies]
    groups = [told[start : start + _ROWS_A_PART] for start in range(0, len(told), _ROWS_A_PART)]
    parts = max(len(packed), len(groups))
    found = []
    for part in range(parts):
        of_rows = packed[part] if part < len(packed) else (b"", _COLUMNS)
        of_tallies = groups[part] if part < len(groups) else []
        content = _encode(CountsPack(VERSION, standing, since, part, parts, of_rows, of_tallies))
        found.append(crc32(content).to_bytes(_CRC_BYTES, "little") + content)
    return found


def _packed(rows: Sequence[tuple[Place, Counts]]) -> list[PackedRows]:
    if not rows:
        return [(b"", _COLUMNS)]
    places = np.array([(w, p.number, s) for (w, p, s), _ in rows], "<u4")
    counts: npt.NDArray[np.int64] = np.stack([counts for _, counts in rows]).astype("<i8")
    data = compress(places.tobytes() + counts.tobytes(), 1)
    if len(data) <= _PART_BYTES or len(rows) == 1:
        return [(data, counts.shape[2])]
    half = len(rows) // 2
    return [*_packed(rows[:half]), *_packed(rows[half:])]


def decode_counts(data: bytes) -> CountsPack:
    """The pack that was published.

    Raises:
        PackError: it is none, not what was published, or of another version.
    """
    content = memoryview(data)[_CRC_BYTES:]
    if crc32(content) != int.from_bytes(data[:_CRC_BYTES], "little"):
        raise PackError("it is not what was published")
    try:
        pack = _decode(content)
    except msgspec.DecodeError as error:
        raise PackError(f"it cannot be read: {error}") from error
    if pack.version != VERSION:
        raise PackError(f"it has version {pack.version}; this version of Headcount reads {VERSION}")
    return pack


def encode_counts_tell(tells: Sequence[FreshCounts | CountsWanted]) -> list[bytes]:
    """Tellings, as many of them together as fit for sure."""
    return [_encode(tells[start : start + 32]) for start in range(0, len(tells), 32)]


def decode_counts_tells(told: Sequence[bytes]) -> list[FreshCounts | CountsWanted]:
    """What was told; what cannot be read is as good as lost."""
    found: list[FreshCounts | CountsWanted] = []
    for data in told:
        try:
            found += _decode_tell(data)
        except msgspec.DecodeError:
            continue
    return found
