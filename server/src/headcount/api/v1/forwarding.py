"""Where sources deliver on to: list, set, stop, go on.

The vendor's write key can be written and is never read back. Whoever holds a token may name public
addresses over TLS only: this server would else reach into its operator's network for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response
from msgspec import Meta

from headcount.api.wire.context import Caller, caller_of
from headcount.api.wire.contract import Contract, answer, body_of, endpoint
from headcount.api.wire.problems import Problem
from headcount.catalog import Forwarding, Source
from headcount.counting.calendar import moment_text
from headcount.errors import UsageError
from headcount.forwarding_status import ForwardingStatus, OutcomeTally
from headcount.forwarding_targets import checked_vendor_key, target_url

__all__ = ["FORWARDING_HANDLERS", "ForwardingListBody", "ForwardingRecord"]

_NONE = OutcomeTally(0, 0)


class RequestCount(msgspec.Struct):
    """How many requests, and the messages in them."""

    requests: int
    messages: int


class RefusedCount(msgspec.Struct):
    """Requests that the vendor refused for good with one status."""

    status: Annotated[int, Meta(description="The HTTP status of its answer.")]
    requests: int
    messages: int


class ForwardingOutcomes(msgspec.Struct):
    """What became of requests, since the source first forwarded."""

    delivered: Annotated[RequestCount, Meta(description="The vendor took them.")]
    refused: Annotated[RequestCount, Meta(description="The vendor refused them for good (4xx).")]
    expired: Annotated[RequestCount, Meta(description="They waited for longer than they may.")]
    dropped: Annotated[RequestCount, Meta(description="They were let go when forwarding ended.")]
    damaged: Annotated[RequestCount, Meta(description="The disk gave back other bytes.")]


class ForwardingRecord(msgspec.Struct, rename="camel"):
    """Where a source delivers on to, and how far it is."""

    source_id: str
    source_name: str
    to: Annotated[str, Meta(description="The beginning of the vendor's addresses.")]
    when_full: Annotated[
        Literal["refuse", "stop"],
        Meta(description="What it does when what waits takes all the room it may."),
    ]
    state: Annotated[
        Literal["on", "full", "ending", "off"],
        Meta(
            description="on: what it sends is forwarded. full: no more since stoppedAt, for want of"
            " room. ending: only what waits is. off: nothing is."
        ),
    ]
    stopped_at: Annotated[str | None, Meta(description="RFC 3339, UTC.")]
    waiting_messages: int
    waiting_bytes: int
    behind_seconds: Annotated[
        float, Meta(description="For how long the oldest of them has been waiting.")
    ]
    failing: Annotated[
        str | None, Meta(description="What the vendor does; null where it took the last request.")
    ]
    retry_at: Annotated[str | None, Meta(description="RFC 3339, UTC.")]
    sentence: Annotated[str, Meta(description="How far it is, in words.")]
    outcomes: ForwardingOutcomes
    refused_by_status: list[RefusedCount]


class ForwardingListBody(msgspec.Struct):
    """All sources that ever forwarded."""

    forwarding: list[ForwardingRecord]


class ForwardingListAnswer(msgspec.Struct):
    """All sources of the workspace that ever forwarded, in the order in which they were added."""

    data: ForwardingListBody


class ForwardingBody(msgspec.Struct):
    """One source."""

    forwarding: ForwardingRecord


class ForwardingAnswer(msgspec.Struct):
    """One source."""

    data: ForwardingBody


class NewForwarding(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Where a source is to deliver on to."""

    to: Annotated[
        str,
        Meta(
            description="segment, rudderstack, or the beginning of a public https:// address.",
            min_length=1,
            max_length=500,
        ),
    ]
    write_key: Annotated[
        str, Meta(description="The vendor's; never read back.", min_length=1, max_length=500)
    ]
    when_full: Literal["refuse", "stop"] = "refuse"


class ForwardingChange(msgspec.Struct, forbid_unknown_fields=True):
    """What to change."""

    state: Annotated[
        Literal["on", "ending", "off"],
        Meta(
            description="on: forward again what comes. ending: forward no more, and deliver what"
            " waits. off: drop what waits too."
        ),
    ]


def _record(
    source: Source, forwarding: Forwarding, statuses: Mapping[int, ForwardingStatus], now_ms: int
) -> ForwardingRecord:
    status = statuses.get(source.number) or ForwardingStatus(
        source.number, now_ms, None, 0, 0, None, "", None, {}, []
    )
    is_full = forwarding.state == "on" and status.stopped_at_ms is not None
    counts = {
        name: _count(status.tallies.get(name, _NONE))
        for name in ForwardingOutcomes.__struct_fields__
    }
    return ForwardingRecord(
        source_id=source.id,
        source_name=source.name,
        to=forwarding.url,
        when_full=forwarding.when_full,
        state="full" if is_full else forwarding.state,
        stopped_at=_moment(status.stopped_at_ms),
        waiting_messages=status.waiting_messages,
        waiting_bytes=status.waiting_bytes,
        behind_seconds=status.behind_ms / 1000,
        failing=status.failing or None,
        retry_at=_moment(status.retry_at_ms),
        sentence=status.sentence,
        outcomes=ForwardingOutcomes(**counts),
        refused_by_status=[
            RefusedCount(each.status, each.requests, each.messages) for each in status.refused
        ],
    )


def _count(tally: OutcomeTally) -> RequestCount:
    return RequestCount(tally.requests, tally.messages)


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else moment_text(at_ms)


def _records(caller: Caller) -> list[ForwardingRecord]:
    services = caller.services
    statuses = {each.source: each for each in services.forwarding()}
    set_up = {each.source: each for each in services.catalog.forwardings()}
    return [
        _record(source, set_up[source.number], statuses, services.clock())
        for source in services.directory.sources(caller.workspace.number).values()
        if source.number in set_up
    ]


def _one(caller: Caller, source: Source) -> Response[bytes]:
    record = next(each for each in _records(caller) if each.source_id == source.id)
    return answer(ForwardingAnswer(ForwardingBody(record)))


def _find(request: Request[Any, Any, Any], caller: Caller) -> Source:
    wanted = request.path_params["source_id"]
    for source in caller.services.directory.sources(caller.workspace.number).values():
        if source.id == wanted:
            return source
    raise Problem(404, "This workspace has no source of that id.", field="sourceId")


@endpoint(
    "GET",
    "/headcount/v1/forwarding",
    Contract(
        name="listForwarding",
        summary="Where sources deliver on to",
        description="All sources that ever forwarded: where to, how far they are behind, and what"
        " the vendor said. Write keys of vendors are never shown.",
        tag="Sources",
        answer=ForwardingListAnswer,
    ),
)
def list_forwarding(request: Request[Any, Any, Any]) -> Response[bytes]:
    return answer(ForwardingListAnswer(ForwardingListBody(_records(caller_of(request)))))


@endpoint(
    "PUT",
    "/headcount/v1/sources/{source_id:str}/forwarding",
    Contract(
        name="setForwarding",
        summary="Let a source deliver on",
        description="What the source sends from now on is delivered on to the vendor, once it is"
        " counted. With a token, only public addresses over TLS can be named.",
        tag="Sources",
        answer=ForwardingAnswer,
        body=NewForwarding,
        errors=(404, 413, 422),
        access="admin",
    ),
)
async def set_forwarding(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    source = _find(request, caller)
    new = await body_of(request, NewForwarding)
    try:
        key = checked_vendor_key(new.write_key)
    except UsageError as error:
        raise Problem(422, f'"writeKey": {error.problem}', field="writeKey") from None
    try:
        # Its name is looked up, which may take a while, and others are not to wait for it.
        url = await asyncio.to_thread(target_url, new.to, by_token=True)
    except UsageError as error:
        raise Problem(422, f'"to": {error.problem} {error.remedy}', field="to") from None
    services = caller.services
    services.catalog.set_forwarding(
        source.number, url, key, new.when_full, services.clock(), by_token=True
    )
    return _one(caller, source)


@endpoint(
    "PATCH",
    "/headcount/v1/sources/{source_id:str}/forwarding",
    Contract(
        name="changeForwarding",
        summary="Stop delivering on, or go on",
        description="What the source sends is counted all the same.",
        tag="Sources",
        answer=ForwardingAnswer,
        body=ForwardingChange,
        errors=(404, 413, 422),
        access="admin",
    ),
)
async def change_forwarding(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    source = _find(request, caller)
    change = await body_of(request, ForwardingChange)
    services = caller.services
    try:
        services.catalog.set_forwarding_state(source.number, change.state, services.clock())
    except UsageError as error:
        raise Problem(404, error.problem, field="sourceId") from None
    return _one(caller, source)


FORWARDING_HANDLERS = [list_forwarding, set_forwarding, change_forwarding]
