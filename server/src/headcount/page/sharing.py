"""Making and revoking read-only links on the page: takes forms, asks the API, gives notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from headcount.api.v1.daily import DailyBody
from headcount.api.v1.links import LinkListBody, LinkRecord, NewLinkBody
from headcount.counting.calendar import parse_period
from headcount.page.changes import ADDRESS, changing
from headcount.page.one_month import DAILY, periods_with_usage
from headcount.page.sessions import Notice
from headcount.page.visits import Visit

__all__ = ["SHARING_HANDLERS", "Sharing", "read_sharing"]

_LINKS = "/headcount/v1/links"
_OF_SOURCE = "source:"
_DISTANCES = {1: "the month before", 12: "the year before"}
_DISTANCE_MAX = 120


@dataclass(frozen=True, slots=True)
class Sharing:
    """What the page for managing shows of links.

    Attributes:
        links: all of them, the ones that show something first.
        months: which a link may show, the current one first.
        distances: how many months before lies the one that is held against, with words.
        view, period, against: what is chosen at first, as the address asks.
    """

    links: Sequence[LinkRecord]
    months: Sequence[str]
    distances: Mapping[int, str]
    view: str
    period: str
    against: int


async def read_sharing(visit: Visit, asked: Mapping[str, str]) -> Sharing:
    """What there is to show of links, and what the view that somebody came from is.

    Args:
        visit: who looks.
        asked: the address' own words: `period`, `against` and `source` of that view.
    """
    links = (await visit.ask(LinkListBody, _LINKS)).links
    daily = await visit.ask(DailyBody, DAILY)
    months = periods_with_usage(daily)
    period = asked.get("period", "")
    against = _distance(period or daily.period, asked.get("against", ""))
    return Sharing(
        sorted(links, key=lambda link: not link.valid),
        months,
        _DISTANCES | {against: _DISTANCES.get(against, f"{against} months before")},
        f"{_OF_SOURCE}{asked['source']}" if asked.get("source") else "workspace",
        period if period in months else "",
        against,
    )


def _distance(period: str, against: str) -> int:
    try:
        found = parse_period(period).number - parse_period(against).number
    except ValueError:
        return 1
    return found if 1 <= found <= _DISTANCE_MAX else 1


@changing("/page/links")
async def add_link(visit: Visit, form: dict[str, str], _named: str) -> Notice:
    view, expires = form.get("view", ""), form.get("expires", "")
    of_source = view.startswith(_OF_SOURCE)
    against = form.get("against", "")
    body = {
        "name": form.get("name", "").strip(),
        "view": "source" if of_source else view,
        "sourceId": view.removeprefix(_OF_SOURCE) if of_source else None,
        "period": form.get("period") or None,
        "against": int(against[:9]) if against.isascii() and against.isdigit() else 1,
        "expiresAt": f"{expires}T00:00:00Z" if expires else None,
    }
    made = await visit.ask(NewLinkBody, _LINKS, method="POST", body=body)
    return Notice(
        "Copy the new link now: it is not shown again. Whoever has it sees that view.",
        secret=form[ADDRESS] + made.path,
    )


@changing("/page/links/{named:str}/revoke")
async def revoke_link(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    await visit.ask(msgspec.Raw, f"{_LINKS}/{named}", method="DELETE")
    return Notice("The link is revoked, and shows nothing from now on.")


SHARING_HANDLERS = [add_link, revoke_link]
