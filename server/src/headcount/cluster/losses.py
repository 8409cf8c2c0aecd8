"""What a cluster has lost for good, or may have: noted once, kept for ever, by every node.

Takes notes, gives them to the registry and to a folder of this node's, and each what only the other
has: so a registry that was wiped or put back does not make anybody forget, neither what is lost nor
that somebody has accepted it. Also keeps when the log
was last seen to have lost what partitions had counted out of it: until a partition is backed up
after that, what it counted stands on its owner's disk alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from headcount.cluster.membership_records import MissingEntries, decoded
from headcount.durable import put_new, put_whole, read_small
from headcount.engines import Registry
from headcount.errors import RegistryConflictError
from headcount.terminal import moment_text

__all__ = [
    "LossFolder",
    "Losses",
    "NotedLoss",
    "accepted_losses",
    "made_of_before",
    "put_loss",
    "read_losses",
    "share_losses",
    "within_words",
]

_PREFIX = "loss."
_LOG_KEY = "log_lost"
_LOG_FILE = "log.json"
_SUFFIX = ".loss.json"
_ATTEMPTS_MAX = 5


class NotedLoss(msgspec.Struct, frozen=True, rename="camel"):
    """Something that may be missing in counts, or stand in another month, for good.

    Attributes:
        key: which loss it is, whoever notes it: words of letters, digits, `_` and `-`.
        noted_at: when it was noted, milliseconds since 1970.
        since, until: of what was taken in between something may be missing.
        sentence: what happened, in words.
        accepted_at: when somebody said that they have seen it and go on with it; 0 for never.
        entries: which a partition no longer waits for once that is accepted; None for none.
    """

    key: str
    noted_at: int
    since: int
    until: int
    sentence: str
    accepted_at: int = 0
    entries: MissingEntries | None = None

    def with_acceptance(self, other: NotedLoss) -> NotedLoss:
        """This note, accepted if another one of the loss is."""
        moments = [each for each in (self.accepted_at, other.accepted_at) if each]
        accepted_at = min(moments, default=0)
        entries = self.entries or other.entries
        return msgspec.structs.replace(self, accepted_at=accepted_at, entries=entries)

    def adds_to(self, held: NotedLoss | None) -> bool:
        """Whether this note says more than the one that is kept."""
        return held is None or held.with_acceptance(self) != held


class Losses(NamedTuple):
    """What is known of losses.

    Attributes:
        noted: in the order in which they were noted.
        log_lost: partition to when the log was last seen to have lost what that had counted.
    """

    noted: Sequence[NotedLoss] = ()
    log_lost: Mapping[str, int] = {}


class LossFolder:
    """The losses that a node knows of, on its disk.

    Args:
        path: the folder; made when something is noted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, loss: NotedLoss) -> None:
        """Note a loss, durably; one of that key stays as it is, but that it may be accepted now.

        Raises:
            OSError: the disk refused.
        """
        self._path.mkdir(mode=0o700, exist_ok=True)
        path = self._path / f"{loss.key}{_SUFFIX}"
        put_new(path, msgspec.json.encode(loss))
        held = next((each for each in self.noted() if each.key == loss.key), None)
        if held is not None and loss.adds_to(held):
            put_whole(path, msgspec.json.encode(held.with_acceptance(loss)))

    def noted(self) -> list[NotedLoss]:
        """All of them, in the order in which they were noted; what cannot be read is left out."""
        found = []
        for path in self._path.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(OSError, msgspec.DecodeError):
                found.append(msgspec.json.decode(read_small(path), type=NotedLoss))
        return _in_order(found)

    def log_lost(self) -> dict[str, int]:
        """As `Losses.log_lost`."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(read_small(self._path / _LOG_FILE), type=dict[str, int])
        return {}

    def keep_log_lost(self, log_lost: Mapping[str, int]) -> None:
        """Keep that, durably; raises as `note`."""
        if dict(log_lost) != self.log_lost():
            self._path.mkdir(mode=0o700, exist_ok=True)
            put_whole(self._path / _LOG_FILE, msgspec.json.encode(dict(log_lost)))


def _in_order(losses: Sequence[NotedLoss]) -> list[NotedLoss]:
    return sorted(losses, key=lambda each: (each.noted_at, each.key))


def read_losses(registry: Registry) -> Losses:
    """What the registry knows.

    Raises:
        EngineAwayError: the registry cannot be asked.
        OperatorError: what stands there is not of this version.
    """
    noted = [decoded(each.value, NotedLoss) for each in registry.list(_PREFIX).values()]
    there = registry.get(_LOG_KEY)
    return Losses(_in_order(noted), {} if there is None else decoded(there.value, dict[str, int]))


def put_loss(registry: Registry, loss: NotedLoss) -> None:
    """Note a loss in the registry; one of that key stays as it is, but that it may be accepted now.

    Raises: as `read_losses`.
    """
    key = f"{_PREFIX}{loss.key}"
    for _ in range(_ATTEMPTS_MAX):
        there = registry.get(key)
        held = None if there is None else decoded(there.value, NotedLoss)
        if not loss.adds_to(held):
            return
        whole = loss if held is None else held.with_acceptance(loss)
        try:
            registry.put(key, msgspec.json.encode(whole), 0 if there is None else there.revision)
        except RegistryConflictError:
            continue
        return


def accepted_losses(losses: Iterable[NotedLoss], partition: str) -> dict[str, int]:
    """Queue to the entry up to which a partition no longer waits for what is missing of it."""
    found: dict[str, int] = {}
    for loss in losses:
        entries = loss.entries
        if loss.accepted_at and entries is not None and entries.partition == partition:
            found[entries.queue] = max(entries.upto, found.get(entries.queue, 0))
    return found


def share_losses(
    registry: Registry, folder: LossFolder, reported: Mapping[str, int] = {}
) -> Losses:
    """Give the registry what this node knows, and this node what the registry does.

    Args:
        registry: the cluster's.
        folder: this node's.
        reported: `Losses.log_lost`, as this node's partitions say.

    Returns:
        What both know now. What this node's disk refused is tried again with the next call.

    Raises:
        EngineAwayError: the registry cannot be asked.
    """
    there = read_losses(registry)
    of_registry = {each.key: each for each in there.noted}
    of_node = {each.key: each for each in folder.noted()}
    whole = {
        key: each.with_acceptance(of_registry.get(key, each))
        for key, each in (of_registry | of_node).items()
    }
    for key, loss in whole.items():
        if loss.adds_to(of_registry.get(key)):
            put_loss(registry, loss)
    log_lost = _latest(there.log_lost, folder.log_lost(), reported)
    if log_lost != there.log_lost:
        log_lost = _put_log_lost(registry, log_lost)
    with contextlib.suppress(OSError):
        for key, loss in whole.items():
            if loss.adds_to(of_node.get(key)):
                folder.note(loss)
        folder.keep_log_lost(log_lost)
    return Losses(_in_order(list(whole.values())), log_lost)


def _put_log_lost(registry: Registry, log_lost: Mapping[str, int]) -> dict[str, int]:
    for _ in range(_ATTEMPTS_MAX):
        there = registry.get(_LOG_KEY)
        found = {} if there is None else decoded(there.value, dict[str, int])
        log_lost = _latest(found, log_lost)
        try:
            value = msgspec.json.encode(log_lost)
            registry.put(_LOG_KEY, value, 0 if there is None else there.revision)
        except RegistryConflictError:
            continue
        break  # whoever else changes it all the time is told of this one with the next look
    return dict(log_lost)


def _latest(*known: Mapping[str, int]) -> dict[str, int]:
    names = sorted({name for each in known for name in each})
    return {name: max(each.get(name, 0) for each in known) for name in names}


def made_of_before(
    lost_at_ms: int,
    known_lost_at_ms: int,
    log_lost_at_ms: int,
    taken_at_ms: int | None,
    former_said_at_ms: int | None,
) -> int | None:
    """When the log lost something after the state that a partition is counted on from.

    In which order it had counted what came in between nobody knows then, if it comes again at all.

    Args:
        lost_at_ms: when the log had last lost something, as the partition's own store says.
        known_lost_at_ms: the same, as the cluster knows of the partition.
        log_lost_at_ms: as it knows of any partition.
        taken_at_ms: when the backup was taken that it is made of; None for a folder of its own.
        former_said_at_ms: when its former owner last said anything; None for none.

    Returns:
        When, in milliseconds since 1970; None where nothing was lost since.
    """
    if known_lost_at_ms > lost_at_ms:
        return known_lost_at_ms
    # Who died at the same moment could not see what others have.
    died_unseeing = former_said_at_ms is not None and former_said_at_ms <= log_lost_at_ms
    if taken_at_ms is not None and died_unseeing and taken_at_ms <= log_lost_at_ms:
        return log_lost_at_ms
    return None


def within_words(since_ms: int, until_ms: int) -> str:
    """Two moments, for a sentence."""
    return f"between {moment_text(since_ms)} and {moment_text(until_ms)}"
