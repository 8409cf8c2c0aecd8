"""What judging alerts costs the meter, in microseconds a message and a commit, side by side in one
run: `python -m bench.alerts_cost`.

The same facts are metered three ways in turn: with nobody asking for alerts, with the catalog asked
and no rule in it, and with four rules on each scope, of every kind that is judged with a change.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from headcount.counting.alerts import AlertKind, AlertRule, AlertSetup, Threshold, parse_threshold
from headcount.counting.calendar import MS_PER_DAY, parse_period
from headcount.counting.facts import fact_head
from headcount.counting.hashing import IdHasher
from headcount.journal import JournalDirectory
from headcount.meter import Meter, MeterLimits
from headcount.store.opening import open_store

ENTRIES, SOURCES, ROUNDS = 60, 10, 5
BATCHES = (10, 1_000, 20_000)
NOW_MS = (parse_period("2026-11-01").first_day + 9) * MS_PER_DAY

Setup = Callable[[], AlertSetup] | None


def _entry(hasher: IdHasher, number: int, messages: int) -> bytes:
    facts = []
    for at in range(messages):
        name = f"{number}-{at}"
        head = fact_head(NOW_MS + at, 1, 1 + at % SOURCES, 0, 0)
        facts.append(
            head + hasher.message(name) + hasher.tracked(f"u{at % 997}") + bytes(8) + bytes(8)
        )
    return b"".join(facts)


def _rules() -> AlertSetup:
    rules: list[AlertRule] = []
    for source in range(SOURCES + 1):
        of_plan = tuple(parse_threshold(text, "mtu") for text in ("80%", "100%", "120%"))
        number = parse_threshold("1000000000", "api_calls")
        share = parse_threshold("99%", "duplicate_share")
        looked_at: list[tuple[AlertKind, str, tuple[Threshold, ...]]] = [
            ("count", "mtu", of_plan), ("count", "api_calls", (number,)),
            ("count", "duplicate_share", (share,)), ("unusual", "api_calls", ()),
        ]  # fmt: skip
        for kind, metric, thresholds in looked_at:
            rules.append(
                AlertRule(len(rules) + 1, f"r{len(rules)}", "", 1, source, kind, metric, thresholds)
            )
    return AlertSetup(tuple(rules), lambda *_: 10**9)


def _metered_s(entries: list[bytes], setup: Setup) -> float:
    """Seconds that the steps of a meter take, one entry each."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with (
            closing(JournalDirectory(place / "journals")) as writers,
            closing(open_store(place / "store.sqlite")) as store,
        ):
            journal = writers.claim()
            meter = Meter(
                store, JournalDirectory(place / "journals"), lambda: NOW_MS + 60_000, 35,
                MeterLimits(facts_a_batch_max=1), alerts=setup,
            )  # fmt: skip
            with closing(meter):
                for entry in entries:
                    journal.append(entry, [], NOW_MS)
                began_s = time.perf_counter()
                while not meter.step().drained:
                    pass
                return time.perf_counter() - began_s


def main() -> None:
    """Measure, and print a table."""
    hasher = IdHasher(bytes(range(32)))
    nobody, some = AlertSetup(), _rules()
    ways: dict[str, Setup] = {
        "nobody asks": None, "no rule": lambda: nobody, "four rules a scope": lambda: some,
    }  # fmt: skip
    print(f"{'messages a commit':>18}  {'way':<20}{'µs a message':>13}{'µs a commit':>13}")
    for messages in BATCHES:
        count = ENTRIES if messages < 5_000 else 8
        entries = [_entry(hasher, number, messages) for number in range(count)]
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(ROUNDS if messages < 5_000 else 2):
            for name, setup in ways.items():  # in turn, so that what else runs falls on all alike
                best[name] = min(best[name], _metered_s(entries, setup))
        for name, took_s in best.items():
            a_commit = 1e6 * took_s / count
            print(f"{messages:>18,}  {name:<20}{a_commit / messages:>13.2f}{a_commit:>13.0f}")


if __name__ == "__main__":
    main()
