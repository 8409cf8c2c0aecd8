"""The read-only links of a workspace: list, make, revoke. A link's secret is shown once.

Whoever has a link sees one view of the page and needs no token. A link is no token: no operation
here takes it.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.api.opened_links import VIEWS
from headcount.api.usage.month import read_workspace_month
from headcount.api.v1.tokens import Moment, future_ms
from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, answer, body_of, endpoint
from headcount.api.wire.problems import Problem, invalid
from headcount.catalog import Link, View
from headcount.counting.calendar import Period, moment_text, parse_period
from headcount.errors import UsageError

__all__ = ["LINK_HANDLERS", "LinkListBody", "LinkRecord", "NewLinkBody"]

_MONTHS_MAX = 120
_DATE = {"format": "date"}
_MonthText = Annotated[
    str, Meta(description="First day of the month, YYYY-MM-DD.", extra_json_schema=_DATE)
]
_AGAINST = (
    "How many months before lies the one that it is held against: 1 for the month before, 12 for"
    " the same month a year ago."
)
_VIEW = (
    "`workspace` shows the workspace's page, `source` that of one source, `all` the workspace's and"
    " those of all its sources."
)


class LinkRecord(msgspec.Struct, rename="camel"):
    """A link, without its secret."""

    id: str
    name: str
    view: Annotated[View, Meta(description=_VIEW)]
    against: Annotated[int, Meta(description=_AGAINST)]
    created_at: Moment
    valid: Annotated[bool, Meta(description="Neither expired nor revoked.")]
    source_id: str | UnsetType = UNSET
    source_name: str | UnsetType = UNSET
    period: _MonthText | UnsetType = UNSET
    expires_at: Moment | UnsetType = UNSET
    revoked_at: Moment | UnsetType = UNSET
    last_used_at: (
        Annotated[
            str,
            Meta(description="RFC 3339, UTC; written down once in ten minutes. Absent if never."),
        ]
        | UnsetType
    ) = UNSET


class LinkListBody(msgspec.Struct):
    """All links of the workspace."""

    links: list[LinkRecord]


class LinkListAnswer(msgspec.Struct):
    """All links of the workspace, expired and revoked ones too, oldest first."""

    data: LinkListBody


class LinkBody(msgspec.Struct):
    """One link."""

    link: LinkRecord


class LinkAnswer(msgspec.Struct):
    """One link."""

    data: LinkBody


class NewLinkBody(msgspec.Struct):
    """A link and its secret."""

    link: LinkRecord
    path: Annotated[
        str, Meta(description="What follows this server's own address; not shown again.")
    ]


class NewLinkAnswer(msgspec.Struct):
    """A link and its secret."""

    data: NewLinkBody


class NewLink(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A link to make."""

    view: Annotated[View, Meta(description=_VIEW)]
    name: Annotated[str, Meta(description="What people call it.", max_length=200)] = ""
    source_id: Annotated[str, Meta(description="Whose page; with `source` only.")] | None = None
    period: (
        Annotated[
            str,
            Meta(
                description="The month that it shows, as everywhere; without it always the one"
                " that runs.",
                extra_json_schema=_DATE,
            ),
        ]
        | None
    ) = None
    against: Annotated[int, Meta(description=_AGAINST, ge=1, le=_MONTHS_MAX)] = 1
    expires_at: (
        Annotated[
            str,
            Meta(
                description="RFC 3339 with a zone; without it the link does not expire.",
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | None
    ) = None


def _record(caller: Caller, link: Link) -> LinkRecord:
    record = LinkRecord(
        link.id,
        link.name,
        link.view,
        link.against,
        moment_text(link.created_at_ms),
        link.valid_at(caller.services.clock()),
    )
    if link.source is not None:
        source = caller.services.directory.sources(link.workspace).get(link.source)
        if source is not None:
            record.source_id, record.source_name = source.id, source.name
    if link.period is not None:
        record.period = str(Period(link.period))
    if link.expires_at_ms is not None:
        record.expires_at = moment_text(link.expires_at_ms)
    if link.revoked_at_ms is not None:
        record.revoked_at = moment_text(link.revoked_at_ms)
    if link.used_at_ms is not None:
        record.last_used_at = moment_text(link.used_at_ms)
    return record


@endpoint(
    "GET",
    "/headcount/v1/links",
    Contract(
        name="listLinks",
        summary="All read-only links",
        description="All links to views of this workspace, and when each was last used; without"
        " their secrets, which nobody can read.",
        tag="Links",
        answer=LinkListAnswer,
    ),
)
def list_links(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    links = caller.services.catalog.links(caller.workspace.number)
    return answer(LinkListAnswer(LinkListBody([_record(caller, link) for link in links])))


@endpoint(
    "POST",
    "/headcount/v1/links",
    Contract(
        name="addLink",
        summary="Make a read-only link",
        description="Whoever has the link sees that view of the page and needs no token; it"
        " changes nothing, and opens no operation of this API. Its secret is in this answer and"
        " nowhere else.",
        tag="Links",
        answer=NewLinkAnswer,
        body=NewLink,
        status=201,
        errors=(404, 413, 422),
        access="admin",
    ),
)
async def add_link(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    new = await body_of(request, NewLink)
    now_ms = caller.services.clock()
    source = _source_number(caller, new)
    period = None if new.period is None else _period(caller, new.period)
    expires_at_ms = None if new.expires_at is None else future_ms(new.expires_at, now_ms)
    try:
        link, secret = caller.services.catalog.add_link(
            caller.workspace.number,
            now_ms,
            name=new.name,
            view=new.view,
            source=source,
            period=period,
            against=new.against,
            expires_at_ms=expires_at_ms,
        )
    except UsageError as error:
        raise Problem(422, f"{error.problem} {error.remedy}", field="name") from error
    body = NewLinkBody(_record(caller, link), f"{VIEWS}{secret}")
    return answer(NewLinkAnswer(body))


def _source_number(caller: Caller, new: NewLink) -> int | None:
    if new.view != "source":
        if new.source_id is not None:
            raise invalid("sourceId", "goes with the view `source` only.")
        return None
    known = caller.services.directory.sources(caller.workspace.number).values()
    source = next((each for each in known if each.id == new.source_id), None)
    if source is None:
        raise Problem(404, "This workspace has no source of that id.", field="sourceId")
    return source.number


def _period(caller: Caller, text: str) -> int:
    try:
        period = parse_period(text)
    except ValueError:
        raise invalid("period", "must be a date such as 2026-11-01.") from None
    return read_workspace_month(caller, period).period.number


@endpoint(
    "DELETE",
    "/headcount/v1/links/{link_id:str}",
    Contract(
        name="revokeLink",
        summary="Revoke a read-only link",
        description="From then on it shows nothing. Revoking again changes nothing.",
        tag="Links",
        answer=LinkAnswer,
        errors=(404,),
        access="admin",
    ),
)
def revoke_link(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    link = caller.services.catalog.revoke_link(
        caller.workspace.number, request.path_params["link_id"], caller.services.clock()
    )
    if link is None:
        raise Problem(404, "This workspace has no link of that id.", field="linkId")
    return answer(LinkAnswer(LinkBody(_record(caller, link))))


LINK_HANDLERS = [list_links, add_link, revoke_link]
