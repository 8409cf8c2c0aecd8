"""`python -m bench.cluster_sizing`: what a cluster has to carry, by arithmetic and by trial.

The arithmetic is that of docs/capacity.md: messages a second, nodes, partitions and the length of a
tick give packs, bytes and processor time. The trial draws messages of many sources and visitors
whose popularity falls off as 1/rank, gives them to nodes at random and to partitions by the
program's own functions, keeps what stage 1 keeps in mind of ids it has sent, and counts. Where the
two part by more than a tenth the program says so and ends with status 1. No process is started, and
no processor time is measured here: that is taken from what was measured elsewhere.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headcount.counting.facts import FACT_BYTES
from headcount.stages.partitioning import key_partitions, message_partitions
from headcount.stages.tracked_records import TRACKED_DTYPE

__all__ = ["main"]

TICK_S = 0.2
TICKS = 6
SOURCES = 400
# Bytes of a pack beside its records: frame, queue and entries; an entry is what one commit took.
PACK_HEAD_BYTES, ENTRY_BYTES, ENTRIES_A_TICK = 70, 12, 5
# Microseconds of processor time a message or record, and milliseconds a commit or pack.
INTAKE_US, RELAY_US, STAGE_1_US, STAGE_2_US, LOG_US = 2.7, 0.5, 1.7, 0.9, 1.1
COMMIT_MS, PACK_MS = 1.2, 0.05
AGREE_WITHIN = 0.1

Ids = npt.NDArray[np.uint64]


class Size(NamedTuple):
    """A cluster and what comes to it.

    Attributes:
        messages_per_s: over all nodes.
        nodes: that take messages.
        facts, keys: partitions of each stage.
        visitors: that come in an hour or so.
        kept: ids that a partition of stage 1 keeps in mind as sent.
    """

    messages_per_s: int
    nodes: int
    facts: int
    keys: int
    visitors: int
    kept: int


SIZES = (
    Size(10_000, 2, 16, 16, 200_000, 1 << 16),
    Size(1_000_000, 8, 32, 32, 5_000_000, 1 << 18),
    Size(10_000_000, 64, 256, 256, 40_000_000, 1 << 18),
)


class Load(NamedTuple):
    """What has to be carried in a second.

    Attributes:
        packs: published for stage 1.
        bytes_per_message: of those.
        records_per_message: ids handed on to stage 2.
        fullest_facts, fullest_keys: the fullest partition, as a share of an even one.
    """

    packs: float
    bytes_per_message: float
    records_per_message: float
    fullest_facts: float
    fullest_keys: float


def computed(size: Size) -> Load:
    """By arithmetic."""
    tick_messages = size.messages_per_s * TICK_S
    each = tick_messages / (size.nodes * size.facts)
    # A partition has a pack in a tick unless chance gave it nothing.
    filled = 1 - math.exp(-each)
    packs = size.nodes * size.facts * filled / TICK_S
    entries = min(ENTRIES_A_TICK, each)
    head = (PACK_HEAD_BYTES + ENTRY_BYTES * entries) * packs / size.messages_per_s
    return Load(
        packs,
        FACT_BYTES + head,
        _records_expected(size),
        _fullest(tick_messages * TICKS / size.facts, size.facts),
        _fullest(_records_expected(size) * tick_messages * TICKS / size.keys, size.keys),
    )


def _fullest(mean: float, partitions: int) -> float:
    """The fullest of some partitions that are filled by chance."""
    return 1 + math.sqrt(2 * math.log(max(partitions, 2)) / mean)


def _records_expected(size: Size) -> float:
    """Ids that are not in mind yet, a message, while none has left the mind again."""
    messages = size.messages_per_s * TICK_S * TICKS / size.facts
    ranks = np.arange(1, size.visitors + 1, dtype=np.float64)
    shares = 1 / ranks
    shares /= shares.sum()
    # A visitor's anonymous id is new to a partition once, if the visitor comes to it at all.
    came = -np.expm1(-messages * shares)
    return float(came.sum()) / messages


def tried(size: Size, seed: int) -> Load:
    """By trial."""
    random = np.random.default_rng(seed)
    packs = data = records = 0
    facts_held = np.zeros(size.facts, np.int64)
    keys_held = np.zeros(size.keys, np.int64)
    known: list[Ids] = [np.empty(0, np.uint64) for _ in range(size.facts)]
    each = int(size.messages_per_s * TICK_S / size.nodes)
    for _ in range(TICKS):
        arrived: list[list[Ids]] = [[] for _ in range(size.facts)]
        for _node in range(size.nodes):
            visitors = _ranks(random, each, size.visitors)
            sources = (visitors % SOURCES).astype(np.uint32)
            places = message_partitions(
                sources, random.integers(0, 1 << 63, each, np.uint64), size.facts
            )
            counts = np.bincount(places, minlength=size.facts)
            facts_held += counts
            filled = counts[counts > 0]
            packs += len(filled)
            heads = PACK_HEAD_BYTES + ENTRY_BYTES * np.minimum(filled, ENTRIES_A_TICK)
            data += int(FACT_BYTES * filled.sum() + heads.sum())
            for number, ids in _by_place(visitors, places):
                arrived[number].append(ids)
        for number, parts in enumerate(arrived):
            fresh = np.setdiff1d(np.concatenate(parts), known[number]) if parts else known[number]
            if not parts:
                continue
            known[number] = np.union1d(known[number], fresh)[-size.kept :]
            records += len(fresh)
            keys_held += np.bincount(_places_of_ids(fresh, size), minlength=size.keys)
    messages = each * size.nodes * TICKS
    return Load(
        packs / (TICKS * TICK_S),
        data / messages,
        records / messages,
        float(facts_held.max() / facts_held.mean()),
        float(keys_held.max() / keys_held.mean()),
    )


def _ranks(random: np.random.Generator, count: int, visitors: int) -> Ids:
    """Visitors by popularity: their logarithms are even, as where it falls off as 1/rank."""
    return np.minimum(np.exp(random.random(count) * math.log(visitors)), visitors).astype(np.uint64)


def _by_place(ids: Ids, places: npt.NDArray[np.int64]) -> Iterator[tuple[int, Ids]]:
    order = np.argsort(places, kind="stable")
    ids, places = ids[order], places[order]
    starts = np.flatnonzero(np.r_[True, places[1:] != places[:-1]])
    for start, stop in zip(starts, [*starts[1:], len(places)], strict=True):
        yield int(places[start]), ids[start:stop]


def _places_of_ids(ids: Ids, size: Size) -> npt.NDArray[np.int64]:
    found = np.zeros(len(ids), TRACKED_DTYPE)
    found["workspace"] = (ids % SOURCES) // 10
    found["source"] = ids % SOURCES
    # The keyed hash of an id, for which any even mixture will do.
    found["hash"] = ids * np.uint64(0x9E3779B97F4A7C15)
    found["kind"] = 1
    places: npt.NDArray[np.int64] = key_partitions(found, size.keys)
    return places


def cores(size: Size, load: Load) -> dict[str, float]:
    """Processor time a second, by part, from what was measured a message, a pack and a commit."""
    rate = size.messages_per_s / 1e6
    ticks = 1 / TICK_S
    return {
        "intake": INTAKE_US * rate,
        "relays": RELAY_US * rate + PACK_MS * load.packs / 1e3,
        "stage 1": STAGE_1_US * rate + COMMIT_MS * size.facts * ticks / 1e3,
        "stage 2": STAGE_2_US * rate * load.records_per_message
        + COMMIT_MS * size.keys * ticks / 1e3,
        "log": LOG_US * rate + PACK_MS * load.packs / 1e3,
    }


def main() -> int:
    """Print both for each size; 1 where they part."""
    status = 0
    for number, size in enumerate(SIZES):
        by_hand, by_trial = computed(size), tried(size, number)
        print(
            f"\n{size.messages_per_s:,} messages/s, {size.nodes} nodes, {size.facts} x {size.keys}"
            f" partitions, a tick of {TICK_S} s"
        )
        for name, one, other in zip(Load._fields, by_hand, by_trial, strict=True):
            parted = abs(one - other) > AGREE_WITHIN * max(abs(other), 1e-9)
            status |= parted
            print(f"  {name:<22}{one:>14,.3f}{other:>14,.3f}{'  THEY PART' if parted else ''}")
        log_mb = size.messages_per_s * by_trial.bytes_per_message / 1e6
        print(f"  {'log, MB a second':<22}{'':>14}{log_mb:>14,.1f}")
        for name, value in cores(size, by_trial).items():
            print(f"  {'cores: ' + name:<22}{'':>14}{value:>14,.2f}")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
