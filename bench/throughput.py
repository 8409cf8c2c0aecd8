"""Scenarios that send messages: takes durations, gives rates, processor time and lag."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from bench.bare import bare_servers
from bench.load import Load, Sent
from bench.machine import cpu_seconds
from bench.probe import Prober
from bench.report import Row, percentile
from bench.server import Server, Tenant, add_tenant, wait_until
from bench.traffic import Population

__all__ = ["acknowledged", "metered"]

BATCH = 100
WORKERS = 2
_WARM_UP_S = 1.0
_DRAINED_WITHIN_S = 120.0
_ROLES = ("intake", "meter", "api")


@dataclass(frozen=True, slots=True)
class _Stretch:
    """One stretch of load with the processor time it took, in microseconds a message."""

    rate: float
    server_us: float
    generator_us: float
    latencies_s: list[float]

    @classmethod
    def of(cls, sent: Sent, server_cpu_s: float) -> _Stretch:
        return cls(
            sent.messages / sent.seconds,
            server_cpu_s / sent.messages * 1e6,
            sent.cpu_s / sent.messages * 1e6,
            sent.latencies_s,
        )


def acknowledged(folder: Path, seconds: float, turns: int) -> list[Row]:
    """Acknowledged and durable messages beside the bare bound, in turns.

    The meter is paused meanwhile, so that both sides have the cores to themselves; afterwards it
    works off what has gathered, and the counts must be exact.

    Args:
        folder: for temporary data.
        seconds: length of each turn.
        turns: of each side; medians are reported.

    Raises:
        BenchError: something was refused, lost or miscounted.
    """
    data = folder / "acknowledged"
    tenant, visitors = add_tenant(data, "load"), Population()
    bare: dict[int, list[_Stretch]] = {BATCH: [], 1: []}
    durable: dict[int, list[_Stretch]] = {BATCH: [], 1: []}
    with (
        bare_servers(WORKERS) as (bare_url, bare_pids),
        Server(data, WORKERS).wait_announced() as server,
    ):
        for size in (BATCH, 1):
            strangers = Population()  # the bare server counts nobody
            bare_load = Load(bare_url, tenant.write_keys[0], size, strangers)
            load = Load(server.tracking, tenant.write_keys[0], size, visitors)
            bare_load.run(_WARM_UP_S)
            load.run(_WARM_UP_S)
            with _meter_paused(server):
                for _ in range(turns):
                    before_s = sum(map(cpu_seconds, bare_pids))
                    sent = bare_load.run(seconds)
                    used_s = sum(map(cpu_seconds, bare_pids)) - before_s
                    bare[size].append(_Stretch.of(sent, used_s))
                    before_s = server.cpu_s("intake")
                    sent = load.run(seconds)
                    used_s = server.cpu_s("intake") - before_s
                    durable[size].append(_Stretch.of(sent, used_s))
            bare_load.close()
            load.close()
        _check(server, tenant, visitors)
    return [
        row
        for size, name in ((BATCH, f"batches of {BATCH}"), (1, "single posts"))
        for row in _side_by_side(name, bare[size], durable[size], size == BATCH)
    ]


@contextmanager
def _meter_paused(server: Server) -> Iterator[None]:
    server.signal_meter(SIGSTOP)
    try:
        yield
    finally:
        server.signal_meter(SIGCONT)


def _check(server: Server, tenant: Tenant, visitors: Population) -> None:
    """Wait until everything is metered, and refuse counts that are not what was sent."""
    reader = server.reader(tenant)
    wait_until(
        lambda: reader.api_calls() >= visitors.messages, _DRAINED_WITHIN_S, "metering the rest"
    )
    reader.assert_exact(visitors.expected())
    reader.close()


def _side_by_side(
    name: str, bare: list[_Stretch], durable: list[_Stretch], promised: bool
) -> list[Row]:
    scenario = f"Acknowledged: {name}, {WORKERS} workers"
    rate, bare_rate = _median(s.rate for s in durable), _median(s.rate for s in bare)
    # Of pairs measured one after the other, because the machine drifts.
    ratio = _median(d.rate / b.rate for d, b in zip(durable, bare, strict=True))
    cost, bare_cost = _median(s.server_us for s in durable), _median(s.server_us for s in bare)
    generator = _median(s.generator_us for s in durable)
    bare_generator = _median(s.generator_us for s in bare)
    # What the ratio would be if nobody else used the cores, since both sides then fill them.
    by_cost = (bare_cost + bare_generator) / (cost + generator)
    latencies_s = [latency for stretch in durable for latency in stretch.latencies_s]
    return [
        Row(scenario, "bare HTTP and decoding", f"{bare_rate:,.0f} messages/s", "the bound"),
        Row(
            scenario, "acknowledged and durable", f"{rate:,.0f} messages/s",
            f"{ratio:.0%} of the bound; {by_cost:.0%} by processor time",
            "≥ 50 %" if promised else "",
        ),
        Row(
            scenario, "processor time, bare", f"{bare_cost:.2f} µs a message",
            f"generator {bare_generator:.2f} µs",
        ),
        Row(
            scenario, "processor time, intake", f"{cost:.2f} µs a message",
            f"bare is {bare_cost / cost:.0%} of it;"
            f" generator {generator:.2f} µs",
        ),
        Row(
            scenario, "time to acknowledge, p50 / p99",
            f"{percentile(latencies_s, 50) * 1e3:.1f} / {percentile(latencies_s, 99) * 1e3:.1f} ms",
        ),
    ]  # fmt: skip


def metered(folder: Path, seconds: float, repeats: int) -> list[Row]:
    """Messages acknowledged, durable and metered until nothing is left, with the lag meanwhile.

    Args:
        folder: for temporary data.
        seconds: how long each stretch of load is.
        repeats: stretches, on one growing store; medians are reported.

    Raises:
        BenchError: something was refused, lost or miscounted.
    """
    data = folder / "metered"
    tenant, probed, visitors = add_tenant(data, "load"), add_tenant(data, "probe"), Population()
    sending, whole, lags_s = [], [], []
    costs: dict[str, list[float]] = {role: [] for role in (*_ROLES, "generator")}
    with Server(data, WORKERS).wait_announced() as server:
        load = Load(server.tracking, tenant.write_keys[0], BATCH, visitors)
        load.run(_WARM_UP_S)
        _check(server, tenant, visitors)
        for _ in range(repeats):
            prober = Prober(server, probed, seconds)
            before_s = {role: server.cpu_s(role) for role in _ROLES}
            began_s = time.perf_counter()
            sent = load.run(seconds)
            _check(server, tenant, visitors)
            whole.append(sent.messages / (time.perf_counter() - began_s))
            sending.append(sent.messages / sent.seconds)
            lags_s += prober.lags_s()
            for role in _ROLES:
                used_s = server.cpu_s(role) - before_s[role]
                costs[role].append(used_s / sent.messages * 1e6)
            costs["generator"].append(sent.cpu_s / sent.messages * 1e6)
        load.close()
        memory = _memory(server)
    scenario = f"Metered: batches of {BATCH}, {WORKERS} workers, every count exact"
    cost = {name: _median(values) for name, values in costs.items()}
    cores = len(os.sched_getaffinity(0))
    return [
        Row(scenario, "acknowledged while sending", f"{_median(sending):,.0f} messages/s"),
        Row(
            scenario, "metered until nothing is left", f"{_median(whole):,.0f} messages/s",
            f"{_median(w / s for w, s in zip(whole, sending, strict=True)):.0%} of acknowledged",
            "≥ 250,000 messages/s",
        ),
        Row(
            scenario, "processor time, intake", f"{cost['intake']:.2f} µs a message",
        ),
        Row(
            scenario, "processor time, meter", f"{cost['meter']:.2f} µs a message",
            f"{cost['meter'] / cost['intake']:.0%} of intake",
        ),
        Row(scenario, "processor time, api", f"{cost['api']:.2f} µs a message", "for the probe"),
        Row(
            scenario, "processor time, everything", f"{sum(cost.values()):.2f} µs a message",
            f"generator {cost['generator']:.2f} µs; {cores} cores all ours would carry"
            f" {cores / sum(cost.values()) * 1e6:,.0f} messages/s",
        ),
        Row(
            scenario, "acknowledged to visible, p50 / p99",
            f"{percentile(lags_s, 50) * 1e3:,.0f} / {percentile(lags_s, 99) * 1e3:,.0f} ms",
            f"{len(lags_s)} markers; the longest took {max(lags_s) * 1e3:,.0f} ms",
            "≤ 1,000 ms at p99",
        ),
        *(Row(scenario, *cells) for cells in memory),
    ]  # fmt: skip


def _memory(server: Server) -> list[tuple[str, str, str, str]]:
    index_bytes = sum(server.metrics("headcount_index_bytes").values())
    sizes = {
        "an intake worker": server.memory("intake").pss_bytes,
        "the meter, its index aside": server.memory("meter").pss_bytes - index_bytes,
        "the api process": server.memory("api").pss_bytes,
        "the supervisor": server.memory("supervisor").pss_bytes,
    }
    return [
        (f"memory of {name} (PSS)", f"{size / 2**20:.0f} MiB", "", "≤ 80 MB")
        for name, size in sizes.items()
    ]


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)
