"""Bodies are decompressed under bounds."""

import contextlib
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.intake import Reason
from headcount.intake.bodies import decompress
from headcount.intake.reasons import Refused


@pytest.mark.parametrize("encoding", [b"", b"identity", b" Identity "])
def test_a_plain_body_stays_as_it_is(encoding: bytes) -> None:
    assert decompress(b"body", encoding, 2) == b"body"


@given(st.binary(max_size=3000), st.sampled_from([b"gzip", b"GZIP", b"x-gzip", b" gzip "]))
def test_gzip_is_unpacked(body: bytes, encoding: bytes) -> None:
    assert decompress(gzip.compress(body), encoding, 3000) == body


def test_the_bound_is_on_what_is_unpacked() -> None:
    assert decompress(gzip.compress(b"x" * 1000), b"gzip", 1000) == b"x" * 1000
    with pytest.raises(Refused) as refused:
        decompress(gzip.compress(b"x" * 1001), b"gzip", 1000)
    assert refused.value.reason is Reason.BODY_TOO_LARGE


# Without a moment in its header, so that all workers of one run name these tests alike.
PACKED = gzip.compress(b"body" * 100, mtime=0)


@pytest.mark.parametrize(
    "body",
    [b"", b"body", PACKED[:-1], PACKED[:9], PACKED + b"x", PACKED + PACKED, b"\x1f\x8b",
     PACKED[:-8] + bytes(8), PACKED[:14] + b"\xff\xff" + PACKED[16:]],
)  # fmt: skip
def test_what_is_no_whole_gzip_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        decompress(body, b"gzip", 1000)
    assert refused.value.reason is Reason.INVALID_GZIP


@given(st.binary(max_size=60), st.integers(0, 40))
def test_damaged_gzip_is_unpacked_or_refused(noise: bytes, at: int) -> None:
    damaged = PACKED[:at] + noise + PACKED[at + len(noise) :]
    with contextlib.suppress(Refused):
        assert len(decompress(damaged, b"gzip", 1000)) <= 1000


@pytest.mark.parametrize("encoding", [b"br", b"deflate", b"gzip, gzip", b"zstd", b"\xff"])
def test_other_encodings_are_refused(encoding: bytes) -> None:
    with pytest.raises(Refused) as refused:
        decompress(PACKED, encoding, 1000)
    assert refused.value.reason is Reason.UNSUPPORTED_ENCODING
