"""Bodies are decompressed under bounds."""

import contextlib
import gzip
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.intake import Reason
from headcount.intake.decompression import GZIP_MEMBERS_MAX, decompress
from headcount.intake.reasons import Refused
from headcount.intake.work import at_once


def unpacked(body: bytes, encoding: bytes, bytes_max: int) -> bytes:
    return at_once(decompress(body, encoding, bytes_max))


@pytest.mark.parametrize("encoding", [b"", b"identity", b" Identity "])
def test_a_plain_body_stays_as_it_is(encoding: bytes) -> None:
    assert unpacked(b"body", encoding, 2) == b"body"


@given(st.binary(max_size=3000), st.sampled_from([b"gzip", b"GZIP", b"x-gzip", b" gzip "]))
def test_gzip_is_unpacked(body: bytes, encoding: bytes) -> None:
    assert unpacked(gzip.compress(body), encoding, 3000) == body


# Of sizes about those of the pieces that are unpacked at a time.
members = st.lists(
    st.tuples(
        st.one_of(
            st.binary(max_size=300),
            st.sampled_from([0, 1, 1 << 14, (1 << 18) - 1, 1 << 18, (1 << 18) + 1]).map(bytes),
            st.sampled_from([1 << 14, 1 << 18]).map(random.Random(1).randbytes),
        ),
        st.sampled_from([0, 0, 0, 1, 9]),
        st.sampled_from([0, 1, 9]),
    ),
    min_size=1,
    max_size=5,
)


@given(members)
def test_all_members_are_unpacked_and_zeros_after_them_passed_over(
    parts: list[tuple[bytes, int, int]],
) -> None:
    packed = b"".join(gzip.compress(part, level) + bytes(zeros) for part, zeros, level in parts)
    body = b"".join(part for part, _, _ in parts)
    assert gzip.decompress(packed) == body
    assert unpacked(packed, b"gzip", len(body)) == body
    for spoilt in (packed + b"x", packed.rstrip(b"\0")[:-1], bytes(1) + packed):
        with pytest.raises(Refused) as refused:
            unpacked(spoilt, b"gzip", len(body))
        assert refused.value.reason is Reason.INVALID_GZIP
    if body:
        with pytest.raises(Refused) as refused:
            unpacked(packed, b"gzip", len(body) - 1)
        assert refused.value.reason is Reason.BODY_TOO_LARGE


def test_members_are_bounded_however_little_is_in_them() -> None:
    empty = gzip.compress(b"")
    assert unpacked(empty * GZIP_MEMBERS_MAX, b"gzip", 0) == b""
    for members in (GZIP_MEMBERS_MAX + 1, 50 * GZIP_MEMBERS_MAX):
        with pytest.raises(Refused) as refused:
            unpacked(empty * members, b"gzip", 0)
        assert refused.value.reason is Reason.TOO_MANY_GZIP_MEMBERS


def test_a_large_body_is_unpacked_in_turns() -> None:
    turns = sum(1 for _ in decompress(gzip.compress(bytes(1 << 22)), b"gzip", 1 << 22))
    assert turns >= 15


def test_the_bound_is_on_what_is_unpacked() -> None:
    assert unpacked(gzip.compress(b"x" * 1000), b"gzip", 1000) == b"x" * 1000
    with pytest.raises(Refused) as refused:
        unpacked(gzip.compress(b"x" * 1001), b"gzip", 1000)
    assert refused.value.reason is Reason.BODY_TOO_LARGE


# Without a moment in its header, so that all workers of one run name these tests alike.
PACKED = gzip.compress(b"body" * 100, mtime=0)


@pytest.mark.parametrize(
    "body",
    [b"", b"body", PACKED[:-1], PACKED[:9], PACKED + b"x", PACKED + PACKED[:-1], b"\x1f\x8b",
     PACKED[:-8] + bytes(8), PACKED[:14] + b"\xff\xff" + PACKED[16:]],
)  # fmt: skip
def test_what_is_no_whole_gzip_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        unpacked(body, b"gzip", 1000)
    assert refused.value.reason is Reason.INVALID_GZIP


@given(st.binary(max_size=60), st.integers(0, 40))
def test_damaged_gzip_is_unpacked_or_refused(noise: bytes, at: int) -> None:
    damaged = PACKED[:at] + noise + PACKED[at + len(noise) :]
    with contextlib.suppress(Refused):
        assert len(unpacked(damaged, b"gzip", 1000)) <= 1000


@pytest.mark.parametrize("encoding", [b"br", b"deflate", b"gzip, gzip", b"zstd", b"\xff"])
def test_other_encodings_are_refused(encoding: bytes) -> None:
    with pytest.raises(Refused) as refused:
        unpacked(PACKED, encoding, 1000)
    assert refused.value.reason is Reason.UNSUPPORTED_ENCODING
