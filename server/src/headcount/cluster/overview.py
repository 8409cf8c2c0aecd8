"""How a cluster does, in words: takes what nodes say of themselves, gives sentences for people and
figures for programs. What is missing is named, with the node or partition that it waits for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from headcount.backlog import duration_text
from headcount.cluster.forget_records import ForgetDocument, behind
from headcount.cluster.liveness import BEAT_S
from headcount.cluster.losses import Losses, NotedLoss
from headcount.cluster.membership_records import ClusterDocument, NodeRecord
from headcount.cluster.placement import Placement, names_of, partitions_of
from headcount.cluster.risks import (
    PartitionStatus,
    may_be_lost_of,
    names_and_owners,
    risks_of,
)
from headcount.terminal import moment_text

__all__ = [
    "ClusterStatus",
    "ForgettingStatus",
    "NodeStatus",
    "PartitionStatus",
    "status_of",
]

_SILENT_AFTER_S = 3 * BEAT_S
_BEHIND_AFTER_S = 10.0


class NodeStatus(msgspec.Struct, frozen=True, rename="camel"):
    """One node.

    Attributes:
        name: the node's.
        state: `"serving"`, `"silent"`, `"stopped"` or `"retired"`.
        version: of Headcount.
        silent_seconds: for how long it has said nothing.
        handed_on_until: until when what it took is handed on, milliseconds since 1970.
        partitions: how many it counts.
        catalog_version: of its copy.
        troubles: what hinders it.
        sentence: the same in words.
    """

    name: str
    state: str
    version: str
    silent_seconds: float
    handed_on_until: int | None
    partitions: int
    catalog_version: int
    troubles: list[str]
    sentence: str


class ForgettingStatus(msgspec.Struct, frozen=True, rename="camel"):
    """A person that is to be forgotten, or was.

    Attributes:
        number: of the order.
        node: by which it was asked for.
        asked_at: when, milliseconds since 1970.
        waits_for: partitions that have not carried it out yet.
        kept_until: until when the log holds what was handed on before, milliseconds since 1970.
        sentence: the same in words.
    """

    number: int
    node: str
    asked_at: int
    waits_for: list[str]
    kept_until: int
    sentence: str


class ClusterStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The cluster, as one node saw it.

    Attributes:
        id: of the cluster.
        seen_by: which node saw it; empty for a command.
        at: when, milliseconds since 1970.
        fresh_until: until when what was received is counted everywhere; None while nobody can say.
        nodes, partitions: each of them.
        missing: what counting waits for, as sentences; none where nothing is missing.
        sentence: how it is on the whole.
        forgetting: who is to be forgotten, or was lately.
        at_risk: what would be lost with a disk now, as sentences; none where nothing would be.
        losses: what is lost for good, or may be.
        may_be_lost: what a partition waits for and nobody may have any more: to be noted as a loss
            once somebody accepts that it never comes.
    """

    id: str
    seen_by: str
    at: int
    fresh_until: int | None
    nodes: list[NodeStatus]
    partitions: list[PartitionStatus]
    missing: list[str]
    sentence: str
    forgetting: list[ForgettingStatus] = []
    at_risk: list[str] = []
    losses: list[NotedLoss] = []
    may_be_lost: list[NotedLoss] = []

    def is_well(self) -> bool:
        """Whether nothing is missing, and nothing lost but what somebody has accepted."""
        return not self.missing and all(each.accepted_at for each in self.losses)

    def log_lost_at(self) -> int:
        """When the log was last seen to have lost anything; 0 for never."""
        return max((each.log_lost_at for each in self.partitions), default=0)


def status_of(
    cluster: ClusterDocument,
    nodes: Mapping[str, NodeRecord],
    silent_s: Mapping[str, float],
    placement: Placement,
    now_ms: int,
    seen_by: str = "",
    *,
    forgets: Mapping[int, ForgetDocument] = {},
    losses: Losses = Losses(),  # noqa: B008 — it never changes
) -> ClusterStatus:
    """How a cluster does.

    Args:
        cluster: its document.
        nodes: by name, as each last said of itself.
        silent_s: for how long each has said nothing.
        placement: who counts what.
        now_ms: milliseconds since 1970.
        seen_by: the node that looks.
        forgets: who is to be forgotten, by number.
        losses: what is known of losses.
    """
    states = {name: _state(each, silent_s.get(name, 0.0)) for name, each in nodes.items()}
    found = [
        _node(each, states[name], silent_s.get(name, 0.0), placement, now_ms)
        for name, each in sorted(nodes.items())
    ]
    partitions = [
        msgspec.structs.replace(
            _partition(str(each), placement, nodes, states, now_ms),
            log_lost_at=losses.log_lost.get(str(each), 0),
            former_said_at=_former_said_at(str(each), placement, nodes),
        )
        for each in partitions_of(cluster.facts, cluster.keys)
    ]
    may_be_lost = list(may_be_lost_of(nodes, placement, losses.noted, now_ms))
    missing = [
        *(each.sentence for each in found if each.state in ("silent", "stopped")),
        *_together([each for each in partitions if _is_missing(each, states)]),
        *map(_may_be_lost, may_be_lost),
    ]
    moments = [each.counted_until for each in partitions]
    moments += [each.handed_on_until for each in found if each.state != "retired"]
    known = [each for each in moments if each is not None]
    fresh = min(known) if known and len(known) == len(moments) else None
    return ClusterStatus(
        cluster.id,
        seen_by,
        now_ms,
        fresh,
        found,
        partitions,
        missing,
        _sentence(fresh, now_ms, len(missing), losses.noted),
        [_forgetting(each, nodes, placement) for _, each in sorted(forgets.items())],
        list(risks_of(partitions, nodes, now_ms)),
        list(losses.noted),
        may_be_lost,
    )


def _forgetting(
    document: ForgetDocument, nodes: Mapping[str, NodeRecord], placement: Placement
) -> ForgettingStatus:
    waiting = behind(document.number, nodes, placement)
    words = (
        f"is not carried out yet by {names_and_owners(waiting)}"
        if waiting
        else "is carried out; the log holds what was handed on before until"
        f" {moment_text(document.expires_at_ms)}"
    )
    return ForgettingStatus(
        *(document.number, document.node, document.asked_at_ms, list(waiting)),
        document.expires_at_ms,
        f'Request {document.number} to forget somebody, from node "{document.node}", {words}.',
    )


def _state(record: NodeRecord, silent_s: float) -> str:
    if record.state != "serving":
        return record.state
    return "silent" if silent_s > _SILENT_AFTER_S else "serving"


def _node(
    record: NodeRecord, state: str, silent_s: float, placement: Placement, now_ms: int
) -> NodeStatus:
    count = len(placement.owned_by(record.name))
    counts = f"counts {count} partitions" if count != 1 else "counts 1 partition"
    match state:
        case "serving":
            words = f"serves and {counts}"
        case "silent":
            silent = duration_text(round(1000 * silent_s))
            words = (
                f"has said nothing for {silent} and {counts}: what waits in its"
                " journals is not counted until it is back, or headcount cluster retire"
                f" {record.name}"
            )
        case "stopped":
            words = f"was stopped and {counts}"
        case _:
            words = "was retired"
    if state == "serving" and _behind_s(record.until_ms, now_ms) > _BEHIND_AFTER_S:
        behind = duration_text(now_ms - (record.until_ms or now_ms))
        words += f"; what it took in the last {behind} is not handed on yet"
    return NodeStatus(
        record.name,
        state,
        record.version,
        silent_s,
        record.until_ms,
        count,
        record.catalog_version,
        record.troubles,
        f'Node "{record.name}" {words}.',
    )


def _behind_s(until_ms: int | None, now_ms: int) -> float:
    return 0.0 if until_ms is None else max(0, now_ms - until_ms) / 1000


def _partition(
    name: str,
    placement: Placement,
    nodes: Mapping[str, NodeRecord],
    states: Mapping[str, str],
    now_ms: int,
) -> PartitionStatus:
    owner = placement.owners.get(name)
    if owner is None:
        said = f"Nobody counts {name}: headcount cluster place {name} --to NODE"
        return PartitionStatus(name, None, 0, None, None, None, said)
    record = nodes.get(owner.node)
    report = record.partitions.get(name) if record is not None else None
    if report is not None and report.epoch != owner.epoch:
        report = None
    until_ms = None if report is None else report.until_ms
    behind_s = None if until_ms is None else _behind_s(until_ms, now_ms)
    state = states.get(owner.node, "unknown")
    if state in ("silent", "stopped"):
        words = (
            f'waits for node "{owner.node}", which is {state}: start it, or headcount cluster'
            f" takeover {owner.node} --to NODE"
        )
    elif state != "serving":
        words = (
            f'waits for node "{owner.node}", which has never served: start it there with'
            f" headcount serve --node {owner.node}"
        )
    elif report is not None and report.said:
        # It says "It lacks …", or what is wrong with its folder.
        said = report.said.removesuffix(".")
        words = said.removeprefix("It ") if said.startswith("It ") else f"waits: {said}"
    elif behind_s is None:
        words = f'is being opened by node "{owner.node}"'
    elif behind_s > _BEHIND_AFTER_S:
        words = f'is {duration_text(round(1000 * behind_s))} behind, on node "{owner.node}"'
    else:
        words = f'is counted by node "{owner.node}"'
    return PartitionStatus(
        name,
        owner.node,
        owner.epoch,
        until_ms,
        behind_s,
        None if report is None else report.backed_up_at_ms,
        f"Partition {name} {words}.",
    )


def _former_said_at(name: str, placement: Placement, nodes: Mapping[str, NodeRecord]) -> int | None:
    """When who counted a partition before its owner last said anything."""
    owner = placement.owners.get(name)
    before = [
        (each.partitions[name].epoch, each.clock_ms)
        for each in nodes.values()
        if name in each.partitions
        and owner is not None
        and each.partitions[name].epoch < owner.epoch
    ]
    return max(before)[1] if before else None


def _together(missing: Sequence[PartitionStatus]) -> Iterator[str]:
    """What is said of partitions, once for all of which the same is said."""
    said: dict[str, list[str]] = {}
    for each in missing:
        words = each.sentence.removeprefix(f"Partition {each.name} ")
        said.setdefault(words, []).append(each.name)
    for words, names in said.items():
        if len(names) == 1:
            yield next(each.sentence for each in missing if each.name == names[0])
        else:
            yield f"Partitions {names_of(names)}, each: {words}"


def _may_be_lost(loss: NotedLoss) -> str:
    partition = "" if loss.entries is None else f" of {loss.entries.partition}"
    return (
        f"{loss.sentence} They come of the log, or of a newer copy{partition} that is put back; if"
        f" there is neither, let it go on without them: headcount cluster accept-loss {loss.key}"
    )


def _is_missing(partition: PartitionStatus, states: Mapping[str, str]) -> bool:
    if partition.node is None or states.get(partition.node) != "serving":
        return True
    return partition.behind_seconds is None or partition.behind_seconds > _BEHIND_AFTER_S


def _sentence(fresh_ms: int | None, now_ms: int, missing: int, losses: Sequence[NotedLoss]) -> str:
    if fresh_ms is None:
        return "Nobody can say yet until when everything is counted."
    behind_s = max(0, now_ms - fresh_ms) / 1000
    if missing or behind_s > _BEHIND_AFTER_S:
        behind = duration_text(round(1000 * behind_s))
        return (
            f"Everything received until {behind} ago is counted; what came later"
            " is counted in part, and not shown until it is whole."
        )
    if fresh := [each for each in losses if not each.accepted_at]:
        noted = "what is noted as lost" if len(fresh) > 1 else "one loss that is noted"
        return f"Everything is counted that there is; see {noted}."
    if losses:
        return "Everything is counted that there is."
    return "Everything is counted."
