"""Letting a node leave for good: takes a registry and a name, says what would be lost with it, and
notes that for ever where it is done all the same.

What a node had taken and not handed on is nowhere else; and what it had handed on may be nowhere
else either, where the log has lost it since and a partition is counted on from before that. Nobody
can look into the journals of a node that is gone, so what is said is what it said last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from headcount.clock import now_ms
from headcount.cluster.liveness import BEAT_S
from headcount.cluster.losses import NotedLoss, put_loss
from headcount.cluster.membership_records import NodeRecord, decoded, encoded, node_key
from headcount.cluster.placement import TAKEOVER_LEAST_S
from headcount.engines import Registry
from headcount.errors import UsageError
from headcount.terminal import moment_text
from headcount.wiring.cluster_placing import Watched, require_node, watched
from headcount.wording import number_of

__all__ = ["Retirement", "retire", "retirement"]


class Retirement(NamedTuple):
    """A node that may be retired, and what that means.

    Attributes:
        record: what it said last.
        would_lose: what may be lost with it, as sentences; none where nothing is.
        since_ms: of what it took from then on something may be missing.
    """

    record: NodeRecord
    would_lose: list[str]
    since_ms: int


def retirement(
    registry: Registry, name: str, pause: Callable[[float], object] = time.sleep
) -> Retirement:
    """See whether a node may be retired, and what would be lost with it; takes some seconds.

    Raises:
        UsageError: there is no such node, it serves still, or counts something.
        EngineAwayError: the registry cannot be asked.
    """
    found = watched(registry, TAKEOVER_LEAST_S + BEAT_S, pause)
    record = found.nodes.get(name)
    if record is None:
        require_node(found, name, living=False)
    assert record is not None
    owned = sorted(found.placement.owned_by(name))
    if owned:
        raise UsageError(
            f'Node "{name}" counts {len(owned)} partitions, such as {owned[0]}.',
            f"Move them first, or let another node take them over: headcount cluster takeover"
            f" {name} --to NODE",
        )
    if name in found.living and record.state != "retired":
        raise UsageError(
            f'Node "{name}" serves.',
            "Take it out of the load balancer, wait until headcount cluster status shows that"
            " everything it took is handed on, stop it, and retire it then.",
        )
    if record.state == "retired":
        return Retirement(record, [], record.clock_ms)
    handed_on = _of_journals(record)
    since = [each.since for each in _lost_since(found, record)]
    if handed_on:
        since.append(record.until_ms or record.clock_ms)
    would_lose = [*handed_on, *_of_partitions(found, record)]
    return Retirement(record, would_lose, min(since, default=record.clock_ms))


def _of_journals(record: NodeRecord) -> list[str]:
    """What its journals may hold that nobody else has."""
    if record.state == "stopped" and record.unsent == 0:
        return []
    name = record.name
    if record.state == "stopped" and record.unsent:
        entries = number_of(record.unsent, "entry", "is", "are")
        return [f'{entries} in the journals of node "{name}" not handed on.']
    if record.acknowledges_in_log and not record.unsent:
        return []  # it has answered nobody for more
    until = moment_text(record.until_ms)
    handed_on = f"had handed on what it took until {until}" if until else "had handed on nothing"
    return [
        f'Node "{name}" said last at {moment_text(record.clock_ms)} how it was, and {handed_on}:'
        " what it has taken since then is nowhere else."
    ]


def _lost_since(found: Watched, record: NodeRecord) -> Iterator[NotedLoss]:
    """Losses of partitions that were noted when the node was silent already."""
    for each in found.status.losses:
        if each.key.startswith("before-") and each.noted_at > record.clock_ms:
            yield each


def _of_partitions(found: Watched, record: NodeRecord) -> Iterator[str]:
    """What it had handed on, and may be nowhere else now."""
    for each in _lost_since(found, record):
        yield (
            f'{each.sentence} What node "{record.name}" took then is in its own journals alone, if'
            " they still have it."
        )
    # Its journals are one more copy of what is at risk, where they wait for backups.
    if found.status.at_risk and record.unsent != 0:
        yield from found.status.at_risk


def retire(registry: Registry, found: Retirement) -> None:
    """Let a node leave for good: nobody waits any more for what its journals hold.

    What may be lost by that is noted before.

    Raises:
        EngineAwayError: the registry cannot be asked.
        UsageError: the node has said something since it was looked at.
        RegistryConflictError: it has come back in this very moment.
    """
    record, moment = found.record, now_ms()
    entry = registry.get(node_key(record.name))
    if entry is None or decoded(entry.value, NodeRecord) != record:
        raise UsageError(
            f'Node "{record.name}" has come back meanwhile, and was not retired.',
            "See headcount cluster status; stop the node before it is retired.",
        )
    if found.would_lose:
        said = " ".join(found.would_lose)
        put_loss(
            registry,
            NotedLoss(
                f"node-{record.name}",
                moment,
                found.since_ms,
                moment,
                f'Node "{record.name}" was retired at {moment_text(moment)}. {said}',
            ),
        )
    retired = msgspec.structs.replace(record, state="retired")
    registry.put(node_key(record.name), encoded(retired), entry.revision)
