"""The naive count: takes everything that was sent, gives what every row of usage must say.

Plain sets over the whole history, sharing no code with the server. It knows the rules that the
made traffic needs: a message delivered twice is one API call, an id is counted once a month and
scope, and an anonymous id that was seen with a user is not counted beside that user. No made
message is delivered again in another month.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

from headcount.demo.traffic import Sent

__all__ = ["Key", "Usage", "expected_usage"]


class Key(NamedTuple):
    """Which row of usage.

    Attributes:
        day: its day.
        source: name of its source; None for the workspace.
    """

    day: date
    source: str | None


class Usage(NamedTuple):
    """What a row of usage says: the month so far, at the end of its day."""

    api_calls: int
    mtu: int
    identified: int
    never_identified: int
    anonymous: int
    anonymous_identified: int

    @classmethod
    def counted(
        cls, api_calls: int, identified: int, anonymous: int, anonymous_identified: int
    ) -> Usage:
        """What follows from the four counts: who never was a user, and monthly tracked users."""
        never = anonymous - anonymous_identified
        return cls(
            api_calls, identified + never, identified, never, anonymous, anonymous_identified
        )


def expected_usage(sent: Iterable[Sent], today: date) -> dict[Key, Usage]:
    """What the usage API must answer, row for row.

    Args:
        sent: every message that was sent and is not broken, repeated ones too.
        today: the last day with rows.
    """
    scopes: defaultdict[tuple[date, str | None], list[Sent]] = defaultdict(list)
    for message in sent:
        month = message.day.replace(day=1)
        scopes[month, None].append(message)
        scopes[month, message.source].append(message)
    rows: dict[Key, Usage] = {}
    for (month, source), of_scope in scopes.items():
        # The workspace has rows from the month's start on, a source from its first day.
        first_day = month if source is None else min(message.day for message in of_scope)
        rows |= _month(of_scope, source, first_day, today)
    return rows


def _month(sent: list[Sent], source: str | None, first_day: date, today: date) -> dict[Key, Usage]:
    """The rows of one scope and month, from a day to the end of the month, or to today."""
    of_days: defaultdict[date, list[Sent]] = defaultdict(list)
    for message in sent:
        of_days[message.day].append(message)
    rows = {}
    calls: set[tuple[str, str]] = set()
    users: set[str] = set()
    anonymous: set[str] = set()
    with_user: set[str] = set()
    day = first_day
    while day.month == first_day.month and day <= today:
        for message in of_days[day]:
            calls.add((message.source, message.message_id))
            if message.user_id is not None:
                users.add(message.user_id)
            if message.anonymous_id is not None:
                anonymous.add(message.anonymous_id)
                if message.user_id is not None:
                    with_user.add(message.anonymous_id)
        rows[Key(day, source)] = Usage.counted(
            len(calls), len(users), len(anonymous), len(with_user)
        )
        day += timedelta(days=1)
    return rows
