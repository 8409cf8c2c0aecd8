"""What is in a compressed file comes out of it, up to where it breaks, in bounded pieces."""

import gzip
import io
import lzma
import tracemalloc
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from headcount.importing.compression import Damaged, decompressed

Compress = Callable[[bytes], bytes]
KINDS: dict[str, Compress] = {"x.gz": gzip.compress, "x.zst": zstandard.compress}


def read(compressed: bytes, name: str, size: int = 1 << 16) -> tuple[bytes, str | None]:
    """What came out, and what was wrong."""
    whole = b""
    try:
        pieces = decompressed(io.BufferedReader(io.BytesIO(compressed)), name)
        while piece := pieces.read1(size):
            assert len(piece) <= size
            whole += piece
    except Damaged as error:
        return whole, str(error)
    return whole, None


@pytest.mark.parametrize("name", KINDS)
@given(parts=st.lists(st.binary(max_size=5000), min_size=1), size=st.integers(1, 9000))
def test_any_number_of_members_or_frames_is_one_content(
    name: str, parts: list[bytes], size: int
) -> None:
    compressed = b"".join(KINDS[name](part) for part in parts)
    assert read(compressed, name, size) == (b"".join(parts), None)
    # Without a name that says so, the first bytes do.
    assert read(compressed, "", size) == (b"".join(parts), None)


CONTENT = b"".join(b"line %d\n" % (n * n) for n in range(3000))


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_a_file_that_is_cut_gives_what_came_before(name: str, data: st.DataObject) -> None:
    compressed = KINDS[name](CONTENT)
    cut = data.draw(st.integers(0, len(compressed) - 1))
    whole, failure = read(compressed[:cut], name)
    assert CONTENT.startswith(whole)
    assert failure is not None
    assert "ends too early" in failure or "empty or not" in failure


def test_zeros_after_a_gzip_member_are_nothing_and_anything_else_is_damage() -> None:
    compressed = gzip.compress(CONTENT)
    assert read(compressed + bytes(512), "x.gz") == (CONTENT, None)
    assert read(compressed + bytes(9) + compressed, "x.gz") == (CONTENT + CONTENT, None)
    whole, failure = read(compressed + b"not gzip at all", "x.gz")
    assert (whole, failure is None) == (CONTENT, False)


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_a_file_that_is_scrambled_gives_no_wrong_byte_silently(
    name: str, data: st.DataObject
) -> None:
    compressed = bytearray(KINDS[name](CONTENT))
    at = data.draw(st.integers(10, len(compressed) - 1))
    compressed[at] ^= data.draw(st.integers(1, 255))
    whole, failure = read(bytes(compressed), name)
    # zstandard.compress writes no checksum, so there only gzip can tell.
    if name == "x.gz" and whole != CONTENT:
        assert failure is not None


@pytest.mark.parametrize("name", KINDS)
def test_a_second_part_that_is_cut_costs_the_first_nothing(name: str) -> None:
    compressed = KINDS[name](CONTENT)
    whole, failure = read(compressed + compressed[:9], name)
    assert whole == CONTENT
    assert failure is not None


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("content", [b"", b"{}\n", lzma.compress(b"{}")])
def test_what_is_not_what_its_name_says_is_damaged(name: str, content: bytes) -> None:
    assert read(content, name.upper()) == read(content, name)
    whole, failure = read(content, name)
    assert whole == b""
    assert failure is not None
    assert "as its name says it is" in failure


def test_frames_to_be_skipped_are_skipped() -> None:
    skippable = b"\x55\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"abcd"
    assert read(skippable + zstandard.compress(CONTENT) + skippable, "") == (CONTENT, None)


def test_a_window_too_large_for_this_machine_is_refused_by_name() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28)
    frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    whole, failure = read(frame.compress(CONTENT) + frame.flush(), "x.zst")
    assert whole == b""
    assert failure is not None
    assert "memory" in failure


@pytest.mark.parametrize("name", KINDS)
def test_a_file_made_small_is_unpacked_piece_by_piece(name: str) -> None:
    compressed = KINDS[name](bytes(100_000_000))
    pieces = decompressed(io.BufferedReader(io.BytesIO(compressed)), name)
    tracemalloc.start()
    try:
        while pieces.read1(1 << 18):
            pass
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


def test_plain_text_stays_what_it_is() -> None:
    assert read(CONTENT, "x.ndjson", 7) == (CONTENT, None)
    assert read(b"", "x.ndjson") == (b"", None)
