"""`headcount tail`: shows what becomes of messages while they come, until Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from headcount.cli.options import as_json_option
from headcount.cli.reading.api_connection import connected, reading_options
from headcount.cli.reading.forwarded import ForwardedChange, ForwardedNews, read_forwarded
from headcount.cli.reading.own import get_own
from headcount.cli.reading.polling import Poller
from headcount.errors import UsageError
from headcount.shown import shown
from headcount.terminal import print_json_line, say, write_text

if TYPE_CHECKING:
    from headcount.cli.reading.api_connection import ApiConnection
    from headcount.config import Settings

__all__ = ["tail"]

_SETTLED_AT = "T00:01"  # of a month's first day: by then all that came before it is counted


@click.command(
    epilog="""\b
Examples:
  headcount tail --token-file token
  headcount tail --source web
  headcount tail --json | jq 'select(.rejected > 0)'"""
)
@click.option("--source", metavar="S", help="Only this source, by id or name.")
@reading_options
@as_json_option
def tail(settings: Settings, source: str | None, as_json: bool) -> None:
    """Show accepted, duplicate and rejected messages by source, as they are counted.

    A line tells how many more there are since the line before: an accepted message is an API
    call, a duplicate was answered like one and is none, a rejected one is named by its reason.
    Of sources that forward, a line tells what the vendor took and refused, and how far it is
    behind. Reads Headcount over HTTP with an API token; messages imported into past months are not
    shown.
    """
    with connected(settings) as connection:
        poller = Poller(connection)
        begun = poller.answer(lambda: _read(connection))
        assert begun is not None, "the first answer is there, or it raises"
        news = _News(connection, poller, begun)
        forwarded = ForwardedNews(poller.answer(lambda: read_forwarded(connection)) or [])
        only = None if source is None else _source_id(connection, source)
        say(f"Waiting for messages at {connection.host}. Ctrl-C ends.")
        while True:
            poller.pause(news.requests + 1)
            for change in news.more():
                if only is None or change.source_id == only:
                    _print(change, as_json)
            told = poller.answer(lambda: read_forwarded(connection))
            for delivered in forwarded.more(told or []):
                if only is None or delivered.source_id == only:
                    _print_forwarded(delivered, as_json)
            sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """The outcomes of one source."""

    source_id: str
    source_name: str
    counted_until: str
    accepted: int = 0
    duplicate: int = 0
    rejected: dict[str, int] = field(default_factory=dict)

    def less(self, before: _Outcomes) -> _Outcomes:
        """What came since an earlier reading."""
        rejected = {
            reason: more
            for reason, count in self.rejected.items()
            if (more := count - before.rejected.get(reason, 0))
        }
        return _Outcomes(
            self.source_id,
            self.source_name,
            self.counted_until,
            self.accepted - before.accepted,
            self.duplicate - before.duplicate,
            rejected,
        )

    @property
    def any(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.accepted or self.duplicate or self.rejected)


@dataclass(frozen=True, slots=True)
class _OutcomesReading:
    """One answer: its month, and outcomes by source id."""

    period: str
    counted_until: str
    sources: dict[str, _Outcomes]


def _read(connection: ApiConnection, **query: str) -> _OutcomesReading:
    told = get_own(connection, "outcomes", **query)
    if told is None:
        raise UsageError(
            f"{connection.host} is not Headcount: it tells no outcomes of messages.",
            "Name a Headcount server with --host.",
        )
    return _OutcomesReading(
        told["period"],
        told["countedUntil"],
        {each["sourceId"]: _outcomes(each, told["countedUntil"]) for each in told["sources"]},
    )


def _outcomes(told: dict[str, Any], counted_until: str) -> _Outcomes:
    outcomes = told["outcomes"]
    return _Outcomes(
        told["sourceId"],
        told["sourceName"],
        counted_until,
        outcomes["accepted"],
        outcomes["duplicate"] + outcomes.get("conflictingDuplicate", 0),
        outcomes["rejectedByReason"],
    )


class _News:
    """What came since it was last asked, over the turn of a month too.

    Args:
        connection, poller: whom to ask, and how.
        begun: the reading that all others are compared with.
    """

    def __init__(self, connection: ApiConnection, poller: Poller, begun: _OutcomesReading) -> None:
        self._connection = connection
        self._poller = poller
        self._last = begun
        self._former: _OutcomesReading | None = None  # of the month before, until it is settled

    @property
    def requests(self) -> int:
        """How many requests the next round takes."""
        return 1 if self._former is None else 2

    def more(self) -> list[_Outcomes]:
        """What came; nothing while the server is away."""
        now = self._poller.answer(lambda: _read(self._connection))
        if now is None:
            return []
        if now.period != self._last.period:
            self._former, self._last = self._last, _OutcomesReading(now.period, "", {})
        came = [*self._more_of_former(), *_more(self._last, now)]
        self._last = now
        return came

    def _more_of_former(self) -> list[_Outcomes]:
        """What came at a month's very end may be counted only after the month has turned."""
        former = self._former
        if former is None:
            return []
        now = self._poller.answer(lambda: _read(self._connection, period=former.period))
        if now is None:
            return []
        settled = now.counted_until >= f"{self._last.period}{_SETTLED_AT}"
        self._former = None if settled else now
        return list(_more(former, now))


def _more(before: _OutcomesReading, now: _OutcomesReading) -> Iterator[_Outcomes]:
    for source_id, outcomes in now.sources.items():
        former = before.sources.get(source_id)
        more = outcomes if former is None else outcomes.less(former)
        if more.any:
            yield more


def _source_id(connection: ApiConnection, id_or_name: str) -> str:
    told = get_own(connection, "sources") or {"sources": []}
    for key in ("id", "name"):
        for each in told["sources"]:
            if each[key] == id_or_name:
                return str(each["id"])
    raise UsageError(
        f'The token\'s workspace has no source "{id_or_name}".', "See `headcount source list`."
    )


def _print(change: _Outcomes, as_json: bool) -> None:
    if as_json:
        print_json_line(
            {
                "countedUntil": change.counted_until,
                "sourceId": change.source_id,
                "sourceName": change.source_name,
                "accepted": change.accepted,
                "duplicate": change.duplicate,
                "rejected": sum(change.rejected.values()),
                "rejectedByReason": change.rejected,
            }
        )
        return
    until = datetime.fromisoformat(change.counted_until).astimezone(UTC)
    parts = [("accepted", change.accepted), ("duplicate", change.duplicate)]
    parts += [(f"rejected {shown(reason)}", count) for reason, count in change.rejected.items()]
    told = "  ".join(f"{words} {count:+,}" for words, count in parts if count)
    write_text(f"{until:%H:%M:%S}  {shown(change.source_name)}  {told}\n")


def _print_forwarded(change: ForwardedChange, as_json: bool) -> None:
    now = datetime.now(UTC)
    if as_json:
        print_json_line(
            {
                "at": now.isoformat(timespec="milliseconds"),
                "sourceId": change.source_id,
                "sourceName": change.source_name,
                "forwarded": change.outcomes,
                "behindSeconds": change.behind_s,
            }
        )
        return
    told = "  ".join(f"{words} {count:+,}" for words, count in change.outcomes.items())
    parts = [part for part in (told, change.behind) if part]
    write_text(f"{now:%H:%M:%S}  {shown(change.source_name)}  forwarded: {'  '.join(parts)}\n")
