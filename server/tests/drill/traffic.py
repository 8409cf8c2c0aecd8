"""What is posted in a drill, and what it must come to: takes a seed, gives posts and their facts.

Where the order in which deliveries are counted matters, which is between months, the later one is
made only after the earlier was seen counted; or it is of a workspace of its own, whose sums over
months do not depend on it.
"""

from __future__ import annotations

import json
import random
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any

from headcount.counting.calendar import Period
from support.oracle import Oracle, PlainFact

__all__ = ["Message", "Post", "Shop", "Traffic", "day_number", "noon_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Shop:
    """A workspace, as the drill made it.

    Attributes:
        number: in the oracle.
        token: of scope admin.
        write_keys, source_ids: by the source's name.
    """

    number: int
    name: str
    token: str
    write_keys: dict[str, str]
    source_ids: dict[str, str]


@dataclass(frozen=True)
class Post:
    """A request that is sent until it is acknowledged.

    Attributes:
        number: which one of a drill it is, from 0.
        path: of the tracking address.
        secret: a write key, or a token.
        body: JSON.
        by_token: which of both it is.
    """

    number: int
    path: str
    secret: str
    body: bytes
    by_token: bool


@dataclass(frozen=True)
class Message:
    """A message that may be delivered again."""

    shop: Shop
    source: str
    body: dict[str, Any]
    fact: PlainFact


@dataclass
class Traffic:
    """The history of one drill.

    Args:
        seed: decides all that is posted.
        shops: where to; in no particular order.
        racing_shop: the workspace whose messages are delivered in two months at once.
        begun_ms: when it begins, milliseconds since 1970: live messages arrive on that day.
    """

    seed: int
    shops: list[Shop]
    racing_shop: Shop
    begun_ms: int
    oracle_facts: list[PlainFact] = field(default_factory=list)
    racing: dict[str, tuple[PlainFact, PlainFact]] = field(default_factory=dict)
    posted: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()
        self._made = 0
        self._unsettled: list[Message] = []
        self._settled: list[Message] = []
        self._sources = {
            (shop.number, name): 10 * shop.number + number
            for shop in (*self.shops, self.racing_shop)
            for number, name in enumerate(sorted(shop.write_keys))
        }
        self.today = self.begun_ms // _DAY_MS
        self.last_month = Period.of_day(Period.of_day(self.today).first_day - 1)

    def source_number(self, shop: Shop, name: str) -> int:
        """The oracle's number of a source."""
        return self._sources[shop.number, name]

    def next_post(self) -> list[Post]:
        """What a client is to send next: one request, or two that race."""
        with self._lock:
            kind = self._random.random()
            if kind < 0.62:
                made = [self._live()]
            elif kind < 0.84:
                made = [self._imported()]
            elif kind < 0.94:
                made = [self._settled_again()]
            else:
                made = self._race()
            return made

    def settle(self) -> tuple[int, list[Message]]:
        """How many posts there were, and their messages, of which no copy is made now; give them to
        `settled` once all these posts are counted."""
        with self._lock:
            found, self._unsettled = self._unsettled, []
            return self.posted, found

    def settled(self, messages: list[Message]) -> None:
        """Know that messages are counted: copies of them in another month come later."""
        with self._lock:
            self._settled += messages

    def _message(self, shop: Shop, source: str, day: int, *, imported: bool) -> Any:
        chance = self._random
        self._made += 1
        message: dict[str, Any] = {"messageId": f"m{self._made}"}
        number = 1000 * shop.number
        user = f"u{chance.randrange(number, number + 400)}" if chance.random() < 0.6 else None
        anonymous = f"a{chance.randrange(number, number + 900)}" if chance.random() < 0.8 else None
        previous = None
        kind = chance.choice(("track", "page", "identify", "screen"))
        if user is not None and chance.random() < 0.1:
            kind, previous = "alias", f"a{chance.randrange(number, number + 900)}"
            message["previousId"] = previous
        if user is None and anonymous is None:
            anonymous = f"new{self._made}"
        message |= {"type": kind}
        if kind == "track":
            message["event"] = "Bought"
        if user is not None:
            message["userId"] = user
        if anonymous is not None:
            message["anonymousId"] = anonymous
        fact = PlainFact(
            self._moment(day), shop.number, self.source_number(shop, source),
            message["messageId"], user, anonymous, previous, imported,
        )  # fmt: skip
        return message, fact

    def _pick(self) -> tuple[Shop, str]:
        shop = self._random.choice(self.shops)
        return shop, self._random.choice(sorted(shop.write_keys))

    def _again(self, shop: Shop, source: str, period: Period) -> Message | None:
        """A message of late, in a month, that is delivered again."""
        found = [
            each
            for each in self._unsettled[-400:]
            if each.shop is shop
            and each.source == source
            and Period.of_day(each.fact.day) == period
        ]
        return self._random.choice(found) if found else None

    def _post(self, path: str, secret: str, batch: list[Any], *, by_token: bool) -> Post:
        self.posted += 1
        body = json.dumps({"batch": batch}).encode()
        return Post(self.posted - 1, path, secret, body, by_token)

    def _live(self) -> Post:
        shop, source = self._pick()
        batch = []
        for _ in range(self._random.randint(1, 20)):
            again = self._again(shop, source, Period.of_day(self.today))
            if again is not None and self._random.random() < 0.2:
                message, fact = again.body, self._moved(again.fact, self.today)
            else:
                message, fact = self._message(shop, source, self.today, imported=False)
                self._unsettled.append(Message(shop, source, message, fact))
            self.oracle_facts.append(fact)
            batch.append(message)
        return self._post("/v1/batch", shop.write_keys[source], batch, by_token=False)

    def _imported(self) -> Post:
        """Days of this month and the last: new messages, and copies within a month."""
        shop, source = self._pick()
        records = []
        for _ in range(self._random.randint(1, 15)):
            period = self._random.choice((Period.of_day(self.today), self.last_month))
            day = self._day_of(period)
            again = self._again(shop, source, period)
            if again is not None and self._random.random() < 0.3:
                message, fact = again.body, self._moved(again.fact, day)
            else:
                message, fact = self._message(shop, source, day, imported=True)
                self._unsettled.append(Message(shop, source, message, fact))
            self.oracle_facts.append(fact)
            records.append(self._record(shop, source, message, fact))
        return self._import(shop, records)

    def _day_of(self, period: Period) -> int:
        return self._random.randint(period.first_day, min(period.last_day, self.today))

    def _moment(self, day: int) -> int:
        """Some moment of a day that has been."""
        whole_ms = min(_DAY_MS, self.begun_ms - day * _DAY_MS)
        return day * _DAY_MS + self._random.randrange(whole_ms)

    def _moved(self, fact: PlainFact, day: int) -> PlainFact:
        return PlainFact(
            self._moment(day), fact.workspace, fact.source, fact.message, fact.user, fact.anonymous,
            fact.previous, True,
        )  # fmt: skip

    def _settled_again(self) -> Post:
        """Copies in the other month of what is counted: left out where that is at most 35 days
        away, and counted once more where it is further."""
        if not self._settled:
            return self._imported()
        chosen = self._random.choice(self._settled)
        mine = [
            each
            for each in self._settled
            if each.shop is chosen.shop and each.source == chosen.source
        ]
        records = []
        for message in self._random.sample(mine, min(len(mine), 8)):
            self._settled.remove(message)  # a further copy would depend on the order
            is_old = Period.of_day(message.fact.day) == self.last_month
            other = Period.of_day(self.today) if is_old else self.last_month
            fact = self._moved(message.fact, self._day_of(other))
            self.oracle_facts.append(fact)
            records.append(self._record(chosen.shop, chosen.source, message.body, fact))
        return self._import(chosen.shop, records)

    def _race(self) -> list[Post]:
        """Messages of two months, in two requests at once: one of the two counts."""
        shop = self.racing_shop
        (source,) = shop.write_keys
        halves: tuple[list[Any], list[Any]] = ([], [])
        this_month = Period.of_day(self.today)
        for _ in range(self._random.randint(1, 5)):
            early = self.last_month.last_day - self._random.randrange(5)
            late = min(this_month.first_day + self._random.randrange(5), self.today)
            message, first = self._message(shop, source, early, imported=True)
            for each in ("userId", "anonymousId", "previousId"):
                message.pop(each, None)
            message |= {"type": "page", "userId": f"racer {message['messageId']}"}
            second = self._moved(first, late)
            self.racing[message["messageId"]] = (first, second)
            for half, fact in zip(halves, (first, second), strict=True):
                half.append(self._record(shop, source, message, fact))
        return [self._import(shop, half) for half in halves]

    def _record(self, shop: Shop, source: str, message: Any, fact: PlainFact) -> Any:
        at = datetime.fromtimestamp(fact.received_at_ms / 1000, UTC)
        received_at = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return message | {"receivedAt": received_at, "sourceId": shop.source_ids[source]}

    def _import(self, shop: Shop, records: list[Any]) -> Post:
        return self._post("/v1/import", shop.token, records, by_token=True)

    def oracle(self) -> Oracle:
        """Who counts all of it but the racing source, by plain sets."""
        oracle = Oracle()
        for fact in self.oracle_facts:
            oracle.meter(fact, self.today)
        return oracle


def noon_of(day: datetime) -> datetime:
    """The middle of a day, away from its ends."""
    return datetime.combine(day.date(), time(12), UTC)


def day_number(moment: datetime) -> int:
    """Days since 1970."""
    return (moment - _EPOCH) // timedelta(days=1)
