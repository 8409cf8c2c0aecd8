"""History to import: takes a number of records, gives two archives and what they must count as.

The second one comes on top of the first: a tenth as many records of the month's last days, of which
one in ten is of a message that the first one has, on another day perhaps.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["DUPLICATES", "FURTHER", "MONTH", "WHOLE", "Counts", "Truth", "make_files"]

MONTH = "2021-02"
DUPLICATES, _AGAIN = 0.02, 0.1
FURTHER = 10
"""The second archive holds the first one's records divided by that."""
WHOLE = ""
"""What the workspace as a whole is called among its sources."""

_DAYS = 28
_DAY_S = 86_400
_RECENT = 20_000
_APART_S = 2 * _DAY_S
_SOURCES = ("web", "web", "web", "app", "app", "shop", "desk", "till")
_TYPES = ("track",) * 44 + ("page",) * 3 + ("identify",) * 2 + ("alias",)

Counts = dict[str, dict[str, dict[str, int]]]
"""Of each source, and of the workspace as a whole: `calls`, `identified`, `anonymous` and `joined`
to what was new on each day, such as `2021-02-03`. Those joined are anonymous ids that were seen
with a userId, on the first day that they were."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What has to be counted.

    Attributes:
        records: lines of the archive.
        counts: what is counted once it is imported, with what was before.
    """

    records: int
    counts: Counts


@dataclass(slots=True)
class _Seen:
    """Ids by scope and kind, with the earliest day of each; message ids are `calls`."""

    days: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)

    def note(self, message: dict[str, Any], day: int) -> None:
        source, user = message["projectId"], message.get("userId")
        visitors = {message[name] for name in ("anonymousId", "previousId") if name in message}
        self._add(source, "calls", message["messageId"], day)
        for scope in (source, WHOLE):
            if user:
                self._add(scope, "identified", user, day)
            for visitor in visitors:
                self._add(scope, "anonymous", visitor, day)
                if user:
                    self._add(scope, "joined", visitor, day)

    def _add(self, scope: str, kind: str, each: str, day: int) -> None:
        known = self.days.setdefault((scope, kind), {})
        known[each] = min(known.get(each, day), day)

    def counts(self) -> Counts:
        found: Counts = {}
        calls = Counter[int]()
        for (scope, kind), days in self.days.items():
            new = Counter(days.values())
            found.setdefault(scope, {})[kind] = _by_day(new)
            calls += new if kind == "calls" else Counter()
        found.setdefault(WHOLE, {})["calls"] = _by_day(calls)
        return found


def _by_day(new: Counter[int]) -> dict[str, int]:
    return {f"{MONTH}-{1 + day:02d}": count for day, count in sorted(new.items()) if count}


def make_files(first: Path, further: Path, records: int) -> tuple[Truth, Truth]:
    """Write a month of messages of several sources as two archives.

    Some messages were received twice, up to two days apart, or are in both.

    Args:
        first, further: where to.
        records: how many lines the first one has.

    Returns:
        What has to be counted after the first, and after both.
    """
    chance = random.Random(7)
    seen, recent, truths = _Seen(), list[dict[str, Any]](), []
    start, total = 0, records + records // FURTHER
    for file, count, again in (
        (first, records, DUPLICATES), (further, records // FURTHER, _AGAIN)
    ):  # fmt: skip
        with file.open("w") as lines:
            for number in range(start, start + count):
                second = number * _DAYS * _DAY_S // total
                if recent and chance.random() < again:
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
                seen.note(message, second // _DAY_S)
            start += count
        truths.append(Truth(count, seen.counts()))
    return truths[0], truths[1]


def _moment(second: int, millisecond: int) -> str:
    day, rest = divmod(second, _DAY_S)
    hour, minute = rest // 3600, rest // 60 % 60
    return f"{MONTH}-{1 + day:02d}T{hour:02d}:{minute:02d}:{rest % 60:02d}.{millisecond:03d}Z"


def _message(chance: random.Random, records: int) -> dict[str, Any]:
    message = {
        "type": chance.choice(_TYPES),
        "event": "Product Viewed",
        "messageId": f"ajs-next-{chance.getrandbits(128):032x}",
        "projectId": chance.choice(_SOURCES),
        "context": {"library": {"name": "analytics.js"}, "page": {"path": "/products"}},
        "properties": {"price": chance.randrange(1000), "sku": f"S{chance.randrange(10_000)}"},
    }
    visitor = f"{chance.randrange(max(1, records // 5)):08x}-0000-4000-8000-000000000000"
    message["previousId" if message["type"] == "alias" else "anonymousId"] = visitor
    if message["type"] in ("alias", "identify") or chance.random() < 0.4:
        message["userId"] = f"user-{chance.randrange(max(1, records // 10))}"
    return message
