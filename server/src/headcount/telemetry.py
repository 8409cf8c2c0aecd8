"""What every process reports about itself, for `/metrics`.

The processes of one server share the numbers through prometheus-client's multi-process files,
whose folder the supervisor names in the environment before they start; the api process adds them
up. Importing this module outside a server keeps the numbers in memory, which harms nobody.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

__all__ = [
    "ALERT_CHARTS_MISSING",
    "ALERT_DELIVERIES",
    "ALERT_WAITING",
    "ANSWERS_DELAYED",
    "API_BODIES_REFUSED",
    "CATCH_UP_SECONDS",
    "COMMIT_SECONDS",
    "CONNECTIONS",
    "CONNECTIONS_DROPPED",
    "FACTS_ASIDE",
    "FORWARD_ANSWERS",
    "FORWARD_LAG_SECONDS",
    "FORWARD_MESSAGES",
    "FORWARD_REQUESTS",
    "FORWARD_WAITING_BYTES",
    "FORWARD_WAITING_MESSAGES",
    "INDEX_BYTES",
    "INDEX_KEYS",
    "JOURNAL_LAG_MESSAGES",
    "JOURNAL_LAG_SECONDS",
    "MALFORMED_REQUESTS",
    "MESSAGES",
    "MESSAGE_ID_LOOKUPS",
    "PAGE_REQUESTS",
    "REQUESTS",
    "REQUESTS_SHED",
    "REQUEST_SECONDS",
    "REQUEST_SECONDS_BOUNDS",
    "TROUBLES",
    "TROUBLES_MET",
    "TalliedHistogram",
]

# When a series began is of no use to anybody here, and there would be twice as many of them.
disable_created_metrics()  # type: ignore[no-untyped-call]

_LATENCY_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class TalliedHistogram(Histogram):
    """A histogram that is given many observations at once, which were tallied elsewhere."""

    def add(self, tally: Sequence[int], seconds: float) -> None:
        """Add observations.

        Args:
            tally: how many fell into each bucket, the last one being that without a bound.
            seconds: what all of them add up to.
        """
        self._sum.inc(seconds)
        for bucket, observations in zip(self._buckets, tally, strict=True):
            if observations:
                bucket.inc(observations)

    def observe_all(self, seconds: Sequence[float]) -> None:
        """Add several observations, at the cost of one or two."""
        tally = [0] * len(self._upper_bounds)
        for each in seconds:
            tally[bisect_left(self._upper_bounds, each)] += 1
        self.add(tally, sum(seconds))


MESSAGES = Counter(
    "headcount_messages",
    "Messages by outcome: admitted and rejected by intake, accepted and duplicate by the meter, of"
    " which those with the reason conflicting are another message than the one of their id.",
    ["outcome", "reason"],
)
JOURNAL_LAG_MESSAGES = Gauge(
    "headcount_journal_lag_messages",
    "Messages that are acknowledged and not metered yet.",
    multiprocess_mode="mostrecent",
)
JOURNAL_LAG_SECONDS = Gauge(
    "headcount_journal_lag_seconds",
    "How long the oldest message that is not metered has been waiting.",
    multiprocess_mode="mostrecent",
)
CATCH_UP_SECONDS = Gauge(
    "headcount_catch_up_seconds",
    "Estimate of when the meter will have caught up, at the rates of the last half minute:"
    " 0 when it has, +Inf when it is not catching up, NaN while it is too early to say.",
    multiprocess_mode="mostrecent",
)
REQUESTS = Counter(
    "headcount_requests",
    "Requests answered on the tracking address, by status and, where refused, by reason.",
    ["status", "reason"],
)
REQUEST_SECONDS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""The upper bounds of the buckets of `REQUEST_SECONDS`, save the one without a bound."""
REQUEST_SECONDS = TalliedHistogram(
    "headcount_request_seconds",
    "Time of requests on the tracking address from their head to their answer, the body's arrival"
    " and the durable commit included.",
    buckets=REQUEST_SECONDS_BOUNDS,
)
REQUESTS_SHED = Counter(
    "headcount_requests_shed",
    "Requests to the API address that found no place to wait, behind others of the same workspace"
    " or of clients without a known token.",
)
API_BODIES_REFUSED = Counter(
    "headcount_api_bodies_refused",
    "Requests to the API address whose body was too large, too late or too slow, by status.",
    ["status"],
)
PAGE_REQUESTS = Counter(
    "headcount_page_requests",
    "Requests answered by the page, by status.",
    ["status"],
)
MALFORMED_REQUESTS = Counter(
    "headcount_malformed_requests",
    "What came to an address and was no HTTP, or had too large a head, by address; answered 400.",
    ["address"],
)
ANSWERS_DELAYED = Counter(
    "headcount_answers_delayed",
    "Answers to requests that brought nothing, delayed while a process was behind, by address.",
    ["address"],
)
COMMIT_SECONDS = TalliedHistogram(
    "headcount_commit_seconds",
    "Time of one durable commit, to a journal or to the store.",
    ["to"],
    buckets=_LATENCY_BUCKETS,
)
FACTS_ASIDE = Gauge(
    "headcount_messages_aside",
    "Messages that are kept and not counted, by reason; headcount doctor says more of them.",
    ["reason"],
    multiprocess_mode="mostrecent",
)
MESSAGE_ID_LOOKUPS = Counter(
    "headcount_message_id_lookups",
    "Message ids that were asked for in a month's tables and runs, and how often one was looked for"
    " in a run's file, because no filter ruled it out.",
    ["where"],
)
INDEX_KEYS = Gauge(
    "headcount_index_keys",
    "Keys in the meter's first-seen index.",
    ["family"],
    multiprocess_mode="mostrecent",
)
INDEX_BYTES = Gauge(
    "headcount_index_bytes",
    "Memory of the meter's first-seen index, in bytes.",
    ["family"],
    multiprocess_mode="mostrecent",
)
CONNECTIONS = Gauge(
    "headcount_connections",
    "Open connections, by the address that they came to.",
    ["address"],
    multiprocess_mode="livesum",
)
CONNECTIONS_DROPPED = Counter(
    "headcount_connections_dropped",
    "Connections that the server ended because they took too much: crowded, the longest silent of"
    " too many; held, the most of heads and requests that wait; tls, the most of what TLS holds;"
    " unread, answers not read; late, a head or the rest of a body that did not come; handshake,"
    " none of TLS.",
    ["address", "why"],
)
ALERT_DELIVERIES = Counter(
    "headcount_alert_deliveries",
    "Tries to tell a channel something, by what became of them.",
    ("channel", "outcome"),
)
ALERT_WAITING = Gauge(
    "headcount_alert_deliveries_waiting",
    "What is to be told to a channel, or told again.",
    ("channel",),
    multiprocess_mode="mostrecent",
)
ALERT_CHARTS_MISSING = Counter(
    "headcount_alert_charts_missing",
    "Digests that were sent without their charts, which could not be drawn, tries included.",
)
FORWARD_ANSWERS = Counter(
    "headcount_forward_answers",
    "Answers of vendors to requests that are forwarded, tries that come again included, by source"
    " and status; none where there was no answer.",
    ["source", "status"],
)
FORWARD_REQUESTS = Gauge(
    "headcount_forward_requests",
    "Requests of sources that forward, since they first did, by what became of them: delivered,"
    " refused by the vendor, expired, dropped by the operator, damaged.",
    ["source", "outcome"],
    multiprocess_mode="mostrecent",
)
FORWARD_MESSAGES = Gauge(
    "headcount_forward_messages",
    "The messages in those requests.",
    ["source", "outcome"],
    multiprocess_mode="mostrecent",
)
FORWARD_WAITING_MESSAGES = Gauge(
    "headcount_forward_waiting_messages",
    "Messages that wait for the vendor of their source.",
    ["source"],
    multiprocess_mode="mostrecent",
)
FORWARD_WAITING_BYTES = Gauge(
    "headcount_forward_waiting_bytes",
    "How much of the spool they take.",
    ["source"],
    multiprocess_mode="mostrecent",
)
FORWARD_LAG_SECONDS = Gauge(
    "headcount_forward_lag_seconds",
    "How long the oldest of them has been waiting; 0 where none waits.",
    ["source"],
    multiprocess_mode="mostrecent",
)
TROUBLES = Gauge(
    "headcount_trouble",
    "1 while something hinders a process of the server, by kind; the log and /readyz say what.",
    ["kind"],
    multiprocess_mode="livemax",
)
TROUBLES_MET = Counter(
    "headcount_troubles_met",
    "How often something hindered a process of the server, by kind.",
    ["kind"],
)
