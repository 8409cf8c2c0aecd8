"""A head that comes again: takes the bytes of a request, knows the next one like it.

Whoever posts one message after another over a connection of their own sends the same head each
time, but for the length of the body. Such a head need not be parsed again. Behind a proxy a
connection is many clients', whose heads differ.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from headcount.http.cycle import Cycle

__all__ = ["RepeatedHead"]

# Of each connection one is kept, beside what was parsed of it; so none that counts as large.
_HEAD_BYTES_MAX, _HEADERS_MAX = 1024, 24
_END = b"\r\n\r\n"
_NAME = b"\r\ncontent-length: "
_DIGITS_MAX = 6
# With these a head says more than how long its body is, or will never come again.
_OTHERWISE = (b"transfer-encoding", b"expect", b"upgrade", b"x-request-id", b"traceparent")


class RepeatedHead(NamedTuple):
    """A head as it was written, without the digits of its length.

    Attributes:
        before, after: what stands around them.
    """

    before: bytes
    after: bytes

    @classmethod
    def of(cls, data: bytes, cycle: Cycle) -> RepeatedHead | None:
        """The head of a request; None for one whose like must be parsed.

        Args:
            data: what came at once, and was parsed without fault.
            cycle: the request that it ends with.
        """
        fields, body_bytes = cycle.fields, len(cycle.body)
        headers: Any = cycle.scope["headers"]
        end = len(data) - body_bytes
        if (
            end > _HEAD_BYTES_MAX
            or not cycle.keep_alive
            or data.find(_END) != end - len(_END)
            or not len(fields) == len(headers) <= _HEADERS_MAX
            or fields.get(b"content-length") != b"%d" % body_bytes
            or any(name in fields for name in _OTHERWISE)
        ):
            return None
        lowered = data[:end].lower()
        at = lowered.find(_NAME) + len(_NAME)
        if at < len(_NAME):
            return None
        behind = lowered.find(b"\r", at)
        return cls(data[:at], data[behind:end]) if lowered[at:behind].isdigit() else None

    def parts(self, data: bytes) -> tuple[bytes, bytes] | None:
        """The length as digits, and the body, of what is just one request with this head.

        None for anything else, more or less than that.
        """
        before, after = self
        if not data.startswith(before):
            return None
        at = len(before)
        end = data.find(b"\r", at, at + _DIGITS_MAX + 1)
        digits = data[at:end]
        # Its first digit may not be a zero that says nothing: what is sent so is parsed.
        if end < 0 or not digits.isdigit() or not data.startswith(after, end):
            return None
        start = end + len(after)
        return (digits, data[start:]) if digits == b"%d" % (len(data) - start) else None
