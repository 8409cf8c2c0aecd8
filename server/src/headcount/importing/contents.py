"""What is in a file, as bytes of UTF-8: takes an open file, decompresses it, and never raises
half-way.

Text in UTF-16 or UTF-32 that begins with a byte order mark is made UTF-8. Some of the beginning can
be looked at before anything is read. A file ends where it breaks, and then says how.
"""

from __future__ import annotations

import codecs
import io

from headcount.importing.compression import Damaged, Pieces, decompressed

__all__ = ["Reading"]

_PIECE_BYTES = 1 << 16
# The longer marks first: that of UTF-16 is how one of UTF-32 begins.
_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Reading(io.RawIOBase):
    """What is in a file, decompressed.

    Args:
        raw: the file, at its beginning.
        name: what it is called, for its ending.

    Attributes:
        is_unpacked: whether other bytes are given than the file holds.
        failure: why it could not be read to its end; None if it could.
    """

    def __init__(self, raw: io.BufferedReader, name: str) -> None:
        self._raw = raw
        self._name = name
        self._pieces: Pieces | None = None
        self._ahead = b""
        self.is_unpacked = False
        self.failure: str | None = None

    @property
    def bytes_read(self) -> int:
        """How far it was read, in bytes of the file itself, compressed or not."""
        try:
            return 0 if self._raw.closed else self._raw.tell()
        except OSError:
            return 0  # a pipe does not know where it stands

    def readable(self) -> bool:
        return True

    def peek(self, size: int) -> tuple[bytes, bool]:
        """Its first bytes, and whether there are no others. Nothing is taken out by that."""
        parts, held, piece = [self._ahead], len(self._ahead), self._ahead
        while held < size and (piece := self._next(_PIECE_BYTES)):
            parts.append(piece)
            held += len(piece)
        self._ahead = b"".join(parts)
        return self._ahead, held < size and not piece

    def read1(self, size: int, /) -> bytes:
        """Some bytes, at most `size`; none at the end."""
        if self._ahead:
            given, self._ahead = self._ahead[:size], self._ahead[size:]
            return given
        return self._next(size)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self.read1(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def _next(self, size: int) -> bytes:
        if self.failure is not None:
            return b""
        try:
            if self._pieces is None:
                inside = decompressed(self._raw, self._name)
                self._pieces = _as_utf8(inside)
                self.is_unpacked = inside is not self._raw
            return self._pieces.read1(size)
        except Damaged as error:
            self.failure = f"cannot be read to its end: {error}."
        except OSError as error:
            self.failure = f"cannot be read to its end: {error.strerror or error}."
        return b""

    def close(self) -> None:
        self._raw.close()
        super().close()


def _as_utf8(pieces: Pieces) -> Pieces:
    start = b""
    while len(start) < 4 and (piece := pieces.read1(4 - len(start))):
        start += piece
    for mark, encoding in _WIDE:
        if start.startswith(mark):
            return _Recoded(start, pieces, encoding)
    return _Begun(start, pieces)


class _Begun:
    """Pieces of which the first were looked at."""

    def __init__(self, start: bytes, rest: Pieces) -> None:
        self._start = start
        self._rest = rest

    def read1(self, size: int, /) -> bytes:
        if self._start:
            given, self._start = self._start[:size], self._start[size:]
            return given
        return self._rest.read1(size)


class _Recoded(_Begun):
    """Text of another encoding, as UTF-8."""

    def __init__(self, start: bytes, rest: Pieces, encoding: str) -> None:
        super().__init__(start, rest)
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._encoding = encoding.upper()
        self._ready = b""
        self._has_ended = False

    def read1(self, size: int, /) -> bytes:
        while not self._ready and not self._has_ended:
            piece = super().read1(_PIECE_BYTES)
            self._has_ended = not piece
            try:
                text = self._decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                raise Damaged(f"it is no {self._encoding}, as its mark says it is") from error
            self._ready = text.encode()
        given, self._ready = self._ready[:size], self._ready[size:]
        return given
