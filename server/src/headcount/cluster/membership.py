"""What a node remembers of its cluster, in its data folder: so that it knows its own cluster again,
serves while the registry is away, and sees when the registry has forgotten something.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from headcount.cluster.membership_records import ClusterDocument
from headcount.cluster.placement import Placement
from headcount.durable import put_whole, read_small
from headcount.errors import DamagedDataError

__all__ = ["Membership", "MembershipFile"]

_RUNS_KEPT = 20


class Membership(msgspec.Struct, frozen=True):
    """Which node of which cluster a data folder is.

    Attributes:
        cluster: the cluster's document.
        node: the node's name.
        uuid: by which it is told from another one of that name.
        runs: the latest lives of this node, the present one last.
        placement: the latest owners that it has seen, each in the highest epoch.
    """

    cluster: ClusterDocument
    node: str
    uuid: str
    runs: list[str] = msgspec.field(default_factory=list)
    placement: Placement = msgspec.field(default_factory=Placement)


class MembershipFile:
    """The file in a data folder.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Membership | None:
        """What it says; None in the folder of a single machine.

        Raises:
            DamagedDataError: it says something else than was written.
            OSError: it cannot be read.
        """
        try:
            content = read_small(self._path)
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(content, type=Membership)
        except msgspec.DecodeError as error:
            raise DamagedDataError(
                f"{self._path} is damaged: it does not say which node of which cluster this is.",
                "Restore it from a backup of this folder.",
            ) from error

    def write(self, membership: Membership) -> None:
        """Remember, durably.

        Raises:
            OSError: the disk refused.
        """
        put_whole(self._path, msgspec.json.encode(membership))

    def change(self, membership: Membership, **changes: Any) -> Membership:
        """Remember it with some fields changed; writes nothing where they are as they were."""
        changed = msgspec.structs.replace(membership, **changes)
        if changed != membership:
            self.write(changed)
        return changed

    @staticmethod
    def begun(membership: Membership, run: str) -> list[str]:
        """The lives of a node, with one that begins."""
        return [*membership.runs, run][-_RUNS_KEPT:]
