"""A head like that of nearly every post: takes the bytes of a request, gives what is asked of them.

Nearly every head is nothing but headers in visible characters, of which the fast path wants two.
One pattern sees that, and finds those; the parser would have them all, by a call for each. Whatever
is not just so is left to the parser: what this takes, it would take as well, and see the same in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import ascii_letters

__all__ = ["digits_again", "headers_in", "match_plain"]

# So few that none counts as large, whatever is made of it.
_HEAD_BYTES_MAX, _HEADERS_MAX = 1024, 24

_DIGITS_MAX = 6

# In the order of their groups. A head with two of a name is the parser's: it says which counts.
_TAKEN = ("authorization", "user-agent", "content-length", "x-request-id")
# With these a request is framed otherwise, or not one for the fast path.
_OTHERWISE = (
    "connection", "content-encoding", "expect", "proxy-connection", "traceparent",
    "transfer-encoding", "upgrade", "x-write-key",
)  # fmt: skip


def _kinds_of_header() -> Iterator[str]:
    """What a header may be. By its first letter all but one or two are passed over at once.

    No character is tried twice, so that a head takes as long as it is, whatever it says.
    """
    value = "[!-~][ -~]*+"
    other = rf"[!#-'*+.0-9A-Z^-z|~-]*+: {value}"
    letters = {name[0] for name in (*_TAKEN, *_OTHERWISE)}
    yield f"[{''.join(each for each in ascii_letters if each.lower() not in letters)}]{other}"
    for group, name in enumerate(_TAKEN, 2):
        taken = "[0-9]++" if name == "content-length" else value
        yield f"[{name[0].upper()}{name[0]}](?({group})(?!))(?i:{name[1:]}): ({taken})"
    yield "[Cc](?i:onnection: keep-alive)"
    for letter in sorted(letters):
        rest = "|".join(name[1:] for name in (*_TAKEN, *_OTHERWISE) if name[0] == letter)
        yield f"[{letter.upper()}{letter}](?!(?i:{rest}):){other}"


_match = re.compile(
    (
        r"POST (/(?:\w[\w./-]*+)?) HTTP/1\.1\r\n"
        rf"(?:(?:{'|'.join(_kinds_of_header())})\r\n){{1,{_HEADERS_MAX}}}\r\n"
    ).encode("ascii")
).match


def match_plain(data: bytes) -> re.Match[bytes] | None:
    """The head of what is one request, all of it, with a plain head; None for anything else.

    Its groups are the target, which has no query, and the values of these headers, None where it
    has none: Authorization, User-Agent, Content-Length, X-Request-ID.
    """
    found = _match(data, 0, _HEAD_BYTES_MAX)
    # Digits may have zeros before them, or be none; what is said so is parsed.
    return found if found and found[4] == b"%d" % (len(data) - found.end()) else None


def digits_again(
    head: bytes, digits: tuple[int, int], data: bytes
) -> tuple[tuple[int, int], int] | None:
    """Where the length stands in what is one request, with a head that differs in nothing else.

    Whoever posts over a connection of their own sends the same head each time. Gives the end of the
    head as well; None for anything else.

    Args:
        head: a plain one, or nothing.
        digits: where its length stands; at its start where there is to be no other like it.
        data: all that came.
    """
    start, behind = digits
    if not start or data[:start] != head[:start]:
        return None
    at = data.find(b"\r", start, start + _DIGITS_MAX + 1)
    if at < 0 or not data.startswith(head[behind:], at):
        return None
    end = at + len(head) - behind
    return ((start, at), end) if data[start:at] == b"%d" % (len(data) - end) else None


def headers_in(head: bytes) -> list[tuple[bytes, bytes]]:
    """All headers of a plain head, names in lower case, as the parser gives them."""
    parted = [line.partition(b": ") for line in head.split(b"\r\n")[1:-2]]
    return [(name.lower(), value) for name, _, value in parted]
