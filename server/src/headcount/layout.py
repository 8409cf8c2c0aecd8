"""Where everything lies in a data folder: takes its path, gives the places in it, opens nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TRASH_KEPT_DAYS", "DataFolder"]

TRASH_KEPT_DAYS = 7
"""For how long runs of keys stay in the trash, so that a mistake can be undone."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where everything lies.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def is_made(self) -> bool:
        """Whether there is a data folder, of whatever format, rather than nothing yet."""
        return os.path.lexists(self.format)

    @property
    def format(self) -> Path:
        """Says that this is a data folder, and of which format."""
        return self.path / "format"

    @property
    def identity(self) -> Path:
        """Says which parts belong to the folder."""
        return self.path / "identity"

    @property
    def catalog(self) -> Path:
        """Workspaces, sources, tokens and limits."""
        return self.path / "catalog.sqlite"

    @property
    def store(self) -> Path:
        """Keys, counts, outcomes and journal positions."""
        return self.path / "store.sqlite"

    @property
    def journals(self) -> Path:
        """The folder of the journals."""
        return self.path / "journals"

    def journal_files(self) -> list[Path]:
        """The journals there are, in the order of their names."""
        return sorted(self.journals.glob("*.sqlite"))

    @property
    def keys(self) -> Path:
        """The folder of the runs of keys that the store names."""
        return self.path / "keys"

    def key_files(self) -> list[Path]:
        """The runs of keys there are, named by the store or not, in the order of their names."""
        return sorted(self.keys.glob("*.keys"))

    @property
    def trash(self) -> Path:
        """The folder of runs that are no longer used; each is kept for `TRASH_KEPT_DAYS`."""
        return self.path / "trash"

    @property
    def former(self) -> Path:
        """The folder in which an upgrade keeps what it replaces, until the new is verified."""
        return self.path / "former"

    @property
    def repaired(self) -> Path:
        """The folder of what repairs have set aside, one folder a repair."""
        return self.path / "repaired"

    @property
    def forgetting(self) -> Path:
        """The folder of what is to be forgotten, and what was found of it: one file a request."""
        return self.path / "forgetting"

    @property
    def hash_key(self) -> Path:
        """The secret key under which ids are hashed, unless the settings place it elsewhere."""
        return self.path / "hash.key"

    @property
    def spool(self) -> Path:
        """The folder of what waits to be forwarded."""
        return self.path / "spool"

    @property
    def manifest(self) -> Path:
        """Says what a backup holds, where the folder is one."""
        return self.path / "backup.json"

    @property
    def unfinished(self) -> Path:
        """Is there while a backup or a restore is being written, and after one that was killed."""
        return self.path / "format.unfinished"

    @property
    def is_copy(self) -> bool:
        """Whether this is a backup, or one or a restore that has not ended; no data folder."""
        return not self.is_made and (self.manifest.exists() or self.unfinished.exists())

    @property
    def serve_lock(self) -> Path:
        """Held by the one server, or by a command that does its work while none runs."""
        return self.path / "serve.lock"

    @property
    def meter_lock(self) -> Path:
        """Held by the one process that writes to the store."""
        return self.path / "meter.lock"

    @property
    def metrics(self) -> Path:
        """The folder in which the processes of a running server share their metrics."""
        return self.path / "run" / "metrics"

    @property
    def state(self) -> Path:
        """Which processes of a running server do their work."""
        return self.path / "run" / "state.json"

    @property
    def backlog(self) -> Path:
        """How far the meter of a running server is behind, as of its last look."""
        return self.path / "run" / "backlog.json"

    @property
    def allowances(self) -> Path:
        """What sources have used, and which are refused, in a running server."""
        return self.path / "run" / "allowances"

    @property
    def troubles(self) -> Path:
        """The folder in which the processes of a running server say what hinders them."""
        return self.path / "run" / "troubles"

    @property
    def failures(self) -> Path:
        """The folder in which a process that has failed leaves the trace of it."""
        return self.path / "run" / "failures"

    @property
    def forwarding(self) -> Path:
        """How far the sources of a running server that forward are behind."""
        return self.path / "run" / "forwarding.json"

    @property
    def cluster(self) -> Path:
        """Says which node of which cluster the folder is; is not there for a single machine's."""
        return self.path / "cluster.json"

    @property
    def losses(self) -> Path:
        """The folder of what the cluster has lost for good, as far as this node knows."""
        return self.path / "losses"

    @property
    def partitions(self) -> Path:
        """The folder of the partitions that this node of a cluster counts, one folder each."""
        return self.path / "partitions"

    def partition(self, name: str) -> DataFolder:
        """The folder of one of those partitions, such as `facts-3`."""
        return DataFolder(self.partitions / name)

    def partition_folders(self) -> list[Path]:
        """The folders of the partitions that are counted here, in the order of their names."""
        return sorted(each.parent for each in self.partitions.glob(f"*/{self.store.name}"))

    @property
    def cluster_status(self) -> Path:
        """How the cluster does, as this node last saw."""
        return self.path / "run" / "cluster.json"

    @property
    def partition_reports(self) -> Path:
        """How the partitions of this node do, as those who count them say."""
        return self.path / "run" / "partitions.json"

    @property
    def relay_report(self) -> Path:
        """How far this node's journals are handed on."""
        return self.path / "run" / "relay.json"

    @property
    def handed_on(self) -> Path:
        """Up to which entry the cluster's log has each journal of this node."""
        return self.path / "run" / "handed_on.json"

    @property
    def forget_orders(self) -> Path:
        """Whom the partitions of this node are to forget."""
        return self.path / "run" / "forget_orders.json"

    @property
    def forget_report(self) -> Path:
        """What they have found of those."""
        return self.path / "run" / "forget_report.json"

    @property
    def forget_waits(self) -> Path:
        """What requests of this node to forget somebody wait for."""
        return self.path / "run" / "forget_waits.json"

    @property
    def signed_out(self) -> Path:
        """Who has signed out of the page of this node while other nodes could not be told."""
        return self.path / "run" / "signed_out.lines"

    @property
    def leases(self) -> Path:
        """What this node of a cluster may publish, and until when."""
        return self.path / "run" / "leases.json"

    @property
    def quotas(self) -> Path:
        """Which sources of a running server have used their quota of the month."""
        return self.path / "run" / "quotas.json"

    @property
    def listening(self) -> Path:
        """Where the server that holds the lock listens, as it announced."""
        return self.path / "run" / "listening.json"
