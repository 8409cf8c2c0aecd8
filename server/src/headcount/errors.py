"""Every exception that an operator of Headcount can meet, and what to do about it.

HeadcountError
├── OperatorError            one sentence, a remedy and an exit status; printed, never traced
│   ├── SettingError         a flag, variable or headcount.toml entry is wrong   (status 2)
│   ├── UsageError           a command was asked for something that cannot be    (status 2)
│   ├── ClusterError         a node may not take part in a cluster as it is      (status 1)
│   └── DataFolderError      the data folder cannot be used as it is             (status 1)
│       ├── FolderBusyError  another process uses it                             (status 1)
│       ├── CatalogUnchangedError  a cluster's catalog takes no change now       (status 1)
│       │   └── CatalogOvertakenError  another node has changed it meanwhile      (status 1)
│       └── DamagedDataError it holds less than was acknowledged, or other bytes (status 1)
├── StorageUnavailableError  a disk refused a write; what was sent is not acknowledged
│   └── SpoolUnavailableError  likewise, and it concerns only sources that forward
├── EngineAwayError          a cluster's log or registry cannot be asked; try again
└── RegistryConflictError    somebody else has changed a cluster's value meanwhile; read it again
"""

from __future__ import annotations

__all__ = [
    "CatalogOvertakenError",
    "CatalogUnchangedError",
    "ClusterError",
    "DamagedDataError",
    "DataFolderError",
    "EngineAwayError",
    "FolderBusyError",
    "HeadcountError",
    "OperatorError",
    "RegistryConflictError",
    "SettingError",
    "SpoolUnavailableError",
    "StorageUnavailableError",
    "UsageError",
]


class HeadcountError(Exception):
    """Base of all exceptions that Headcount raises on purpose."""


class OperatorError(HeadcountError):
    """Something the person at the terminal can fix.

    Args:
        problem: what failed, on what and why, as one sentence.
        remedy: what to do next, as one sentence or a command.
    """

    exit_status = 1

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy


class SettingError(OperatorError):
    """A setting has a value that cannot be used."""

    exit_status = 2


class UsageError(OperatorError):
    """A command names something that does not exist or contradicts itself."""

    exit_status = 2


class ClusterError(OperatorError):
    """Another cluster, name, hash key, version or clock than the one that this node needs."""


class DataFolderError(OperatorError):
    """The data folder is locked, unreadable, read-only, newer than this version, or not ours."""


class FolderBusyError(DataFolderError):
    """Another process holds the lock that is needed; it will be free when that one ends."""


class CatalogUnchangedError(DataFolderError):
    """A change of the catalog was not made: the cluster's registry is away, or another was faster.

    Both sentences are for whoever asked, over the API too: they name no place and no secret.
    """


class CatalogOvertakenError(CatalogUnchangedError):
    """Another node was faster: the same change may be made at once, of what stands there now."""


class DamagedDataError(DataFolderError):
    """What is there is not what was written: flipped, cut off, lost, or of another folder."""


class StorageUnavailableError(HeadcountError):
    """A write did not become durable (full disk, failed sync); the caller may try again."""


class SpoolUnavailableError(StorageUnavailableError):
    """What is to be forwarded did not become durable; other sources are taken all the same."""


class EngineAwayError(HeadcountError):
    """A cluster's engine cannot be reached, refuses, or did not answer in time.

    What was asked for may have been done, or not; the caller may try again.

    Args:
        problem: what failed and why, as one sentence without a password.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class RegistryConflictError(HeadcountError):
    """A value in a cluster's registry is not the one that was read before changing it."""
