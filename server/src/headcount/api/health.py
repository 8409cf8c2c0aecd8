"""Whether the server lives, whether it should get traffic, and its metrics: no token needed."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.api.services import Services
from headcount.api.telemetry import standing_text
from headcount.api.wire.context import services_of
from headcount.api.wire.contract import Contract, answer, endpoint
from headcount.api.wire.problems import Problem
from headcount.backlog import Backlog
from headcount.counting.calendar import moment_text
from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.troubles import Trouble

__all__ = ["HEALTH_HANDLERS"]

_PROMETHEUS = "text/plain; version=0.0.4"
# What proxies add, whom nobody outside shall ask for the usage of others.
_FORWARDING = (
    "x-forwarded-for",
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-proto",
    "via",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
)
# The meter speaks about once a second; what it said longer ago than this need not be true now.
_SAID_WITHIN_MS = 10_000


class Health(msgspec.Struct):
    """That all is well."""

    status: Annotated[str, Meta(description='"ok".')]


class Behind(msgspec.Struct, rename="camel"):
    """How far counting is behind."""

    messages: Annotated[int, Meta(description="Acknowledged and not counted yet.")]
    seconds: Annotated[float, Meta(description="How long the oldest of them has been waiting.")]
    caught_up_in_seconds: Annotated[
        float | None,
        Meta(
            description="Estimate, if messages go on coming and being counted as they do now; null"
            " when more come than are counted, and while it is too early to say."
        ),
    ]
    message: Annotated[str, Meta(description="The same for people.")]


class Noted(msgspec.Struct, rename="camel"):
    """Something that is wrong and keeps nobody from sending or reading."""

    kind: Annotated[str, Meta(description="What, in a word that stays the same.")]
    since: Annotated[str, Meta(description="Since when, RFC 3339 in UTC.")]
    message: Annotated[str, Meta(description="What is wrong, and what to do about it.")]


class Readiness(msgspec.Struct, rename="camel"):
    """That traffic is welcome, and whether counting keeps up with it."""

    status: Annotated[str, Meta(description='"ok".')]
    behind: (
        Annotated[
            Behind | None,
            Meta(
                description="null when everything is counted within a second; absent while nobody"
                " knows."
            ),
        ]
        | UnsetType
    ) = UNSET
    meter_silent_seconds: (
        Annotated[
            float,
            Meta(
                description="For how long the meter has said nothing, when that is more than 10 s:"
                " it may be held up, as by a disk that does not answer, and far behind."
            ),
        ]
        | UnsetType
    ) = UNSET
    troubles: (
        Annotated[
            list[Noted],
            Meta(
                description="What an operator should look at although messages are taken and"
                " counted, such as messages that are kept aside; absent when there is nothing."
            ),
        ]
        | UnsetType
    ) = UNSET


@endpoint(
    "GET",
    "/healthz",
    Contract(
        name="getHealth",
        summary="Alive",
        description="Answers as long as this process does; asks nothing of the rest.",
        tag="Health",
        answer=Health,
        access="open",
    ),
)
def healthz() -> Response[bytes]:
    return answer(Health("ok"))


@endpoint(
    "GET",
    "/readyz",
    Contract(
        name="getReadiness",
        summary="Ready",
        description="200 when messages are taken and counted and usage can be read; otherwise 503,"
        " and the error says what is missing. Says too how far counting is behind, if it is, and"
        " when it will have caught up, or for how long the meter has said nothing; and what its"
        " operator should look at.",
        tag="Health",
        answer=Readiness,
        errors=(500, 503),
        meanings={
            503: "Messages are not taken, not counted or cannot be read; the error says why."
        },
        access="open",
    ),
)
def readyz(request: Request[Any, Any, Any]) -> Response[bytes]:
    services = services_of(request)
    troubles = services.troubles()
    reasons = _reasons(services)
    if reasons:
        # What hinders nobody by itself may well be why something else does.
        reasons += [_said(t) for t in troubles if not t.hinders and _said(t) not in reasons]
        raise Problem(503, " ".join(reasons), headers={"Retry-After": "1"})
    noted = [Noted(t.kind, moment_text(t.since_ms), _said(t)) for t in troubles]
    cluster = services.cluster()
    if cluster is not None:
        noted += [Noted("cluster", moment_text(cluster.at), each) for each in cluster.missing]
    ready = Readiness("ok", troubles=noted or UNSET)
    backlog = services.backlog()
    if backlog is not None:
        silent_ms = services.clock() - backlog.at_ms
        if silent_ms > _SAID_WITHIN_MS:
            ready.meter_silent_seconds = silent_ms / 1000
        else:
            ready.behind = _behind(backlog)
    return answer(ready)


def _reasons(services: Services) -> list[str]:
    """Why there should be no traffic yet; none when the server is ready."""
    reasons = list(services.not_ready())
    # A process that keeps ending is missed, and is a trouble as well.
    reasons += [_said(t) for t in services.troubles() if t.hinders and _said(t) not in reasons]
    return reasons


def _said(trouble: Trouble) -> str:
    return f"{trouble.message} {trouble.remedy}".strip()


def _behind(backlog: Backlog) -> Behind | None:
    if backlog.caught_up_in_s == 0:
        return None
    left_s = backlog.caught_up_in_s
    if left_s is not None and math.isinf(left_s):
        left_s = None
    return Behind(backlog.messages, backlog.behind_ms / 1000, left_s, backlog.sentence)


@endpoint(
    "GET",
    "/metrics",
    Contract(
        name="getMetrics",
        summary="Metrics",
        description="Metrics of all processes of the server in Prometheus' text format. Who asks"
        " from the machine of the server, or from where --metrics-from says, and through no proxy,"
        " is told the usage and the plan of every workspace as well.",
        tag="Health",
        answer=None,
        media_type=_PROMETHEUS,
        errors=(500,),
        access="open",
    ),
)
async def metrics(request: Request[Any, Any, Any]) -> Response[str]:
    services = services_of(request)
    backlog = services.backlog()
    silent_ms = 0 if backlog is None else max(0, services.clock() - backlog.at_ms)
    text = services.server_metrics() + services.metrics_text()
    text += standing_text(ready=not _reasons(services), meter_silent_s=silent_ms / 1000)
    if _is_told_usage(request, services):
        # Where the catalog cannot be read, the rest is all the more of use.
        with suppress(DataFolderError, StorageUnavailableError):
            text += await services.workspace_usage()
    return Response(text, media_type=_PROMETHEUS, headers={"Cache-Control": "no-store"})


def _is_told_usage(request: Request[Any, Any, Any], services: Services) -> bool:
    """Whether the operator's own machines ask, and nobody through a proxy."""
    if any(name in request.headers for name in _FORWARDING):
        return False
    return request.client is not None and request.client.host in services.settings.metrics_from


HEALTH_HANDLERS = [healthz, readyz, metrics]
