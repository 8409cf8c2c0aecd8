"""Records taken many at once become what they become one by one, also in other processes."""

import io
import json
import os
import signal
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headcount.counting.attributes import NUMBER_SHIFT, Attributes, NumberedAttributes
from headcount.counting.facts import FACT_BYTES, Rejection
from headcount.importing.chunks import Context, ImportChunk, import_chunks
from headcount.importing.decoder_processes import DecoderProcesses
from headcount.importing.decoders import DecoderPool, Decoders
from headcount.importing.line_files import LineFile, LineReader, gathered
from headcount.importing.plain_records import PlainRecords
from headcount.intake import Reason, SourceRef
from headcount.intake.records import RecordTaker, RejectedRecord, Tallies
from support.intake import HASHER, NOW_MS, Fact, Past, unpack

THEN = "2026-02-03T04:05:06.789Z"
Seen = tuple[list[tuple[Fact, Attributes]], list[tuple[int, Reason]], list[Rejection]]


def named(write_key: str | None, source_id: str | None, project_id: str | None) -> SourceRef | None:
    return Past().source(1, write_key, source_id or project_id)


CONTEXT = Context(named, Past().sealed, HASHER, lambda: NOW_MS, b"import")

TEXTS = st.sampled_from(["a", "b", "", "é", "😀", "x" * 100, "x" * 101, "x" * 1025, "0"])
IDS = st.one_of(TEXTS, st.sampled_from([None, 0, -7, 1 << 70, 1.5, 2.0, True, [], {}, "\ud800"]))
TIMES = st.sampled_from(
    [
        THEN, "2026-02-03T04:05:06Z", "2026-02-03T04:05:06.1Z", "2026-02-28T23:59:59.123456789Z",
        "2026-02-03t04:05:06z", "2026-02-03 04:05:06.7Z", "2026-02-03T04:05:06+02:00",
        "2026-02-03T04:05:60.500Z", "2026-02-03T24:05:06Z", "2026-02-30T04:05:06Z",
        "2026-02-03T04:05:06", "2026-02-03", "1999-12-31T23:59:59Z", "2027-01-01T00:00:00Z",
        "2026-01-15T00:00:00Z", "2026-02-03T04:05:0xZ", "2026-02-03T04:05:06.Z", "٢٠٢٦", "",
        "0000-00-00T00:00:00Z", "2026-02-03T04:05:06.1234567890Z", "2026-11-24T00:00:00.000Z",
        None, 7,
    ]
)  # fmt: skip
CONTEXTS = st.sampled_from(
    [
        {}, None, "x", 3, [], {"library": {"name": "analytics.js", "version": "2"}},
        {"library": "odd", "userAgent": "Googlebot/2.1"}, {"userAgent": 4, "library": None},
    ]
)  # fmt: skip
TYPES = st.sampled_from(
    ["track", "identify", "page", "screen", "group", "alias", "nonsense", "", None, 3]
)
RECORDS = st.fixed_dictionaries(
    {"type": TYPES},
    optional={
        "messageId": IDS, "userId": IDS, "anonymousId": IDS, "previousId": IDS, "groupId": IDS,
        "event": st.sampled_from(["Bought", "", None, 3]), "receivedAt": TIMES, "timestamp": TIMES,
        "writeKey": st.sampled_from(["web-key", "off-key", "none", None, 5]),
        "sourceId": st.sampled_from(["web", "app", "none"]), "context": CONTEXTS,
        "properties": st.sampled_from([{"deep": [[[]]]}, "\ud800", 1e300]),
    },
)  # fmt: skip
USUAL: dict[str, Any] = {
    "type": "track", "event": "Bought", "messageId": "m", "userId": "u", "receivedAt": THEN,
    "sourceId": "web",
}  # fmt: skip
PLAIN = json.dumps(USUAL).encode()
LINES = st.one_of(
    RECORDS.map(lambda record: json.dumps(record).encode()),
    RECORDS.map(lambda record: json.dumps(USUAL | record).encode()),
    st.sampled_from(
        [
            PLAIN, PLAIN, PLAIN, PLAIN + PLAIN, PLAIN[:-1], PLAIN[1:], b"{}", b"", b"  ", b"null",
            b"[]",
            b"  " + PLAIN, PLAIN + b",", b"{\xff}", PLAIN.replace(b"Bought", b"B\xff"),
            PLAIN.replace(b'"u"', b'"u", "userId": "v"'), PLAIN[:-1] + b', "x": 1e999}',
            PLAIN.replace(b'"u"', b"-0"), PLAIN[:-1] + b', "x": "' + b"x" * 70_000 + b'"}',
            b'{"type":"track",', b'"messageId":"m"}', b"{" + PLAIN + b"}",
        ]
    ),
)  # fmt: skip


def one_by_one(content: bytes) -> Seen:
    """What the rules say of each line by itself."""
    taker = RecordTaker(named, Past().sealed, HASHER)
    taker.begin(NOW_MS)
    facts, errors, tallies = b"", [], Tallies()
    for number, line in LineReader(io.BytesIO(content)):
        outcome = taker.take(line)
        if isinstance(outcome, RejectedRecord):
            errors.append((number, outcome.reason))
            tallies.add(outcome)
        else:
            facts += outcome
    return attributed(facts, taker.told()), errors, sorted(tallies.rejections())


def attributed(facts: bytes, told: Iterable[NumberedAttributes]) -> list[tuple[Fact, Attributes]]:
    """Facts with what the numbers in their tags say."""
    known = {each.number: each.attributes for each in told}
    tags = [
        int.from_bytes(facts[at + 16 : at + 20], "little")
        for at in range(0, len(facts), FACT_BYTES)
    ]
    return [
        (fact, known[tag >> NUMBER_SHIFT]) for fact, tag in zip(unpack(facts), tags, strict=True)
    ]


def together(chunks: Iterable[ImportChunk]) -> Seen:
    facts: list[tuple[Fact, Attributes]] = []
    errors: list[tuple[int, Reason]] = []
    tallies: dict[tuple[Any, ...], int] = {}
    for chunk in chunks:
        facts += attributed(chunk.facts, chunk.attributes)
        errors += [(each.line_number, each.reason) for each in chunk.errors]
        for *place, messages in chunk.rejections:
            tallies[tuple(place)] = tallies.get(tuple(place), 0) + messages
    return facts, errors, sorted(Rejection(*place, n) for place, n in tallies.items())


@settings(max_examples=400)
@example([json.dumps(USUAL | {"type": "group", "groupId": ""}).encode()], b"\n", 1)
@given(st.lists(LINES, max_size=12), st.sampled_from([b"\n", b"\r\n"]), st.integers(1, 6))
def test_taken_together_they_are_what_they_are_one_by_one(
    lines: list[bytes], ending: bytes, chunk_records: int
) -> None:
    content = ending.join(lines)
    chunks = import_chunks(LineFile(io.BytesIO(content)), CONTEXT, chunk_records=chunk_records)
    assert together(chunks) == one_by_one(content)


@given(st.lists(LINES, max_size=12), st.integers(1, 4))
def test_chunks_end_where_they_end_when_lines_are_read_one_by_one(
    lines: list[bytes], chunk_records: int
) -> None:
    content = b"\n".join(lines)
    cut = [
        (each.joined, [*each.numbers])
        for each in LineFile(io.BytesIO(content)).gathered(chunk_records)
    ]
    read = gathered(LineReader(io.BytesIO(content)), chunk_records)
    assert cut == [(each.joined, [*each.numbers]) for each in read]


@pytest.mark.parametrize("line_bytes", [500, 60_000])
def test_chunks_of_long_lines_end_at_the_same_bytes(line_bytes: int) -> None:
    line = b'{"x":"' + b"x" * line_bytes + b'"}'
    for odd in (b"", b"\n", b'{"x":"' + b"x" * 6_000_000 + b'"}\n'):
        content = (line + b"\n") * 90 + odd + (line + b"\n") * (12_000_000 // line_bytes)
        cut = [*LineFile(io.BytesIO(content)).gathered(10_000)]
        read = [*gathered(LineReader(io.BytesIO(content)), 10_000)]
        assert [each.joined for each in cut] == [each.joined for each in read]
        assert [[*each.numbers] for each in cut] == [[*each.numbers] for each in read]
        assert max(len(each.joined) for each in cut) < 5_000_000


def test_what_was_decoded_elsewhere_is_the_same_though_who_does_it_dies() -> None:
    usual = [PLAIN.replace(b'"m"', f'"{number}"'.encode()) for number in range(300)]
    content = b"\n".join(
        [*usual, b"[]", PLAIN, b"{", *usual, PLAIN.replace(b"web", b"none"), PLAIN]
    )
    expected = one_by_one(content)

    def taken(pool: DecoderPool) -> Iterable[ImportChunk]:
        return import_chunks(LineFile(io.BytesIO(content)), CONTEXT, chunk_records=20, pool=pool)

    with closing(DecoderPool(processes=2, chunks_alone=1)) as pool:
        assert together(taken(pool)) == expected
        assert len(pool.pids) == 2
    with closing(DecoderPool(processes=2, chunks_alone=1)) as pool:
        seen = []
        for chunk in taken(pool):
            if len(seen) == 4:
                for pid in pool.pids:
                    os.kill(pid, signal.SIGKILL)
            seen.append(chunk)
        assert together(seen) == expected


class ALineAtATime(io.BytesIO):
    """Lines that come one by one; once so many have come, what is stopped goes on."""

    def __init__(self, content: bytes, lines: int, stopped: Sequence[int]) -> None:
        super().__init__(content)
        self.left = lines
        self.stopped = stopped

    def read1(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left == 0:
            for pid in self.stopped:
                os.kill(pid, signal.SIGCONT)
        return super().readline(size)


def test_who_asks_decodes_what_others_have_no_time_for_and_all_stays_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = [PLAIN.replace(b'"m"', f'"{number}"'.encode()) for number in range(200)]
    content = b"\n".join(lines)
    here = []
    take_here = Decoders.take_here

    def noted(self: Decoders, lines: bytes, records: int) -> PlainRecords:
        here.append(threading.current_thread() is threading.main_thread())
        return take_here(self, lines, records)

    monkeypatch.setattr(Decoders, "take_here", noted)
    processes = DecoderProcesses(1)
    processes.expect(1 << 30)
    with closing(DecoderPool(processes)) as pool:
        for pid in pool.pids:
            os.kill(pid, signal.SIGSTOP)
        # One chunk is asked for and one waits: the third is decoded here, before they can go on.
        file = LineFile(ALineAtATime(content, 35, pool.pids))
        chunks = import_chunks(file, CONTEXT, chunk_records=10, pool=pool)
        assert together(chunks) == one_by_one(content)
    assert here
    assert all(here)
    assert pool.pids == []


def test_a_short_import_starts_nobody() -> None:
    with closing(DecoderProcesses()) as processes:
        processes.expect(1 << 20)
        assert processes.pids == []
