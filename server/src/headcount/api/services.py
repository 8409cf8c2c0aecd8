"""What the handlers work with, and the settings of the API.

Plain data, put together by `create_app` and found again from a request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import dataclass

from headcount.api.names import Directory
from headcount.api.telemetry import ApiMetrics
from headcount.backlog import Backlog
from headcount.catalog import Catalog
from headcount.cluster.losses import NotedLoss
from headcount.cluster.overview import ClusterStatus
from headcount.config import DEFAULTS
from headcount.forwarding_status import ForwardingStatus
from headcount.store.protocol import UsageStore
from headcount.troubles import Trouble

__all__ = ["ApiSettings", "Services"]


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Settings of the API.

    Attributes:
        requests_per_minute: requests that one token may make in a minute.
        metrics_from: the addresses that are told the usage of all workspaces with the metrics.
    """

    requests_per_minute: int = DEFAULTS.rate_limit_per_minute
    metrics_from: Container[object] = ()


@dataclass(frozen=True, slots=True)
class Services:
    """What the handlers work with.

    Attributes:
        store: where usage is read.
        catalog: where workspaces, sources, tokens and limits are read and written.
        directory: the names in it, cached.
        clock: the time, in milliseconds since 1970.
        not_ready: reasons why the server should get no traffic yet; none when it is ready.
        troubles: what hinders the server's processes, or only concerns its operator.
        backlog: what the meter last said of how far it is behind; None before it has.
        server_metrics: metrics of the other processes, in Prometheus' text format.
        forwarding: how far the sources that forward are.
        cluster: how the cluster does, as this node last saw; None for a single machine.
        losses: what the cluster has lost for good, as this node knows; none of a single machine.
        metrics: the API's own.
        metrics_text: the same, in Prometheus' text format.
        workspace_usage: the metrics of all workspaces.
        channel_key: the key that channels of alerts are sealed under, made where there is none.
        settings: of the API.
    """

    store: UsageStore
    catalog: Catalog
    directory: Directory
    clock: Callable[[], int]
    not_ready: Callable[[], Sequence[str]]
    troubles: Callable[[], Sequence[Trouble]]
    backlog: Callable[[], Backlog | None]
    server_metrics: Callable[[], str]
    forwarding: Callable[[], Sequence[ForwardingStatus]]
    cluster: Callable[[], ClusterStatus | None]
    losses: Callable[[], Sequence[NotedLoss]]
    metrics: ApiMetrics
    metrics_text: Callable[[], str]
    workspace_usage: Callable[[], Awaitable[str]]
    channel_key: Callable[[], bytes]
    settings: ApiSettings
