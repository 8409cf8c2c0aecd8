"""A node's part in the control plane: takes a registry and who this node is, gives what it sees.

Every second it says that it lives, reads who else does and who counts what, puts right what a
registry has forgotten, and so renews its lease. It refuses to go on where it must not take part
(`unfit`), and leaves it to its caller to rest, to say troubles, and to stop.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from headcount.cluster import unfit
from headcount.cluster.former_versions import watch_older
from headcount.cluster.liveness import BEAT_S, ClockWatch, Watch, heirs
from headcount.cluster.membership import Membership, MembershipFile
from headcount.cluster.membership_records import (
    CLUSTER_FORMAT,
    CLUSTER_KEY,
    NODE_PREFIX,
    PLACEMENT_KEY,
    ClusterDocument,
    NodeRecord,
    decoded,
    encoded,
    node_key,
)
from headcount.cluster.placement import LEASE_S, Partition, Placement
from headcount.engines import Registry, RegistryEntry
from headcount.errors import RegistryConflictError

__all__ = ["ControlPlane", "Seen", "change_placement", "read_cluster", "read_placement"]

_ATTEMPTS_MAX = 50
# A record that was written within so many beats of a moment ago is of a node that lives.
_FRESH_S = 2.5 * BEAT_S


@dataclass(frozen=True, slots=True)
class Seen:
    """The cluster, as one look found it.

    Attributes:
        cluster: its document.
        nodes: by name, as each last said of itself.
        silent_s: for how long each has said nothing while this node looked.
        placement: who counts what.
        owned: what this node may publish now, with epochs: what it counts, save what was another's
            until a moment ago.
        lease_until_s: until when, by its monotonic clock.
    """

    cluster: ClusterDocument
    nodes: dict[str, NodeRecord]
    silent_s: dict[str, float]
    placement: Placement
    owned: dict[Partition, int]
    lease_until_s: float


def read_cluster(registry: Registry) -> ClusterDocument | None:
    """The cluster's document; None where there is no cluster.

    Raises:
        EngineAwayError: the registry cannot be asked.
        OperatorError: what stands there is not of this version.
    """
    found = registry.get(CLUSTER_KEY)
    return None if found is None else decoded(found.value, ClusterDocument)


def read_placement(registry: Registry) -> tuple[Placement, int]:
    """Who counts what, and the revision that says so; raises as `read_cluster`."""
    found = registry.get(PLACEMENT_KEY)
    if found is None:
        return Placement(), 0
    return decoded(found.value, Placement), found.revision


def change_placement(registry: Registry, change: Callable[[Placement], Placement]) -> Placement:
    """Change who counts what, whoever else does at the same moment.

    Args:
        registry: where it stands.
        change: gives what should stand there, by what does; may be called several times.

    Returns:
        What stands there now.

    Raises:
        EngineAwayError: the registry cannot be asked; look again before trying again.
    """
    for _ in range(_ATTEMPTS_MAX):
        placement, revision = read_placement(registry)
        changed = change(placement)
        if changed == placement:
            return placement
        try:
            registry.put(PLACEMENT_KEY, encoded(changed), revision)
        except RegistryConflictError:
            continue
        return changed
    raise RegistryConflictError("The placement is changed all the time.")


class ControlPlane:
    """One node's part.

    Args:
        registry: the cluster's.
        file: what this node remembers.
        me: who it is, and how it does at first.
        clock_ms, monotonic_s: the time, and the machine's clock that nobody sets.
    """

    def __init__(
        self,
        registry: Registry,
        file: MembershipFile,
        me: NodeRecord,
        clock_ms: Callable[[], int],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._file = file
        self._me = me
        self._clock_ms = clock_ms
        self._monotonic_s = monotonic_s
        self._watch = Watch()
        self._clocks = ClockWatch(clock_ms, monotonic_s)
        self._revision: int | None = None
        self._membership: Membership | None = None
        self._not_before_s: dict[tuple[Partition, int], float] = {}
        self._owner_seen_s: dict[tuple[Partition, int], float] = {}

    @property
    def membership(self) -> Membership:
        """What this node remembers; only after it has entered."""
        assert self._membership is not None, "the node has not entered"
        return self._membership

    def recognise(self) -> ClusterDocument:
        """See that the registry is of this node's cluster, and that it may take part.

        What the cluster hands on may be of a former format, which this version reads.

        Raises:
            EngineAwayError: the registry cannot be asked.
            ClusterError: it may not, as it is.
        """
        known = self._file.read()
        found = read_cluster(self._registry)
        if found is None:
            raise unfit.registry_wiped(known.cluster.id) if known else unfit.no_cluster()
        if known is not None and known.cluster.id != found.id:
            raise unfit.other_cluster(known.cluster.id, found.id)
        if found.format > CLUSTER_FORMAT:
            raise unfit.other_version(self._me.version, found.format)
        return found

    def _raised(self, cluster: ClusterDocument) -> ClusterDocument:
        """The document as nodes of this version have it, who refuses those of former ones."""
        if cluster.format == CLUSTER_FORMAT:
            return cluster
        found = self._registry.get(CLUSTER_KEY)
        raised = msgspec.structs.replace(cluster, format=CLUSTER_FORMAT)
        if found is not None and decoded(found.value, ClusterDocument) == cluster:
            # Where another node is first, it writes the same.
            with suppress(RegistryConflictError):
                self._registry.put(CLUSTER_KEY, encoded(raised), found.revision)
        return raised

    def enter(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Take part from now on, or say why not; takes a moment where this node did not stop well.

        Raises:
            EngineAwayError: the registry cannot be asked.
            ClusterError: this node may not take part as it is.
        """
        cluster = self.recognise()
        known = self._file.read()
        key = node_key(self._me.name)
        there = self._registry.get(key)
        record = None if there is None else decoded(there.value, NodeRecord)
        if record is not None:
            if record.state == "retired":
                raise unfit.retired(record.name)
            if known is None or record.uuid != known.uuid:
                raise unfit.name_taken(record)
        before = self._revisions()
        if before.keys() - {key} or (record is not None and record.state != "stopped"):
            # Somebody may live: who does writes meanwhile.
            pause(_FRESH_S)
        after = self._registry.list(NODE_PREFIX)
        moved = [
            decoded(entry.value, NodeRecord)
            for name, entry in after.items()
            if before.get(name) != entry.revision
        ]
        if record is not None and any(each.name == self._me.name for each in moved):
            raise unfit.copied_folder(record)
        serving = [each for each in moved if each.state == "serving"]
        if refusal := self._clocks.refusal(serving, starting=True):
            raise refusal
        for each in serving:
            if each.format < CLUSTER_FORMAT:
                raise unfit.older_lives(each)
        if cluster.format < CLUSTER_FORMAT:
            watch_older(self._registry, self._me.name, after, pause)
        self._remember(self._raised(cluster), known)
        self._revision = there.revision if there is not None else 0
        self._write(self._me)

    def resume(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Go on as a life that has entered, in another process; or enter, if it has not.

        Raises: as `enter`.
        """
        known = self._file.read()
        there = self._registry.get(node_key(self._me.name))
        record = None if there is None else decoded(there.value, NodeRecord)
        if known is None or there is None or record is None or record.run != self._me.run:
            self.enter(pause)
            return
        self._membership, self._revision = known, there.revision

    def _revisions(self) -> dict[str, int]:
        return {name: each.revision for name, each in self._registry.list(NODE_PREFIX).items()}

    def _remember(self, cluster: ClusterDocument, known: Membership | None) -> None:
        me = self._me
        if known is None:
            membership = Membership(cluster, me.name, me.uuid, [me.run])
            self._file.write(membership)
        else:
            runs = known.runs if me.run in known.runs else self._file.begun(known, me.run)
            membership = self._file.change(known, cluster=cluster, runs=runs)
        self._membership = membership

    def beat(self, report: NodeRecord) -> Seen:
        """Say that this node lives, and look at the others.

        Args:
            report: how it does.

        Raises:
            EngineAwayError: the registry cannot be asked; the lease runs on, and then out.
            ClusterError: this node must stop.
        """
        began_s = self._monotonic_s()
        # A registry that was put back to before an upgrade is raised again.
        cluster = self._raised(self.recognise())
        self._write(report)
        asked_s = self._monotonic_s()
        entries = self._registry.list(NODE_PREFIX)
        answered_s = self._monotonic_s()
        records = {name: decoded(entry.value, NodeRecord) for name, entry in entries.items()}
        nodes = {each.name: each for each in records.values()}
        revisions = {
            name.removeprefix(NODE_PREFIX): each.revision for name, each in entries.items()
        }
        self._watch.look(revisions, asked_s, answered_s)
        silent_s = {name: self._watch.silent_s(name) for name in nodes}
        fresh = [
            each
            for name, each in nodes.items()
            if name != report.name and each.state == "serving" and silent_s[name] < BEAT_S / 2
        ]
        if refusal := self._clocks.refusal(fresh, starting=False):
            raise refusal
        placement = self._placement()
        owned = self._owned(placement, began_s)
        return Seen(cluster, nodes, silent_s, placement, owned, began_s + LEASE_S)

    def _placement(self) -> Placement:
        """Who counts what, after this node has put right what the registry has forgotten."""
        remembered = self.membership.placement
        placement, _ = read_placement(self._registry)
        if placement.is_behind(remembered):
            placement = change_placement(self._registry, lambda there: there.merged(remembered))
        now_s = self._monotonic_s()
        self._owner_seen_s = {
            owned: self._owner_seen_s.get(owned, now_s) for owned in placement.epochs().items()
        }
        # A former owner that lives has a lease until it looks again: this one waits for its end.
        waits_until_s = now_s + LEASE_S
        former = remembered.owned_by(self._me.name)
        for partition, epoch in placement.owned_by(self._me.name).items():
            if epoch > 1 and former.get(partition) != epoch:
                self._not_before_s.setdefault((partition, epoch), waits_until_s)
        self._membership = self._file.change(self.membership, placement=placement)
        return placement

    def _owned(self, placement: Placement, now_s: float) -> dict[Partition, int]:
        return {
            partition: epoch
            for partition, epoch in placement.owned_by(self._me.name).items()
            if now_s >= self._not_before_s.get((partition, epoch), now_s)
        }

    def _write(self, report: NodeRecord) -> None:
        """Write this node's record, unless somebody else has."""
        key, value = node_key(report.name), encoded(report)
        try:
            self._revision = self._registry.put(key, value, self._revision)
        except RegistryConflictError:
            there = self._registry.get(key)
            self._admit(there)
            self._revision = self._registry.put(key, value, there.revision if there else 0)

    def _admit(self, there: RegistryEntry | None) -> None:
        """See that a record which this life did not write last is a former one of this node's.

        A registry that was put back to an older moment has such a one, or none.

        Raises:
            ClusterError: it is somebody else's, or the node was retired.
        """
        if there is None:
            return
        record = decoded(there.value, NodeRecord)
        if record.state == "retired":
            raise unfit.retired(record.name)
        if record.uuid != self._me.uuid:
            raise unfit.name_taken(record)
        if record.run not in self.membership.runs:
            raise unfit.copied_folder(record)

    def take_over_due(self, seen: Seen, after_s: float) -> list[Partition]:
        """Take the partitions over that fall to this node of those silent for so long.

        Args:
            seen: by the latest look.
            after_s: the silence, in seconds.

        Returns:
            Which it has taken.

        Raises:
            EngineAwayError: the registry cannot be asked.
        """
        dead = {
            name
            for name, silent_s in seen.silent_s.items()
            if silent_s >= after_s and name != self._me.name
        }
        living = {
            name
            for name, each in seen.nodes.items()
            if name not in dead and each.state == "serving" and each.takes_over
        }
        due = heirs(seen.placement, living | {self._me.name}, dead)[self._me.name]
        if not due:
            return []
        held = {each: seen.placement.owner(each) for each in due}

        def taken(there: Placement) -> Placement:
            still = [each for each in due if there.owner(each) == held[each]]
            return there.given(still, self._me.name)

        placement = change_placement(self._registry, taken)
        owned = placement.owned_by(self._me.name)
        for each in due:
            if each in owned and (former := held[each]) is not None:
                # Who was silent has no lease. Whose it was before may have had one until lately.
                seen_s = self._owner_seen_s[each, former.epoch]
                self._not_before_s[each, owned[each]] = seen_s + LEASE_S
        return [each for each in due if each in owned]

    def leave(self, report: NodeRecord) -> None:
        """Say that this node stops as it was told to; as `beat`."""
        self._write(msgspec.structs.replace(report, state="stopped"))
