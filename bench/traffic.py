"""Requests as analytics-python posts them: takes a size, gives bytes whose ids change each time.

A request is built once and then patched in place: a message id never repeats, and visitors come
from a population that grows, so that one message in twenty or so brings a visitor nobody has seen.
Patching costs a few microseconds for a hundred messages; building JSON anew would cost more than
the server that is measured.
"""

from __future__ import annotations

import base64
import json
import random
import re
import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["VISITORS_MAX", "Expected", "Population", "Request"]

_COUNTER_MARK = b"########"
_VISITOR_MARK = b"@@@@@"
_CLIENT_MARK = b"%%%"
_VISITOR_DIGITS = len(_VISITOR_MARK)
VISITORS_MAX = 16**_VISITOR_DIGITS

_MESSAGES_A_NEW_VISITOR = 20
_VISITORS_AT_FIRST = 2_000
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)

_U8 = npt.NDArray[np.uint8]

_PAGES = ("/", "/pricing", "/docs/getting-started", "/blog/what-we-learned", "/account/billing")
_EVENTS = ("Product Viewed", "Product Added", "Cart Viewed", "Checkout Started", "Order Completed")
_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0"
    " Safari/537.36"
)


@dataclass(slots=True)
class Expected:
    """What the server must say of everything that was sent.

    Attributes:
        api_calls: messages sent.
        identified, anonymous, anonymous_identified: distinct ids sent, as the usage API names them.
    """

    api_calls: int
    identified: int
    anonymous: int
    anonymous_identified: int


class Population:
    """Visitors, each with an anonymousId and, when a message says so, a userId.

    Remembers who was sent, so that the server's counts can be compared with the truth.
    """

    def __init__(self) -> None:
        numbers = np.arange(VISITORS_MAX, dtype=np.uint32)
        shifts = np.arange(4 * (_VISITOR_DIGITS - 1), -1, -4, dtype=np.uint32)
        self.digits: _U8 = _HEX[(numbers[:, None] >> shifts) & np.uint32(15)]
        self.anonymous = np.zeros(VISITORS_MAX, np.bool_)
        self.identified = np.zeros(VISITORS_MAX, np.bool_)
        self.messages = 0
        self._random = random.Random(1)

    def draw(self, count: int) -> int:
        """The first of `count` neighbouring visitors who send the next messages."""
        known = _VISITORS_AT_FIRST + self.messages // _MESSAGES_A_NEW_VISITOR
        self.messages += count
        return int(self._random.random() * (min(known, VISITORS_MAX) - count))

    def expected(self) -> Expected:
        """What must have been counted once everything drawn was sent."""
        identified = int(self.identified.sum())
        # Every message with a userId carries the visitor's anonymousId too.
        return Expected(self.messages, identified, int(self.anonymous.sum()), identified)


class Request:
    """One HTTP request with its body, changed in place before each sending.

    Args:
        write_key: of the source that it goes to.
        messages: how many; 1 makes a single post, more make a batch.
        visitors: who sends them.
        repeat_every: after so many sendings the last one is sent once more, as clients do that
            missed an answer; 0 for never.
        proxied: whether each sending is of another client, as behind a proxy, whose head says so.
    """

    def __init__(
        self,
        write_key: str,
        messages: int,
        visitors: Population,
        repeat_every: int = 0,
        *,
        proxied: bool = False,
    ) -> None:
        self._visitors = visitors
        self._repeat_every = repeat_every
        self.messages = messages
        made = [_message(index) for index in range(messages)]
        if messages == 1:
            path, document = "/v1/track", made[0]
        else:
            path = "/v1/batch"
            document = {"batch": made, "writeKey": write_key, "sentAt": "2026-11-23T10:00:02.345Z"}
        body = json.dumps(document).encode()
        credentials = base64.b64encode(f"{write_key}:".encode()).decode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: tracking.example.com\r\n"
            "User-Agent: analytics-python/2.4.0\r\nAccept-Encoding: gzip, deflate\r\n"
            "Accept: */*\r\nConnection: keep-alive\r\nContent-Type: application/json\r\n"
            f"Authorization: Basic {credentials}\r\nContent-Length: {len(body)}\r\n"
            + (f"X-Forwarded-For: 203.0.113.{_CLIENT_MARK.decode()}\r\n" if proxied else "")
            + "\r\n"
        )
        self.data = bytearray(head.encode() + body)
        self.body_bytes = len(body)
        self._bytes: _U8 = np.frombuffer(self.data, np.uint8)
        self._counters = _places(self.data, _COUNTER_MARK)
        self._anonymous = _places(self.data, b"-" + _VISITOR_MARK)[:, 1:]
        self._users = _places(self.data, b"_" + _VISITOR_MARK)[:, 1:]
        self._clients = _places(self.data, _CLIENT_MARK) if proxied else None
        self._with_user = slice(0, messages, 2)
        self._sendings = 0
        self._renewals = 0
        assert len(self._counters) == len(self._anonymous) == messages
        assert len(self._users) == len(range(*self._with_user.indices(messages)))

    def renew(self) -> None:
        """Give every message a fresh id and a visitor, unless the last ones are to be repeated."""
        self._renewals += 1
        if self._repeat_every and self._renewals % self._repeat_every == 0:
            return
        visitors, count = self._visitors, self.messages
        first = visitors.draw(count)
        senders = slice(first, first + count)
        digits = visitors.digits[senders]
        self._sendings += 1
        self._bytes[self._counters] = np.frombuffer(b"%08x" % self._sendings, np.uint8)
        if self._clients is not None:
            self._bytes[self._clients] = np.frombuffer(b"%03d" % (self._sendings % 256), np.uint8)
        self._bytes[self._anonymous] = digits
        self._bytes[self._users] = digits[self._with_user]
        visitors.anonymous[senders] = True
        visitors.identified[senders][self._with_user] = True


def _places(data: bytearray, mark: bytes) -> npt.NDArray[np.intp]:
    """The positions of each byte of each occurrence of a mark, shape (occurrences, len(mark))."""
    starts = [found.start() for found in re.finditer(re.escape(mark), data)]
    return np.array(starts, np.intp)[:, None] + np.arange(len(mark), dtype=np.intp)


def _message(index: int) -> dict[str, object]:
    """A message with marks in the place of what changes; every other one has a userId."""
    chosen = random.Random(index)
    page = chosen.choice(_PAGES)
    message: dict[str, object] = {
        "integrations": {},
        "anonymousId": f"3f1c9a7e-52d4-4b6f-9e21-{_VISITOR_MARK.decode()}",
        "context": {
            "ip": f"203.0.113.{chosen.randrange(256)}",
            "userAgent": _AGENT,
            "page": {"path": page, "url": f"https://shop.example.com{page}"},
            "library": {"name": "analytics-python", "version": "2.4.0"},
        },
        "timestamp": "2026-11-23T10:00:01.123456+00:00",
        "messageId": f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-4{secrets.token_hex(2)[1:]}"
        f"-{secrets.token_hex(2)}-{secrets.token_hex(2)}{_COUNTER_MARK.decode()}",
    }
    if index % 2 == 0:
        message["userId"] = f"user_{_VISITOR_MARK.decode()}"
    kind = "track" if index % 4 < 3 else "page"
    message["type"] = kind
    if kind == "track":
        message["event"] = chosen.choice(_EVENTS)
        message["properties"] = {
            "sku": f"G-{chosen.randrange(1000)}",
            "price": chosen.randrange(100, 10_000) / 100,
            "currency": "EUR",
            "quantity": chosen.randrange(1, 5),
        }
    else:
        message["name"] = "Home"
        message["properties"] = {"path": page, "referrer": "https://search.example.com/"}
    return message
