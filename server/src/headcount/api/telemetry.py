"""What the API tells about itself to Prometheus: requests by route and status, and their time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

__all__ = ["UNMATCHED", "ApiMetrics", "standing_text", "text_of"]

UNMATCHED = "unmatched"
"""The route of a request that no operation answers."""

_OF_UNMATCHED = (401, 404, 405, 429)
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class ApiMetrics:
    """Metrics of one app, in a registry of their own.

    Args:
        operations: path templates, and the statuses that are answered there: they begin with zero.
    """

    def __init__(self, operations: Iterable[tuple[str, Iterable[int]]] = ()) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "headcount_api_requests",
            "Requests answered by the API, by route and status.",
            ("route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "headcount_api_request_seconds",
            "Time from a request's arrival to its answer, by route.",
            ("route",),
            registry=self._registry,
            buckets=_BUCKETS_S,
        )

        for route, statuses in operations:
            for status in statuses:
                self._requests.labels(route, str(status))
            self._seconds.labels(route)
        for status in _OF_UNMATCHED:
            self._requests.labels(UNMATCHED, str(status))

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request.

        Args:
            route: the path's template, never the path itself: anybody can make up paths.
            status: HTTP status of the answer.
            seconds: how long it took.
        """
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> str:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry).decode()


def standing_text(*, ready: bool, meter_silent_s: float) -> str:
    """How the server is, as `/readyz` says it.

    Args:
        ready: whether that answers 200.
        meter_silent_s: for how long the meter has said nothing; 0 before it has begun to.
    """
    return text_of(
        GaugeMetricFamily(
            "headcount_ready",
            "1 while messages are taken and counted and usage can be read, as /readyz says it.",
            int(ready),
        ),
        GaugeMetricFamily(
            "headcount_meter_silent_seconds",
            "How long ago the meter, which speaks about once a second, said how far it is.",
            meter_silent_s,
        ),
    )


class _Families:
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def text_of(*families: Metric) -> str:
    """Families in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    return generate_latest(registry).decode()
