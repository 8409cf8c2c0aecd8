"""Made traffic: takes the day it ends on, gives the same messages every time.

A small shop with a web site, an app and a server. Visitors come without a name; some sign up, and
a good part of those use the app as well, as a second device. Now and then a message is delivered
twice, and a few are broken.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

__all__ = ["APP", "DAYS", "SERVER", "SOURCES", "WEB", "Line", "Sent", "made_traffic"]

DAYS = 46
"""How many days the traffic covers, the last one included."""

WEB, APP, SERVER = SOURCES = ("web", "iPhone app", "server")
"""The names of the three sources."""

_PEOPLE = 1500
_SEED = 20
_TWICE = 0.015
_PAGES = ("Home", "Catalogue", "Lamps", "Chairs", "Basket", "Help")


class Sent(NamedTuple):
    """What there is to count about a message that a source may send.

    Attributes:
        day: the UTC day on which it counts.
        source: name of its source.
        message_id: its messageId.
        user_id: its userId, or None.
        anonymous_id: its anonymousId, or None.
    """

    day: date
    source: str
    message_id: str
    user_id: str | None
    anonymous_id: str | None


class Line(NamedTuple):
    """A line of the file to import.

    Attributes:
        text: the line.
        sent: what it leaves to count; None for a broken one.
    """

    text: str
    sent: Sent | None


@dataclass(slots=True)
class _Person:
    first_day: int
    sign_up_day: int | None
    has_app: bool
    eagerness: float
    user_id: str
    web_id: str
    app_id: str


def made_traffic(now: datetime, write_keys: dict[str, str]) -> Iterator[Line]:
    """The lines of a month and a half, oldest first.

    Args:
        now: the present moment, in UTC; no message is later.
        write_keys: write key by source name.
    """
    chance = random.Random(_SEED)  # noqa: S311  (the same traffic every time is the point)
    people = [_person(chance, number) for number in range(_PEOPLE)]
    maker = _Maker(chance, write_keys)
    for number in range(DAYS):
        day = now.date() - timedelta(days=DAYS - 1 - number)
        lines = [line for person in people for line in maker.day_of(person, number, day)]
        for moment, line in sorted(lines, key=lambda made: made[0]):
            if moment >= now:
                continue
            yield line
            if chance.random() < _TWICE:
                yield line
        if number % 9 == 4:
            yield _broken_line(number // 9, write_keys)


_BROKEN: tuple[dict[str, str], ...] = (
    {"receivedAt": "2026-01-01T00:00:00", "anonymousId": "without-a-zone"},
    {"receivedAt": "2999-01-01T00:00:00Z", "anonymousId": "from-the-future"},
    {"receivedAt": "2026-01-01T00:00:00Z"},
    {"anonymousId": "without-a-time"},
)


def _broken_line(number: int, write_keys: dict[str, str]) -> Line:
    """A line that cannot be counted; each of the first few for another reason."""
    message = {"type": "page", "writeKey": write_keys[WEB]} | _BROKEN[number % len(_BROKEN)]
    text = json.dumps(message)
    return Line(text[:-20] if number % (len(_BROKEN) + 1) == len(_BROKEN) else text, None)


def _person(chance: random.Random, number: int) -> _Person:
    first_day = max(0, chance.randrange(-DAYS // 2, DAYS))
    signs_up = chance.random() < 0.45
    return _Person(
        first_day=first_day,
        sign_up_day=first_day + int(chance.expovariate(0.4)) if signs_up else None,
        has_app=signs_up and chance.random() < 0.5,
        eagerness=chance.betavariate(1.2, 6),
        user_id=f"user-{number:04d}",
        web_id=_made_id(chance),
        app_id=_made_id(chance),
    )


def _made_id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


class _Maker:
    """Makes messages, each with its own messageId."""

    def __init__(self, chance: random.Random, write_keys: dict[str, str]) -> None:
        self._chance = chance
        self._write_keys = write_keys

    def day_of(self, person: _Person, number: int, day: date) -> Iterator[tuple[datetime, Line]]:
        """What one person does on one day."""
        chance = self._chance
        signs_up = number == person.sign_up_day
        # The shop is quieter at weekends.
        likely = person.eagerness * (0.6 if day.weekday() >= 5 else 1.0)
        comes = number == person.first_day or signs_up or chance.random() < likely
        if number < person.first_day or not comes:
            return
        at = datetime.combine(day, time(), UTC) + timedelta(minutes=chance.randrange(6 * 60, 1380))
        member = person.sign_up_day is not None and number > person.sign_up_day
        user_id = person.user_id if member else None
        for _ in range(chance.randrange(1, 6)):
            page = {"type": "page", "name": chance.choice(_PAGES)}
            yield self._message(at, WEB, page, user_id, person.web_id)
            at += timedelta(seconds=chance.randrange(5, 240))
        if signs_up:
            yield self._message(at, WEB, {"type": "identify"}, person.user_id, person.web_id)
            event = {"type": "track", "event": "Signed Up"}
            yield self._message(at, SERVER, event, person.user_id, None)
        if not member:
            return
        if person.has_app and chance.random() < 0.7:
            for _ in range(chance.randrange(1, 4)):
                screen = {"type": "screen", "name": chance.choice(_PAGES)}
                yield self._message(at, APP, screen, person.user_id, person.app_id)
                at += timedelta(seconds=chance.randrange(5, 240))
        if chance.random() < 0.2:
            event = {"type": "track", "event": "Order Completed"}
            yield self._message(at, SERVER, event, person.user_id, None)

    def _message(
        self,
        at: datetime,
        source: str,
        body: dict[str, Any],
        user_id: str | None,
        anonymous_id: str | None,
    ) -> tuple[datetime, Line]:
        message_id = _made_id(self._chance)
        message = body | {
            "messageId": message_id,
            "receivedAt": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "writeKey": self._write_keys[source],
        }
        if user_id is not None:
            message["userId"] = user_id
        if anonymous_id is not None:
            message["anonymousId"] = anonymous_id
        sent = Sent(at.date(), source, message_id, user_id, anonymous_id)
        return at, Line(json.dumps(message), sent)
