"""The application: every route behind one gate.

Takes a store, a catalog, a clock and what the other processes tell of themselves; gives an ASGI
application. Opens and closes nothing: whoever hands the parts in owns them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.types import ASGIApp

from headcount.api.description.openapi import OPENAPI_HANDLERS, openapi_document
from headcount.api.health import HEALTH_HANDLERS
from headcount.api.names import Directory
from headcount.api.services import ApiSettings, Services
from headcount.api.telemetry import ApiMetrics
from headcount.api.usage.routes import USAGE_HANDLERS
from headcount.api.v1 import V1_HANDLERS
from headcount.api.wire.contract import CONTRACT_KEY, Contract
from headcount.api.wire.gate import Gate
from headcount.api.wire.media import JSON
from headcount.api.wire.problems import problem_of
from headcount.api.wire.ratelimit import RateLimiter
from headcount.api.wire.remembered import Remembered
from headcount.api.workspace_usage import WorkspaceUsage
from headcount.backlog import Backlog
from headcount.catalog import Catalog
from headcount.cluster.losses import NotedLoss
from headcount.cluster.overview import ClusterStatus
from headcount.forwarding_status import ForwardingStatus
from headcount.store.protocol import UsageStore
from headcount.troubles import Trouble

__all__ = ["create_app"]

_BODY_BYTES_MAX = 64 * 1024
_HANDLERS = [*USAGE_HANDLERS, *V1_HANDLERS, *HEALTH_HANDLERS, *OPENAPI_HANDLERS]


def create_app(
    *,
    store: UsageStore,
    catalog: Catalog,
    clock: Callable[[], int],
    not_ready: Callable[[], Sequence[str]],
    troubles: Callable[[], Sequence[Trouble]],
    backlog: Callable[[], Backlog | None],
    server_metrics: Callable[[], str],
    forwarding: Callable[[], Sequence[ForwardingStatus]] = tuple,
    cluster: Callable[[], ClusterStatus | None] = lambda: None,
    losses: Callable[[], Sequence[NotedLoss]] = tuple,
    channel_key: Callable[[], bytes] = bytes,
    settings: ApiSettings | None = None,
) -> ASGIApp:
    """The API as an ASGI application, for one process and one event loop.

    Args:
        store: where usage is read.
        catalog: where workspaces, sources, tokens and limits are read and written.
        clock: the time, in milliseconds since 1970.
        not_ready: why the server should get no traffic yet, one sentence each; empty when ready.
        troubles: what hinders the server's processes, or only concerns its operator.
        backlog: what the meter last said of how far it is behind; None before it has.
        server_metrics: metrics of the other processes in Prometheus' text format, complete lines;
            the API adds its own, whose names begin with `headcount_api_`.
        forwarding: how far the sources that forward are.
        cluster: how the cluster does, as this node last saw; None for a single machine.
        losses: what it has lost for good.
        channel_key: the key that channels of alerts are sealed under.
        settings: None for the defaults.
    """
    settings = settings or ApiSettings()
    metrics = ApiMetrics(_operations())
    services = Services(
        store=store,
        catalog=catalog,
        directory=Directory(catalog),
        clock=clock,
        not_ready=Remembered(not_ready),
        troubles=Remembered(troubles),
        backlog=Remembered(backlog),
        server_metrics=Remembered(server_metrics),
        forwarding=Remembered(forwarding),
        cluster=Remembered(cluster),
        losses=Remembered(losses),
        metrics=metrics,
        metrics_text=Remembered(metrics.text),
        workspace_usage=WorkspaceUsage(store, catalog, clock).text,
        channel_key=channel_key,
        settings=settings,
    )
    app = Litestar(
        route_handlers=_HANDLERS,
        state=State({"services": services}),
        exception_handlers={Exception: _refuse},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=_BODY_BYTES_MAX,
    )
    app.state.openapi = msgspec.json.encode(openapi_document(app))
    open_paths = frozenset(
        path
        for handler in _HANDLERS
        for path in handler.paths
        if handler.opt[CONTRACT_KEY].access == "open"
    )
    return Gate(app, services, RateLimiter(settings.requests_per_minute), open_paths)


def _operations() -> Iterator[tuple[str, Iterable[int]]]:
    """Path templates, and the statuses that are answered there."""
    for handler in _HANDLERS:
        contract: Contract = handler.opt[CONTRACT_KEY]
        for path in handler.paths:
            yield path, {contract.status, 500, *contract.refusals()}


def _refuse(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    problem = problem_of(error)
    return Response(
        problem.body(),
        status_code=problem.status,
        media_type=JSON,
        headers={**problem.headers, "Cache-Control": "no-store"},
    )
