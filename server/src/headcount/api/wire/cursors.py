"""Cursors: a place among the rows of one query, as an opaque text.

Takes a place and the query that it belongs to, gives 20 URL-safe characters, and the place back;
refuses a text that this query did not give. A place is a boundary *between* rows, named by a day
and a source and not by an offset, so rows that appear before it do not shift what follows.

The text carries a digest over the place and the query. It protects nothing secret: it tells a
mistake (a cursor of another month, a shortened one) from a page, and needs no key that a restart
or a second server would have to share.
"""

from __future__ import annotations

import base64
import re
import struct
from dataclasses import dataclass
from hashlib import blake2b

from headcount.api.wire.problems import invalid

__all__ = ["START", "CursorPosition", "QueryName"]

_PLACE = struct.Struct(">BBI")
_DIGEST_BYTES = 9
_TEXT = re.compile(r"[A-Za-z0-9_-]{20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CursorPosition:
    """A boundary between rows, and which way to read from it.

    Attributes:
        backward: read the rows before the boundary rather than those after it.
        after: the boundary lies just after the named row rather than just before it.
        day: day of the month of the named row, 0 to 30.
        source: its source's number; 0 for rows of the workspace.
    """

    backward: bool
    after: bool
    day: int
    source: int


START = CursorPosition(backward=False, after=False, day=0, source=0)
"""Before all rows."""


@dataclass(frozen=True, slots=True)
class QueryName:
    """The query that a cursor belongs to; the number of rows on a page is no part of it.

    Attributes:
        operation: name of the operation.
        workspace: id of the workspace.
        period: the period, as `YYYY-MM-01`.
    """

    operation: str
    workspace: str
    period: str

    def cursor(self, place: CursorPosition) -> str:
        """The text that names a place in this query."""
        packed = _PLACE.pack(place.backward | place.after << 1, place.day, place.source)
        return base64.urlsafe_b64encode(packed + self._digest(packed)).decode()

    def place(self, cursor: str) -> CursorPosition:
        """The place that a text names.

        Raises:
            Problem: 422 when this query did not give it.
        """
        if _TEXT.fullmatch(cursor):
            raw = base64.urlsafe_b64decode(cursor)
            packed = raw[: _PLACE.size]
            if raw[_PLACE.size :] == self._digest(packed):
                flags, day, source = _PLACE.unpack(packed)
                return CursorPosition(bool(flags & 1), bool(flags & 2), day, source)
        raise invalid(
            "pagination.cursor",
            "is unknown to this query; pass next or previous of a page of the same operation,"
            " workspace and period.",
        )

    def _digest(self, packed: bytes) -> bytes:
        parts = (self.operation.encode(), self.workspace.encode(), self.period.encode(), packed)
        return blake2b(
            b"\n".join(parts), digest_size=_DIGEST_BYTES, person=b"headcount-cursor"
        ).digest()
