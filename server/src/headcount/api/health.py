"""Whether the server lives, whether it should get traffic, and its metrics: no token needed."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from msgspec import Meta

from headcount.api.contract import Contract, answer, endpoint
from headcount.api.exchange import services_of
from headcount.api.problems import Problem

__all__ = ["HEALTH_HANDLERS"]

_PROMETHEUS = "text/plain; version=0.0.4"


class Health(msgspec.Struct):
    """That all is well."""

    status: Annotated[str, Meta(description='"ok".')]


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
        " and the error says what is missing.",
        tag="Health",
        answer=Health,
        access="open",
    ),
)
def readyz(request: Request[Any, Any, Any]) -> Response[bytes]:
    if reasons := services_of(request).not_ready():
        raise Problem(503, " ".join(reasons), headers={"Retry-After": "1"})
    return answer(Health("ok"))


@endpoint(
    "GET",
    "/metrics",
    Contract(
        name="getMetrics",
        summary="Metrics",
        description="Metrics of all processes of the server in Prometheus' text format.",
        tag="Health",
        answer=None,
        media_type=_PROMETHEUS,
        access="open",
    ),
)
def metrics(request: Request[Any, Any, Any]) -> Response[str]:
    services = services_of(request)
    return Response(
        services.server_metrics() + services.metrics.text(),
        media_type=_PROMETHEUS,
        headers={"Cache-Control": "no-store"},
    )


HEALTH_HANDLERS = [healthz, readyz, metrics]
