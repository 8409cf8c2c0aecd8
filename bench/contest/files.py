"""History to import: takes a number of records, gives a file and what must be counted of it."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["DUPLICATES", "MONTH", "Truth", "make_file"]

MONTH = "2021-02"
DUPLICATES = 0.02
_DAYS = 28
_DAY_S = 86_400
_RECENT = 20_000
_APART_S = 2 * _DAY_S


@dataclass(frozen=True, slots=True)
class Truth:
    """What a file holds.

    Attributes:
        records: lines.
        calls: message ids by the earliest day that one was received on, as `2021-02-03`.
        identified, anonymous, joined: distinct ids; the last are anonymous ones with a userId.
    """

    records: int
    calls: dict[str, int]
    identified: int
    anonymous: int
    joined: int


def make_file(file: Path, records: int) -> Truth:
    """Write a month of messages, some of which were received twice, up to two days apart.

    Args:
        file: where to.
        records: how many lines.
    """
    chance = random.Random(7)
    earliest: dict[str, int] = {}
    users: set[str] = set()
    visitors: set[str] = set()
    joined: set[str] = set()
    recent: list[dict[str, Any]] = []
    with file.open("w") as lines:
        for number in range(records):
            second = number * _DAYS * _DAY_S // records
            if recent and chance.random() < DUPLICATES:
                message = chance.choice(recent)
                second = second + chance.randrange(-_APART_S, _APART_S)
                second = min(max(second, 0), _DAYS * _DAY_S - 1)
            else:
                message = _message(chance, records)
                if len(recent) < _RECENT:
                    recent.append(message)
                else:
                    recent[chance.randrange(_RECENT)] = message
            moment = _moment(second, chance.randrange(1000))
            lines.write(json.dumps(message | {"receivedAt": moment}) + "\n")
            each = message["messageId"]
            earliest[each] = min(earliest.get(each, _DAYS), second // _DAY_S)
            visitors.add(message["anonymousId"])
            if user := message.get("userId"):
                users.add(user)
                joined.add(message["anonymousId"])
    by_day = Counter(earliest.values())
    calls = {f"{MONTH}-{1 + day:02d}": count for day, count in sorted(by_day.items())}
    return Truth(records, calls, len(users), len(visitors), len(joined))


def _moment(second: int, millisecond: int) -> str:
    day, rest = divmod(second, _DAY_S)
    hour, minute = rest // 3600, rest // 60 % 60
    return f"{MONTH}-{1 + day:02d}T{hour:02d}:{minute:02d}:{rest % 60:02d}.{millisecond:03d}Z"


def _message(chance: random.Random, records: int) -> dict[str, Any]:
    message = {
        "type": "track",
        "event": "Product Viewed",
        "messageId": f"ajs-next-{chance.getrandbits(128):032x}",
        "anonymousId": f"{chance.randrange(max(1, records // 5)):08x}-0000-4000-8000-000000000000",
        "context": {"library": {"name": "analytics.js"}, "page": {"path": "/products"}},
        "properties": {"price": chance.randrange(1000), "sku": f"S{chance.randrange(10_000)}"},
    }
    if chance.random() < 0.4:
        message["userId"] = f"user-{chance.randrange(max(1, records // 10))}"
    return message
