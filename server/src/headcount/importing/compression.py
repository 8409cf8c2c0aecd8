"""Compressed files as streams: takes a file and its name, gives what is in it, piece by piece.

Knows gzip and zstd, by the name or, where that says nothing, by the first bytes. A file that is
damaged or ends too early gives all that comes before, and then raises `Damaged`. Memory stays
bounded, however small a file was made.
"""

from __future__ import annotations

import io
from typing import Protocol, cast

from isal import isal_zlib

from headcount.errors import HeadcountError

__all__ = ["Damaged", "Pieces", "Unfit", "decompressed"]

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # after a first byte of which there are sixteen
_GZIP_WINDOW_BITS = 31  # the largest window, and a header and a trailer around the data
_PIECE_BYTES = 1 << 16
# Out of so little zstd can make 16 MiB, and it cannot be asked for less.
_ZSTD_PIECE_BYTES = 512
_ZSTD_WINDOW_BYTES_MAX = 1 << 27  # what the zstd program takes without being told to

# The library's type hints take its exception class for an instance.
_ISAL_ERROR = cast(type[Exception], isal_zlib.error)


class Damaged(HeadcountError):
    """A file cannot be read further; the text says why."""


class Unfit(Damaged):
    """A file is whole, and no messages can be made of it; the text says why."""


class Pieces(Protocol):
    """What is in a file."""

    def read1(self, size: int, /) -> bytes:
        """Some bytes, at most `size`; none at the end.

        Raises:
            Damaged: there is more, but it cannot be decompressed.
            OSError: there is more, but it cannot be read.
        """
        ...


def decompressed(raw: io.BufferedReader, name: str) -> Pieces:
    """What is in a file.

    Args:
        raw: the file, at its beginning.
        name: what it is called; an ending in .gz or .zst, in any case, says how it is
            compressed.

    Raises:
        Damaged: its beginning is not what its name says.
        OSError: it cannot be read.
    """
    start = raw.peek(4)[:4]
    is_gzip = start.startswith(_GZIP)
    is_zstd = start == _ZSTD or start[1:] == _ZSTD_SKIPPABLE
    for ending, is_so, kind in ((".gz", is_gzip, "gzip"), (".zst", is_zstd, "zstd")):
        if name.lower().endswith(ending) and not is_so:
            raise Damaged(f"it is empty or not {kind}, as its name says it is")
    if is_gzip:
        return _Gzip(raw)
    return _Zstd(raw) if is_zstd else raw


class _Gzip:
    """One gzip member after the other.

    isal has a reader of such files, too; of a piece in which it finds damage that gives nothing.
    """

    def __init__(self, raw: io.BufferedReader) -> None:
        self._raw = raw
        self._member: isal_zlib.Decompress | None = None
        self._compressed = b""

    def read1(self, size: int, /) -> bytes:
        while True:
            if self._member is not None and (given := self._take(self._member, size)):
                return given
            if self._member is None:
                # Some programs fill the last block of a file with zeros.
                self._compressed = self._compressed.lstrip(b"\0")
                if self._compressed:
                    self._member = isal_zlib.decompressobj(wbits=_GZIP_WINDOW_BITS)
                    continue
            self._compressed = self._raw.read1(_PIECE_BYTES)
            if not self._compressed:
                if self._member is not None:
                    raise Damaged("it ends too early")
                return b""

    def _take(self, member: isal_zlib.Decompress, size: int) -> bytes:
        """Some bytes of a member; none when it needs more of the file, or ends."""
        try:
            given = member.decompress(self._compressed, size)
        except _ISAL_ERROR as error:
            raise Damaged(f"it is damaged: {error}") from error
        self._compressed = member.unconsumed_tail
        if member.eof:
            self._compressed = member.unused_data
            self._member = None
        return given


class _Zstd:
    """One zstd frame after the other."""

    def __init__(self, raw: io.BufferedReader) -> None:
        # Loaded by whoever meets such a file.
        import zstandard

        self._raw = raw
        self._error = zstandard.ZstdError
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES_MAX)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._compressed = b""
        self._ready = memoryview(b"")

    def read1(self, size: int, /) -> bytes:
        while not self._ready:
            piece = self._compressed or self._raw.read1(_ZSTD_PIECE_BYTES)
            if not piece:
                if self._frame is not None:
                    raise Damaged("it ends too early")
                return b""
            self._take(piece)
        given, self._ready = self._ready[:size], self._ready[size:]
        return bytes(given)

    def _take(self, piece: bytes) -> None:
        if self._frame is None:
            self._frame = self._decompressor.decompressobj()
        try:
            self._ready = memoryview(self._frame.decompress(piece))
        except self._error as error:
            raise Damaged(f"it is damaged: {error}") from error
        self._compressed = b""
        if self._frame.eof:
            self._compressed = self._frame.unused_data
            self._frame = None
