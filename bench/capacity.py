"""Scenarios with many keys: takes their number, gives memory, disk, reads and starts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.load import BenchError
from bench.report import Row, percentile
from bench.server import Client, Server, Tenant, add_tenant, basic, this_period, wait_until
from bench.traffic import Expected
from bench.volume import IDS_A_FACT, KEYS_A_FACT, write_facts
from headcount.clock import now_ms
from headcount.counting.calendar import Period, day_of_ms

__all__ = ["capacity"]

_WORKERS = 2
_SOURCES = 1_000
_SMALL_PART = 20
_READS = 300
_METERED_WITHIN_S = 300.0
_STARTED_WITHIN_S = 60.0
_SETTLED_WITHIN_S = 60.0
_PAGES = {
    "API calls, daily": "/usage/api-calls/daily?period={}",
    "tracked users, daily": "/usage/mtu/daily?period={}",
    "tracked users by source, first 200 rows": "/usage/mtu/sources/daily?period={}",
    "tracked users by source, first 1,000 rows": (
        "/usage/mtu/sources/daily?period={}&pagination.count=1000"
    ),
}


@dataclass(frozen=True, slots=True)
class _Reads:
    """Times of one kind of read, and what each cost the api process."""

    p50_ms: float
    p99_ms: float
    cpu_us: float


def capacity(folder: Path, facts: int, repeats: int) -> list[Row]:
    """Fill a store through the meter, read from it, and start anew on it.

    Args:
        folder: for temporary data.
        facts: how many messages, each of a visitor nobody has seen.
        repeats: starts; medians are reported.

    Raises:
        BenchError: something was refused, lost or miscounted.
    """
    data = folder / "capacity"
    period = this_period()
    tenant, probed = add_tenant(data, "volume", _SOURCES), add_tenant(data, "probe")
    few = facts // _SMALL_PART
    with Server(data, _WORKERS).wait_announced() as server:
        _fill(server, tenant, period, few, few, seed=1)
        small = _read_all(server, tenant, period)
        rows = _fill(server, tenant, period, facts - few, facts, seed=2)
        rows += _sizes(server, facts)
        large = _read_all(server, tenant, period)
        addresses = server.addresses
    rows += _read_rows(small, large, few, facts)
    starts = [_start(data, addresses, probed, tenant, period, number) for number in range(repeats)]
    return rows + _start_rows(starts, facts)


def _fill(
    server: Server, tenant: Tenant, period: Period, count: int, total: int, seed: int
) -> list[Row]:
    """Have facts metered, and check the counts."""
    before_s, began_s = server.cpu_s("meter"), time.perf_counter()
    write_facts(server.data, tenant, period, count, seed)
    wait_until(
        lambda: _outcomes(server, "accepted") >= total, _METERED_WITHIN_S, "metering", every_s=0.2
    )
    seconds, used_s = time.perf_counter() - began_s, server.cpu_s("meter") - before_s
    reader = server.reader(tenant)
    reader.assert_exact(Expected(total, total, total, total), period)
    reader.close()
    return [
        Row(
            _scenario(total), "metered, every id new", f"{count / seconds:,.0f} messages/s",
            f"{KEYS_A_FACT * count / seconds:,.0f} new keys/s",
        ),
        Row(
            _scenario(total), "processor time, meter", f"{used_s / count * 1e6:.2f} µs a message",
            f"{used_s / count / KEYS_A_FACT * 1e6:.2f} µs a new key",
        ),
    ]  # fmt: skip


def _scenario(facts: int) -> str:
    return (
        f"Capacity: {KEYS_A_FACT * facts / 1e6:g} M keys of {IDS_A_FACT * facts / 1e6:g} M tracked"
        f" ids and {facts / 1e6:g} M messages in {_SOURCES:,} sources, on"
        f" {day_of_ms(now_ms()) - this_period().first_day + 1} days"
    )


def _outcomes(server: Server, outcome: str) -> float:
    samples = server.metrics("headcount_messages_total")
    return sum(value for labels, value in samples.items() if f'outcome="{outcome}"' in labels)


def _sizes(server: Server, facts: int) -> list[Row]:
    keys = KEYS_A_FACT * facts
    wait_until(
        lambda: sum(server.metrics("headcount_index_keys").values()) >= keys,
        _SETTLED_WITHIN_S, "reporting the size of the index",
    )  # fmt: skip
    counts = server.metrics("headcount_index_keys")
    sizes = server.metrics("headcount_index_bytes")
    meter = server.memory("meter")
    besides_bytes = meter.pss_bytes - sum(sizes.values())
    disk = _settled(server)
    scenario = _scenario(facts)
    return [
        *(
            Row(
                scenario, f"memory of keys, {labels}",
                f"{sizes[labels] / counts[labels]:.1f} bytes a key",
                f"{counts[labels] / 1e6:g} M keys", "≤ 24 bytes, older message ids 2",
            )
            for labels in sorted(counts)
        ),
        Row(
            scenario, "memory of the meter, its index aside (PSS)",
            f"{besides_bytes / 2**20:.0f} MiB",
            f"{meter.mapped_bytes / 2**20:.0f} MiB of it pages of files", "≤ 80 MB",
        ),
        Row(
            scenario, "disk of the store", f"{sum(disk.values()) / keys:.1f} bytes a key",
            ", ".join(f"{name} {size / keys:.1f}" for name, size in disk.items()), "≤ 16 bytes",
        ),
    ]  # fmt: skip


def _settled(server: Server) -> dict[str, int]:
    """What lies on disk once the meter has tidied up behind itself."""
    sizes = [server.store_bytes()]

    def unchanged() -> bool:
        sizes.append(server.store_bytes())
        return sizes[-1] == sizes[-2]

    wait_until(unchanged, _SETTLED_WITHIN_S, "tidying up the store", every_s=2.0)
    return sizes[-1]


def _read_all(server: Server, tenant: Tenant, period: Period) -> dict[str, _Reads]:
    client = server.reader(tenant)
    found = {}
    for name, path in _PAGES.items():
        times_ms = []
        client.get(path.format(period))
        before_s = server.cpu_s("api")
        for _ in range(_READS):
            began_s = time.perf_counter()
            client.get(path.format(period))
            times_ms.append((time.perf_counter() - began_s) * 1e3)
        used_s = server.cpu_s("api") - before_s
        found[name] = _Reads(
            percentile(times_ms, 50), percentile(times_ms, 99), used_s / _READS * 1e6
        )
    client.close()
    return found


def _read_rows(
    small: dict[str, _Reads], large: dict[str, _Reads], few: int, facts: int
) -> list[Row]:
    return [
        Row(
            _scenario(facts), f"{name}, p50 / p99", f"{reads.p50_ms:.1f} / {reads.p99_ms:.1f} ms",
            f"{reads.p50_ms / small[name].p50_ms:.2f} of the p50 with"
            f" {IDS_A_FACT * few / 1e6:g} M ids; {reads.cpu_us:,.0f} µs processor time",
            "≤ 10 ms at p99",
        )
        for name, reads in large.items()
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Start:
    """How long after its start a server accepted, answered a reader, and had metered a message."""

    accepting_s: float
    reading_s: float
    metering_s: float


def _start(
    data: Path,
    addresses: tuple[str, str],
    probed: Tenant,
    tenant: Tenant,
    period: Period,
    started_before: int,
) -> _Start:
    """Start a server on a full store, and ask it for everything from the first moment on.

    Args:
        data: the data folder.
        addresses: where it has to listen, so that it can be asked before it says so.
        probed: a workspace that gets one message from each start.
        tenant: the workspace that is read.
        period: the month that is read.
        started_before: how many messages earlier starts have left.
    """
    tracking, api = (f"http://{address}" for address in addresses)

    def write() -> None:
        client = Client(tracking, basic(probed.write_keys[0]))
        client.post("/v1/track", {"userId": "prober", "event": "Started"})

    def read() -> None:
        path = _PAGES["tracked users by source, first 200 rows"]
        Client(api, f"Bearer {tenant.token}").get(path.format(period))

    with Server(data, _WORKERS, addresses) as server, ThreadPoolExecutor(2) as threads:
        accepting, reading = (
            threads.submit(_succeeded_at, server, write),
            threads.submit(_succeeded_at, server, read),
        )
        accepted_s, read_s = accepting.result(), reading.result()
        client = server.wait_announced().reader(probed)
        wait_until(
            lambda: client.api_calls() > started_before,
            _STARTED_WITHIN_S, "metering after a start",
        )  # fmt: skip
        metered_s = time.perf_counter()
        client.close()
    return _Start(*(moment_s - server.began_s for moment_s in (accepted_s, read_s, metered_s)))


def _succeeded_at(server: Server, ask: Callable[[], None]) -> float:
    """Ask until there is an answer; when it came.

    Raises:
        BenchError: there was none in time, or the server ended.
    """

    def answered() -> bool:
        server.assert_running()
        try:
            ask()
        except (BenchError, OSError):
            return False
        return True

    wait_until(answered, _STARTED_WITHIN_S, "a first answer", every_s=0.002)
    return time.perf_counter()


def _start_rows(starts: list[_Start], facts: int) -> list[Row]:
    def median_s(values: Iterable[float]) -> str:
        return f"{statistics.median(values):.2f} s"

    scenario = _scenario(facts)
    return [
        Row(
            scenario, "start until a message is acknowledged",
            median_s(start.accepting_s for start in starts), "", "≤ 1 s",
        ),
        Row(
            scenario, "start until usage is read", median_s(start.reading_s for start in starts),
            "", "at once",
        ),
        Row(
            scenario, "start until that message is metered",
            median_s(start.metering_s for start in starts),
            f"all {KEYS_A_FACT * facts / 1e6:g} M keys loaded", "≤ 10 s with 50 M keys",
        ),
    ]  # fmt: skip
