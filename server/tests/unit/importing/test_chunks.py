"""Lines of a file become facts of the moment and source that each names, the same every time."""

import io
import json
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.calendar import parse_period
from headcount.counting.facts import IMPORTED, Rejection
from headcount.importing.chunks import Context, ImportChunk, import_chunks
from headcount.importing.line_files import LineReader
from headcount.intake import FindSource, Limits, Reason, SourceRef
from headcount.intake.tracking import Receipt, Tracker
from support.intake import APP, HASHER, NOW_MS, TODAY, WEB, Keys, Past, unpack

RECORD_BYTES_MAX = Limits().record_bytes_max
THEN = "2026-02-03T04:05:06.789Z"
THEN_MS = 1_770_091_506_789
GOOD = {"type": "page", "userId": "u", "receivedAt": THEN}


def web(write_key: str | None, source_id: str | None, project_id: str | None) -> SourceRef | None:
    """An import into one source."""
    return WEB


def named(write_key: str | None, source_id: str | None, project_id: str | None) -> SourceRef | None:
    """An import whose records name their sources."""
    return Past().source(1, write_key, source_id)


def context(
    find_source: FindSource = web, now_ms: int = NOW_MS, name: bytes = b"import"
) -> Context:
    return Context(find_source, Past().sealed, HASHER, lambda: now_ms, name)


def run(lines: Iterable[tuple[int, bytes]], find_source: FindSource = web) -> ImportChunk:
    """All chunks as one."""
    whole = ImportChunk()
    for chunk in import_chunks(lines, context(find_source), chunk_records=3):
        assert 0 < chunk.records <= 3
        assert len(unpack(chunk.facts)) + len(chunk.errors) == chunk.records
        whole.facts += chunk.facts
        whole.rejections += chunk.rejections
        whole.errors += chunk.errors
        whole.records += chunk.records
        whole.last_line_number = chunk.last_line_number
    return whole


def lines(*records: object) -> Iterator[tuple[int, bytes]]:
    return ((n, json.dumps(record).encode()) for n, record in enumerate(records, 1))


def test_a_record_becomes_a_fact_of_its_own_moment() -> None:
    record = {
        "type": "alias",
        "userId": "u",
        "previousId": "p",
        "messageId": "m",
        "receivedAt": THEN,
    }
    (fact,) = unpack(run(lines(record)).facts)
    assert fact == (
        THEN_MS, 1, 2, "alias", "import", IMPORTED,
        HASHER.message("m"), HASHER.tracked("u"), None, HASHER.tracked("p"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("times", "moment_ms"),
    [
        ({"receivedAt": THEN, "timestamp": "nonsense"}, THEN_MS),
        ({"timestamp": THEN}, THEN_MS),
        ({"receivedAt": None, "timestamp": THEN}, THEN_MS),
        ({"receivedAt": "2026-02-03T05:05:06.789+01:00"}, THEN_MS),
        ({"receivedAt": "2026-11-24T00:00:00Z"}, NOW_MS),
    ],
)
def test_received_at_counts_and_else_the_timestamp(times: dict[str, str], moment_ms: int) -> None:
    (fact,) = unpack(run(lines({"type": "page", "userId": "u", **times})).facts)
    assert fact.received_at_ms == moment_ms


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ({}, Reason.NO_RECEIVED_AT),
        ({"receivedAt": None}, Reason.NO_RECEIVED_AT),
        ({"receivedAt": ""}, Reason.INVALID_RECEIVED_AT),
        ({"receivedAt": "yesterday"}, Reason.INVALID_RECEIVED_AT),
        ({"receivedAt": "2026-02-30T00:00:00Z"}, Reason.INVALID_RECEIVED_AT),
        ({"receivedAt": "2026-02-03"}, Reason.INVALID_RECEIVED_AT),
        ({"receivedAt": 1_770_091_506_789, "timestamp": THEN}, Reason.INVALID_RECEIVED_AT),
        ({"receivedAt": [], "timestamp": THEN}, Reason.INVALID_RECEIVED_AT),
        ({"timestamp": "nonsense"}, Reason.INVALID_RECEIVED_AT),
        ({"receivedAt": "2026-02-03T04:05:06"}, Reason.RECEIVED_AT_WITHOUT_ZONE),
        ({"receivedAt": "2026-11-24T00:00:00.001Z"}, Reason.RECEIVED_AT_IN_FUTURE),
        ({"receivedAt": "2026-11-23T23:30:00-01:00"}, Reason.RECEIVED_AT_IN_FUTURE),
    ],
)
def test_a_time_that_will_not_do_rejects_the_record(
    times: dict[str, object], reason: Reason
) -> None:
    result = run(lines({"type": "page", "userId": "u", **times}))
    assert [error.reason for error in result.errors] == [reason]
    # There is no day of receipt to put it to, so it is put to the day of the import.
    assert result.rejections == [Rejection(1, 2, TODAY, reason.value, 1)]
    assert not result.facts


def test_bad_records_are_named_by_line_and_cost_only_themselves() -> None:
    bad = [
        (2, b"nonsense"),
        (3, b"[]"),
        (5, json.dumps({**GOOD, "type": "order"}).encode()),
        (6, json.dumps({**GOOD, "userId": 1.5}).encode()),
        (8, b"x" * (RECORD_BYTES_MAX + 1)),
    ]
    good = [(number, json.dumps(GOOD).encode()) for number in (1, 4, 7, 9)]
    result = run(sorted(good + bad))
    assert [(error.line_number, error.reason) for error in result.errors] == [
        (2, Reason.MALFORMED_JSON), (3, Reason.NOT_AN_OBJECT), (5, Reason.UNKNOWN_TYPE),
        (6, Reason.INVALID_ID), (8, Reason.MESSAGE_TOO_LARGE),
    ]  # fmt: skip
    assert len(unpack(result.facts)) == 4
    assert (result.records, result.last_line_number) == (9, 9)
    then = THEN_MS // 86_400_000
    assert Rejection(1, 2, then, "invalid_id", 1) in result.rejections
    assert Rejection(1, 2, TODAY, "malformed_json", 1) in result.rejections


def test_records_name_their_source_by_key_or_id() -> None:
    result = run(
        lines(
            {**GOOD, "writeKey": "app-key"}, {**GOOD, "sourceId": "web"},
            {**GOOD, "writeKey": "off-key"}, {**GOOD, "writeKey": "no-such-key"}, GOOD,
            {**GOOD, "sourceId": 5},
        ),
        named,
    )  # fmt: skip
    # A disabled source takes nothing new, but what it had before may be brought in.
    assert [fact.source for fact in unpack(result.facts)] == [APP.source, WEB.source, 4]
    assert [error.reason for error in result.errors] == [Reason.UNKNOWN_SOURCE] * 3
    assert result.rejections == []


records = st.lists(
    st.fixed_dictionaries(
        {"type": st.just("page"), "userId": st.sampled_from("ab"), "receivedAt": st.just(THEN)},
        optional={"messageId": st.sampled_from(["m", "", None])},
    )
)


@given(records, records)
def test_made_ids_are_the_same_each_time_and_all_different(
    first: list[dict[str, object]], second: list[dict[str, object]]
) -> None:
    assert run(lines(*first)).facts == run(lines(*first)).facts
    made = [
        fact.message
        for record, fact in zip(first, unpack(run(lines(*first)).facts), strict=True)
        if not record.get("messageId")
    ]
    assert len(set(made)) == len(made)
    # What other records stand between does not matter, nor do line numbers.
    both = {fact.message for fact in unpack(run(lines(*first, *second)).facts)}
    assert {fact.message for fact in unpack(run(lines(*second)).facts)} <= both


def test_made_ids_of_two_sources_differ() -> None:
    one, other = (
        unpack(run(lines({**GOOD, "sourceId": "web"}), find_source).facts)[0]
        for find_source in (lambda *names: WEB, lambda *names: APP)
    )
    assert one.message != other.message


# Marks: what an earlier import of the same content has taken is passed over.


def chunks(
    records: Iterable[tuple[int, bytes]],
    known_checkpoints: Container[bytes] = frozenset(),
    **circumstances: Any,
) -> list[ImportChunk]:
    return list(
        import_chunks(
            records, context(**circumstances), known_checkpoints=known_checkpoints, chunk_records=3
        )
    )  # fmt: skip


def checkpoints_of(chunks: Iterable[ImportChunk]) -> list[bytes]:
    return [chunk.checkpoint for chunk in chunks if chunk.checkpoint is not None]


@given(records, st.integers(0, 10))
def test_an_interrupted_import_goes_on_as_if_nothing_had_been(
    records: list[dict[str, object]], taken: int
) -> None:
    whole = chunks(lines(*records))
    resumed = chunks(lines(*records), set(checkpoints_of(whole[:taken])))
    assert [chunk.is_passed_over for chunk in resumed] == [n < taken for n in range(len(whole))]
    # Made ids depend on the equal records before, passed over or not.
    assert [chunk.facts for chunk in resumed[taken:]] == [chunk.facts for chunk in whole[taken:]]
    assert not any(chunk.facts for chunk in resumed[:taken])
    assert checkpoints_of(resumed) == checkpoints_of(whole)
    assert sum(chunk.records for chunk in resumed) == len(records)


def test_a_rejected_record_is_not_tallied_again() -> None:
    bad = list(lines(GOOD, [], GOOD, {**GOOD, "userId": 1.5}))
    whole = chunks(bad)
    resumed = chunks(bad, set(checkpoints_of(whole)))
    assert [(c.is_passed_over, c.rejections) for c in resumed] == [(True, [])] * 2
    # It is named again, since whoever goes on asks which lines were refused.
    assert [c.errors for c in resumed] == [c.errors for c in whole] != [[], []]


def test_a_month_that_was_closed_since_then_makes_nothing_refused_that_was_taken() -> None:
    taken = list(lines(GOOD))
    before = replace(context(), sealed=lambda _workspace: set())
    after = replace(context(), sealed=lambda _workspace: {parse_period("2026-02-01")})
    known = set(checkpoints_of(import_chunks(taken, before)))
    [resumed] = import_chunks(taken, after, known_checkpoints=known)
    assert (resumed.is_passed_over, resumed.errors) == (True, [])


def test_a_mark_stands_for_all_that_came_before() -> None:
    first = checkpoints_of(chunks(lines(*[GOOD] * 6)))
    changed = checkpoints_of(chunks(lines({**GOOD, "userId": "v"}, *[GOOD] * 5)))
    assert set(first).isdisjoint(changed)
    # More at the end changes what is there already in nothing but the last, unfilled chunk.
    longer = checkpoints_of(chunks(lines(*[GOOD] * 8)))
    assert longer[:2] == first


def test_checkpoints_hold_for_the_same_circumstances_alone() -> None:
    taken = set(checkpoints_of(chunks(lines(GOOD), name=b"with the sources of yesterday")))
    [again] = chunks(lines(GOOD), taken, name=b"with the sources of today")
    assert not again.is_passed_over


def test_a_record_that_came_too_early_is_looked_at_again() -> None:
    early = {**GOOD, "receivedAt": "2026-11-24T10:00:00Z"}
    first = chunks(lines(GOOD, early, GOOD, GOOD))
    assert [chunk.checkpoint is None for chunk in first] == [True, False]
    later = chunks(
        lines(GOOD, early, GOOD, GOOD), set(checkpoints_of(first)), now_ms=NOW_MS + 86_400_000
    )
    assert [chunk.is_passed_over for chunk in later] == [False, True]
    assert len(unpack(later[0].facts)) == 3


def test_long_records_make_shorter_chunks() -> None:
    long = {**GOOD, "x": "x" * 30_000}
    records = [json.dumps(long).encode()] * 300
    held = list(import_chunks(enumerate(records, 1), context()))
    assert sum(chunk.records for chunk in held) == 300
    assert max(chunk.records for chunk in held) * 30_000 < 5_000_000


# What else a record may be refused for.


def test_a_closed_month_takes_nothing_more() -> None:
    closed = {**GOOD, "receivedAt": "2026-01-31T23:59:59.999Z"}
    open_again = {**GOOD, "receivedAt": "2026-02-01T00:00:00Z"}
    result = run(lines(closed, open_again, closed))
    assert [(error.line_number, error.reason) for error in result.errors] == [
        (1, Reason.PERIOD_SEALED), (3, Reason.PERIOD_SEALED),
    ]  # fmt: skip
    assert len(unpack(result.facts)) == 1
    # Nothing of a closed month changes, so its refusals stand in the outcomes of today.
    assert result.rejections == [Rejection(1, 2, TODAY, "period_sealed", 2)]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-be", "utf-8"])
def test_a_line_in_another_encoding_is_named_and_costs_only_itself(encoding: str) -> None:
    text = json.dumps({**GOOD, "userId": "Zoë", "properties": "Zoë"}, ensure_ascii=False)
    strange = text.encode(encoding)
    utf8 = text.encode()
    result = run([(1, utf8), (2, strange), (3, utf8)])
    if encoding == "utf-8":
        assert result.errors == []
    else:
        [error] = result.errors
        assert error.line_number == 2
        assert error.reason is Reason.NOT_UTF8


PLAIN = b'{"a":1}\n{"b":2}\n'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (PLAIN, [(1, b'{"a":1}'), (2, b'{"b":2}')]),
        (PLAIN[:-1], [(1, b'{"a":1}'), (2, b'{"b":2}')]),
        (b"\xef\xbb\xbf" + PLAIN, [(1, b'{"a":1}'), (2, b'{"b":2}')]),
        (PLAIN.replace(b"\n", b"\r\n"), [(1, b'{"a":1}'), (2, b'{"b":2}')]),
        (b"\n \t\r\n" + PLAIN, [(3, b'{"a":1}'), (4, b'{"b":2}')]),
        (b"  {} \n", [(1, b"{}")]),
    ],
)
def test_lines_are_read_without_what_is_around_them(
    content: bytes, expected: list[tuple[int, bytes]]
) -> None:
    assert list(LineReader(io.BytesIO(content))) == expected


class Watched(io.BytesIO):
    """A file that notes how much was asked for at once."""

    most = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size > 0
        self.most = max(self.most, size)
        return super().readline(size)


@pytest.mark.parametrize("size", [RECORD_BYTES_MAX + 1, RECORD_BYTES_MAX + 9, 5_000_000])
def test_a_line_that_is_too_long_is_not_read_whole(size: int) -> None:
    long = b'{"x":"' + b"x" * (size - 8) + b'"}'
    file = Watched(b"{}\n" + long + b"\n{}\n" + long)
    given = list(LineReader(file))
    assert [number for number, _ in given] == [1, 2, 3, 4]
    assert [len(line) for _, line in given] == [2, RECORD_BYTES_MAX + 1, 2, RECORD_BYTES_MAX + 1]
    assert file.most <= RECORD_BYTES_MAX + 8
    result = run(given)
    assert [error.reason for error in result.errors if error.line_number in (2, 4)] == [
        Reason.MESSAGE_TOO_LARGE
    ] * 2


# What a pipeline adds to a message before it archives it.
ADDED = {
    "receivedAt": THEN, "sentAt": THEN, "originalTimestamp": THEN, "timestamp": THEN, "version": 2,
    "writeKey": "web-key", "sourceId": "web", "channel": "server", "metadata": {"ip": "10.0.0.1"},
}  # fmt: skip


@pytest.mark.parametrize("character", ["x", "é", "ж", "中", "😀", "\u2028", '"'])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_what_was_accepted_as_a_message_is_accepted_as_a_record(
    character: str, ascii_only: bool
) -> None:
    def message(characters: int) -> dict[str, object]:
        return {"type": "page", "userId": "u", "properties": {"note": character * characters}}

    def written(characters: int) -> bytes:
        return json.dumps(message(characters), ensure_ascii=False, separators=(",", ":")).encode()

    room = Limits().message_bytes_max - len(written(0))
    characters = room // (len(written(1)) - len(written(0)))
    live = written(characters)
    assert len(live) > Limits().message_bytes_max - 10
    tracker = Tracker(Keys(), HASHER, Limits())
    assert tracker.take_message(live, "page", Receipt(NOW_MS, "other"), WEB)
    record = json.dumps(message(characters) | ADDED, ensure_ascii=ascii_only).encode()
    assert len(record) > Limits().message_bytes_max
    result = run(LineReader(io.BytesIO(record + b"\n")))
    assert (len(unpack(result.facts)), result.errors) == (1, [])


def test_a_line_of_the_largest_size_is_read_whole() -> None:
    record = json.dumps({**GOOD, "x": ""}).encode()
    record = record[:-2] + b"x" * (RECORD_BYTES_MAX - len(record)) + record[-2:]
    assert len(record) == RECORD_BYTES_MAX
    result = run(LineReader(io.BytesIO(b"\xef\xbb\xbf" + record + b"\r\n" + record)))
    assert (result.records, result.errors) == (2, [])


def test_another_largest_size_holds_for_files_too() -> None:
    record = json.dumps({**GOOD, "x": "x" * 200}).encode()
    for size, expected in ((len(record), []), (len(record) - 1, [Reason.MESSAGE_TOO_LARGE])):
        circumstances = replace(context(), record_bytes_max=size)
        [chunk] = import_chunks(LineReader(io.BytesIO(record), size), circumstances)
        assert [error.reason for error in chunk.errors] == expected
