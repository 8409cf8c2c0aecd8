"""Records as most are, many at once: takes lines of JSON, gives facts of those that are plain.

A record is plain when the fast decoder takes it, its ids and fields are of the usual kinds, and
its time is written as libraries write it; what becomes of the others is for `RecordTaker` to say,
one by one, whose rules these are. Here no record is rejected, no source is looked up and no
attribute numbered, so that it may be done in another process; and what can be done to a thousand
records at once is not done to one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from headcount.counting.batch import FACT_DTYPE, Facts
from headcount.counting.facts import ABSENT, IMPORTED, MESSAGE_TYPES, tags_of
from headcount.counting.hashing import IdHasher
from headcount.importing.written_times import moments_ms

__all__ = ["Combination", "Names", "PlainLimits", "PlainRecords", "digest_of", "take_plain"]

Names = tuple[str | None, str | None, str | None]
"""`writeKey`, `sourceId` and `projectId` of a record."""

Combination = tuple[str, str | None, bytes, bytes]
"""Type, event, and what a context calls its library and its browser, as it came."""

Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]
_H = TypeVar("_H", bound=Hashable)

# What is made of so many records stays in a processor's cache while it is used.
_PIECE_RECORDS = 1_000
_LF, _OPENING, _CLOSING = b"\n{}"
# Of tracked ids the hashes of so many are remembered: people send more than one message.
_HASHES_MAX = 60_000

_NOTHING = msgspec.Raw()


class PlainLimits(NamedTuple):
    """How long things may be; whatever is longer is no plain record.

    Attributes:
        record_bytes: a record.
        id_characters: a userId, anonymousId, previousId or groupId.
        message_id_characters: a messageId.
    """

    record_bytes: int
    id_characters: int
    message_id_characters: int


class PlainRecords(NamedTuple):
    """What became of some lines.

    Attributes:
        facts: one for each line, in order, of number 0 for workspace and source and without the
            number of its attributes; of a line that is not plain it means nothing.
        others: the places of the lines that are not plain.
        names: how their sources are called, each once, in the order in which they were met.
        of_names: of each line the place of its source's names among these.
        combinations: attributes of messages, each once.
        of_combination: of each line the place of its attributes among these.
        digest: stands for all bytes of the lines.
    """

    facts: Facts
    others: _Ints
    names: list[Names]
    of_names: _Ints
    combinations: list[Combination]
    of_combination: _Ints
    digest: bytes


class _Context(msgspec.Struct, gc=False):
    library: msgspec.Raw = _NOTHING
    browser: msgspec.Raw = msgspec.field(name="userAgent", default=_NOTHING)


_NO_CONTEXT = _Context()
_Id = str | int | float | None


class _Record(msgspec.Struct, rename="camel", gc=False):
    """A plain record."""

    type: str
    message_id: str
    user_id: _Id = None
    anonymous_id: _Id = None
    event: str | None = None
    context: _Context | None = None
    received_at: str | None = None
    occurred_at: str | None = msgspec.field(name="timestamp", default=None)
    previous_id: _Id = None
    group_id: _Id = None
    write_key: str | None = None
    source_id: str | None = None
    project_id: str | None = None


_decoder = msgspec.json.Decoder(_Record)
_FAST_REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_TYPES: Mapping[str, int] = {each: place for place, each in enumerate(MESSAGE_TYPES)}
_TAGS = np.array([tags_of(each, "import") for each in MESSAGE_TYPES], np.uint32)
_TRACK, _GROUP, _ALIAS = (_TYPES[each] for each in ("track", "group", "alias"))
_STAND_IN = _Record("page", "m")


def digest_of(lines: bytes) -> bytes:
    """What stands for all bytes of some lines, joined by line feeds."""
    return hashlib.sha256(lines).digest()


def take_plain(
    lines: bytes, records: int, hasher: IdHasher, limits: PlainLimits, *, are_named: bool
) -> PlainRecords:
    """Take some lines, each of which holds something.

    Args:
        lines: joined by line feeds, none of them blank or with white space around it.
        records: how many lines these are.
        hasher: hashes ids; of an installation that uses one key.
        limits: how long things may be.
        are_named: whether it matters how sources are called.
    """
    pieces = [
        _taken(piece, ends, hasher, limits, are_named=are_named)
        for piece, ends in _pieces(lines, records)
    ]
    return _joined(pieces, digest_of(lines))


def _pieces(lines: bytes, records: int) -> Iterator[tuple[bytes, _Ints]]:
    """The lines, as many at once as stay in a processor's cache with all that is made of them; and
    where each of them ends."""
    ends = np.append(np.flatnonzero(np.frombuffer(lines, np.uint8) == _LF), len(lines))
    assert len(ends) == records, "each record is a line"
    start = 0
    for first in range(0, records, _PIECE_RECORDS):
        some = ends[first : first + _PIECE_RECORDS]
        end = int(some[-1])
        yield lines[start:end], some - start
        start = end + 1


def _joined(pieces: Sequence[PlainRecords], digest: bytes) -> PlainRecords:
    names, combinations = _Places[Names](), _Places[Combination]()
    first, others, of_names, of_combination = 0, [], [], []
    for each in pieces:
        others.append(each.others + first)
        first += len(each.facts)
        places = np.array([names[one] for one in each.names], np.int64)
        of_names.append(places[each.of_names])
        places = np.array([combinations[one] for one in each.combinations], np.int64)
        of_combination.append(places[each.of_combination])
    return PlainRecords(
        np.concatenate([each.facts for each in pieces]),
        np.concatenate(others),
        list(names),
        np.concatenate(of_names),
        list(combinations),
        np.concatenate(of_combination),
        digest,
    )


def _taken(
    lines: bytes, ends: _Ints, hasher: IdHasher, limits: PlainLimits, *, are_named: bool
) -> PlainRecords:
    records = len(ends)
    is_other = np.zeros(records, np.bool_)
    decoded = _decoded(lines, ends, is_other, limits.record_bytes)
    types, events = [each.type for each in decoded], [each.event for each in decoded]
    codes = np.fromiter(map(_TYPES.get, types, repeat(-1)), np.int64, records)
    is_other |= codes < 0
    if None in events:
        is_other |= (codes == _TRACK) & _are_none(events)
    facts = np.zeros(records, FACT_DTYPE)
    facts["tags"] = _TAGS[codes]
    facts["flags"] = IMPORTED | hasher.flags
    facts["received_at_ms"], are_others = moments_ms(_times(decoded))
    is_other |= are_others
    _hash_ids(facts, decoded, codes, hasher, limits, is_other)
    combinations, of_combination = _numbered(
        zip(types, events, *_told([each.context for each in decoded]), strict=True), records
    )
    names: list[Names] = [(None, None, None)]
    of_names = np.zeros(records, np.int64)
    if are_named:
        all_names = ((each.write_key, each.source_id, each.project_id) for each in decoded)
        names, of_names = _numbered(all_names, records)
    others = np.flatnonzero(is_other)
    return PlainRecords(facts, others, names, of_names, combinations, of_combination, b"")


def _times(decoded: Sequence[_Record]) -> list[str]:
    """When records were received, as they say it; empty where they do not."""
    texts = [each.received_at for each in decoded]
    if None in texts:
        texts = [
            (each.occurred_at or "") if each.received_at is None else each.received_at
            for each in decoded
        ]
    return texts  # type: ignore[return-value]


def _told(contexts: Sequence[_Context | None]) -> tuple[list[bytes], list[bytes]]:
    """What contexts call their libraries and their browsers."""
    if None in contexts:
        contexts = [each or _NO_CONTEXT for each in contexts]
    libraries = [bytes(each.library) for each in contexts]  # type: ignore[union-attr]
    return libraries, [bytes(each.browser) for each in contexts]  # type: ignore[union-attr]


def _hash_ids(
    facts: Facts,
    decoded: Sequence[_Record],
    codes: _Ints,
    hasher: IdHasher,
    limits: PlainLimits,
    is_other: Bools,
) -> None:
    """Put the hashes of records into facts; mark what has no such id as it needs, or another."""
    messages = [each.message_id for each in decoded]
    if not min(map(len, messages)) or max(map(len, messages)) > limits.message_id_characters:
        longest = limits.message_id_characters
        is_other |= np.array([not 0 < len(each) <= longest for each in messages])
    facts["message"] = np.frombuffer(b"".join(map(hasher.message, messages)), "<u8")

    def hashes(ids: Sequence[_Id]) -> npt.NDArray[np.uint64]:
        texts = _texts(ids, limits.id_characters, is_other)
        return np.frombuffer(b"".join(map(_remembered_hashes(hasher).__getitem__, texts)), "<u8")

    facts["user"] = users = hashes([each.user_id for each in decoded])
    facts["anonymous"] = visitors = hashes([each.anonymous_id for each in decoded])
    is_alias, is_group = codes == _ALIAS, codes == _GROUP
    is_other |= (users == 0) & ((visitors == 0) | is_alias)
    if is_alias.any():
        before = hashes([each.previous_id for each in decoded])
        is_other |= is_alias & (before == 0)
        facts["previous"] = np.where(is_alias, before, 0)
    if is_group.any():
        texts = _texts([each.group_id for each in decoded], limits.id_characters, is_other)
        is_other |= is_group & np.fromiter((not each for each in texts), np.bool_, len(texts))


def _decoded(lines: bytes, ends: _Ints, is_other: Bools, bytes_max: int) -> list[_Record]:
    """A record of each line, and a stand-in for one that is not plain, which is marked."""
    records, starts = len(ends), np.append(0, ends[:-1] + 1)
    is_other |= ends - starts > bytes_max
    # Only where each line is between braces is it one record of which nothing is in another line.
    seen = np.frombuffer(lines, np.uint8)
    is_other |= (seen[starts] != _OPENING) | (seen[ends - 1] != _CLOSING)
    if not is_other.any() and (lines.isascii() or _is_utf8(lines)):
        try:
            decoded = _decoder.decode_lines(lines)
            if len(decoded) == records:
                return decoded
        except _FAST_REFUSALS:
            pass
    decoded = [_STAND_IN] * records
    for place, line in enumerate(lines.split(b"\n")):
        if not is_other[place] and (line.isascii() or _is_utf8(line)):
            try:
                decoded[place] = _decoder.decode(line)
                continue
            except _FAST_REFUSALS:
                pass
        is_other[place] = True
    return decoded


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _texts(ids: Sequence[_Id], characters_max: int, is_other: Bools) -> Sequence[str | None]:
    """Ids as texts, None or empty for nothing; one that may be none is marked."""
    if {*map(type, ids)} <= _TEXT_OR_NOTHING:
        present: Iterator[str] = filter(None, ids)  # type: ignore[arg-type]
        if max(map(len, present), default=0) <= characters_max:
            return ids  # type: ignore[return-value]
    texts: list[str | None] = []
    for place, each in enumerate(ids):
        if type(each) is int and abs(each) < _PLAIN_INT_END:
            texts.append(str(each))
        elif each is None or each == "":
            texts.append(None)
        elif type(each) is str and len(each) <= characters_max:
            texts.append(each)
        else:
            texts.append(None)
            is_other[place] = True
    return texts


_TEXT_OR_NOTHING = {str, type(None)}
_PLAIN_INT_END = 10**18


def _are_none(values: Sequence[object]) -> Bools:
    return np.fromiter((each is None for each in values), np.bool_, len(values))


class _RememberedHashes(dict[str | None, bytes]):
    """Hashes of tracked ids under one key, some of which are remembered."""

    def __init__(self, hasher: IdHasher) -> None:
        super().__init__()
        self.hashed = hasher.tracked
        self[None] = self[""] = ABSENT

    def __missing__(self, text: str | None) -> bytes:
        assert text is not None
        hashed = self[text] = self.hashed(text)
        return hashed


_remembered: list[_RememberedHashes] = []


def _remembered_hashes(hasher: IdHasher) -> _RememberedHashes:
    known = _remembered[0] if _remembered else None
    # By the function: whoever looks for the texts of some hashes puts another one into the hasher.
    if known is None or known.hashed is not hasher.tracked or len(known) > _HASHES_MAX:
        known = _RememberedHashes(hasher)
        _remembered[:] = [known]
    return known


def _numbered(values: Iterable[_H], count: int) -> tuple[list[_H], _Ints]:
    """Values, each once, and of each one its place among these."""
    places = _Places[_H]()
    numbers = np.fromiter(map(places.__getitem__, values), np.int64, count)
    return list(places), numbers


class _Places(dict[_H, int]):
    """Numbers things in the order in which they are met."""

    def __missing__(self, value: _H) -> int:
        place = self[value] = len(self)
        return place
