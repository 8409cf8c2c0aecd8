"""Made traffic: takes the present moment, gives the same messages of thirteen months every time.

A small shop with a web site, an app and a server that grows, has quiet weekends and a season.
Visitors come without a name and stay away after a while; some sign up, and a good part of those
use the app as well, as a second device. Now and then a message is delivered twice, and a few are
broken.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

__all__ = ["APP", "SERVER", "SOURCES", "WEB", "Line", "Sent", "Traffic", "made_traffic"]

WEB, APP, SERVER = SOURCES = ("web", "iPhone app", "server")
"""The names of the three sources."""

_SEED = 20
_TWICE = 0.015
_BROKEN_LINES = 6
_PAGES = ("Home", "Catalogue", "Lamps", "Chairs", "Basket", "Help")

# New visitors on a working day, at first and by what factor more in each month after.
_NEWCOMERS, _GROWTH = 4.5, 1.07
# The shop is so much older than what it tells of, or its first month would be all newcomers.
_OPENED_BEFORE = timedelta(days=90)
_AT_WEEKENDS = 0.6
# How busy each month is, January first: presents before the year's end, holidays in summer.
_SEASON = (0.9, 0.95, 1.0, 1.0, 1.0, 0.95, 0.85, 0.85, 1.0, 1.05, 1.15, 1.3)
_SIGN_UP = 0.45
_DAYS_UNTIL_SIGN_UP = 2.5
_DAYS_AS_VISITOR, _DAYS_AS_MEMBER = 12, 120


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


class Traffic(NamedTuple):
    """What the shop does.

    Attributes:
        history: the lines of thirteen months up to the present moment, oldest first.
        this_month: what the last of them will have sent at its end.
    """

    history: list[Line]
    this_month: list[Sent]


class _Made(NamedTuple):
    at: datetime
    type: str
    name: str | None
    sent: Sent


@dataclass(slots=True)
class _Person:
    first_day: date
    sign_up_day: date | None
    last_day: date
    has_app: bool
    eagerness: float
    user_id: str
    web_id: str
    app_id: str


def made_traffic(now: datetime, write_keys: dict[str, str]) -> Traffic:
    """Thirteen whole months, of which the last is cut off at the present moment.

    Args:
        now: the present moment, in UTC; no message of the history is later.
        write_keys: write key by source name.
    """
    chance = random.Random(_SEED)  # noqa: S311  (the same traffic every time is the point)
    first_day = date(now.year - 1, now.month, 1)
    next_month = date(now.year + now.month // 12, now.month % 12 + 1, 1)
    maker = _Maker(chance, next_month)
    made = [
        message
        for person in _people(chance, first_day - _OPENED_BEFORE, next_month)
        for message in maker.life_of(person)
        if message.sent.day >= first_day
    ]
    made.sort(key=lambda message: message.at)
    first_of_month = now.date().replace(day=1)
    past = [message for message in made if message.at < now]
    return Traffic(
        list(_lines(past, chance, write_keys)),
        [message.sent for message in made if message.sent.day >= first_of_month],
    )


def _people(chance: random.Random, first_day: date, end: date) -> Iterator[_Person]:
    """Everybody who ever comes, in the order in which they do."""
    day, number = first_day, 0
    while day < end:
        months = (day.year - first_day.year) * 12 + day.month - first_day.month
        newcomers = _NEWCOMERS * _GROWTH**months * _SEASON[day.month - 1] * _of_weekday(day)
        for _ in range(int(newcomers + chance.random())):
            yield _person(chance, number, day)
            number += 1
        day += timedelta(days=1)


def _of_weekday(day: date) -> float:
    return _AT_WEEKENDS if day.weekday() >= 5 else 1.0


def _person(chance: random.Random, number: int, first_day: date) -> _Person:
    signs_up = chance.random() < _SIGN_UP
    sign_up_day = first_day + _days(chance, _DAYS_UNTIL_SIGN_UP) if signs_up else None
    stays = _DAYS_AS_MEMBER if signs_up else _DAYS_AS_VISITOR
    return _Person(
        first_day=first_day,
        sign_up_day=sign_up_day,
        last_day=(sign_up_day or first_day) + _days(chance, stays),
        has_app=signs_up and chance.random() < 0.5,
        eagerness=chance.betavariate(1.2, 10),
        user_id=f"user-{number:04d}",
        web_id=_made_id(chance),
        app_id=_made_id(chance),
    )


def _days(chance: random.Random, mean: float) -> timedelta:
    return timedelta(days=int(chance.expovariate(1 / mean)))


def _made_id(chance: random.Random) -> str:
    digits = f"{chance.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _lines(past: list[_Made], chance: random.Random, write_keys: dict[str, str]) -> Iterator[Line]:
    """The past as lines: some of them twice, and broken ones between them."""
    every = len(past) // _BROKEN_LINES
    for place, message in enumerate(past):
        line = Line(_text(message, write_keys[message.sent.source]), message.sent)
        yield line
        if chance.random() < _TWICE:
            yield line
        if place % every == every // 2:
            yield _broken_line(place // every, write_keys)


def _text(message: _Made, write_key: str) -> str:
    sent = message.sent
    name = "event" if message.type == "track" else "name"
    fields = {
        "type": message.type,
        name: message.name,
        "messageId": sent.message_id,
        "receivedAt": message.at.isoformat().replace("+00:00", "Z"),
        "writeKey": write_key,
        "userId": sent.user_id,
        "anonymousId": sent.anonymous_id,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None})


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


class _Maker:
    """Makes messages, each with its own messageId, of days before one."""

    def __init__(self, chance: random.Random, end: date) -> None:
        self._chance = chance
        self._end = end

    def life_of(self, person: _Person) -> Iterator[_Made]:
        """All that one person does, on the days on which they come."""
        chance = self._chance
        day = person.first_day
        while day <= person.last_day and day < self._end:
            likely = person.eagerness * _of_weekday(day)
            if day in (person.first_day, person.sign_up_day) or chance.random() < likely:
                yield from self._day_of(person, day)
            day += timedelta(days=1)

    def _day_of(self, person: _Person, day: date) -> Iterator[_Made]:
        chance = self._chance
        at = datetime.combine(day, time(), UTC) + timedelta(minutes=chance.randrange(6 * 60, 1380))
        member = person.sign_up_day is not None and day > person.sign_up_day
        user_id = person.user_id if member else None
        for _ in range(chance.randrange(1, 4)):
            yield self._made(at, WEB, "page", chance.choice(_PAGES), user_id, person.web_id)
            at += timedelta(seconds=chance.randrange(5, 240))
        if day == person.sign_up_day:
            yield self._made(at, WEB, "identify", None, person.user_id, person.web_id)
            yield self._made(at, SERVER, "track", "Signed Up", person.user_id, None)
        if not member:
            return
        if person.has_app and chance.random() < 0.7:
            for _ in range(chance.randrange(1, 3)):
                name = chance.choice(_PAGES)
                yield self._made(at, APP, "screen", name, person.user_id, person.app_id)
                at += timedelta(seconds=chance.randrange(5, 240))
        if chance.random() < 0.2:
            yield self._made(at, SERVER, "track", "Order Completed", person.user_id, None)

    def _made(
        self,
        at: datetime,
        source: str,
        kind: str,
        name: str | None,
        user_id: str | None,
        anonymous_id: str | None,
    ) -> _Made:
        sent = Sent(at.date(), source, _made_id(self._chance), user_id, anonymous_id)
        return _Made(at, kind, name, sent)
