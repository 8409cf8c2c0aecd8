"""What a supervisor and its children tell each other, and nothing else: both import this.

A supervisor writes a `Task` to its child's standard input, as JSON. The child writes `READY` to its
standard output once it does its work, and a `Refusal`, as a line of JSON, if it cannot.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from headcount.config import Settings
from headcount.http.front import Front

__all__ = ["READY", "Refusal", "Role", "Task", "read_refusal", "task_of"]

READY = b"ready\n"
"""What a child writes to standard output once it does its work."""

Role = str
"""`"intake"`, `"meter"` or `"api"`."""


class Task(msgspec.Struct, frozen=True):
    """What a child is given.

    Attributes:
        data: the data folder, absolute.
        hash_key: the hash key's file, absolute, when it lies elsewhere.
        rate_limit_per_minute, dedup_window_days, idle_timeout_s: as in the settings.
        tracking_url: where tracking SDKs reach this server.
        listen_fd: the inherited socket to accept on; -1 for the meter.
        alive_fd: the inherited end of a pipe that closes when the supervisor ends.
        memory, source_messages_per_minute, source_ids_per_minute: as in the settings.
        again: whether a process of this role has done its work before: then somebody relies on it.
        front: how the addresses face the network.
        reading: why nothing can be written, where the server is there for reading only.
    """

    data: str
    hash_key: str | None
    rate_limit_per_minute: int
    dedup_window_days: int
    idle_timeout_s: int
    tracking_url: str
    listen_fd: int
    alive_fd: int
    memory: int
    source_messages_per_minute: int | None = None
    source_ids_per_minute: int | None = None
    again: bool = False
    reading: str | None = None
    front: Front = Front()

    @property
    def folder(self) -> Path:
        """The data folder."""
        return Path(self.data)

    @property
    def hash_key_file(self) -> Path | None:
        """The hash key's file, None for the one in the data folder."""
        return None if self.hash_key is None else Path(self.hash_key)


def task_of(
    settings: Settings,
    tracking_url: str,
    listen_fd: int,
    alive_fd: int,
    *,
    again: bool,
    reading: str | None,
    front: Front,
) -> Task:
    """The task of a child under some settings, of a server that takes messages at an address."""
    return Task(
        data=str(settings.data.absolute()),
        hash_key=None if settings.hash_key is None else str(settings.hash_key.absolute()),
        rate_limit_per_minute=settings.rate_limit_per_minute,
        dedup_window_days=settings.dedup_window_days,
        idle_timeout_s=settings.idle_timeout_s,
        tracking_url=settings.tracking_url or tracking_url,
        listen_fd=listen_fd,
        alive_fd=alive_fd,
        memory=settings.memory,
        source_messages_per_minute=settings.source_messages_per_minute,
        source_ids_per_minute=settings.source_ids_per_minute,
        again=again,
        reading=reading,
        front=front,
    )


class Refusal(msgspec.Struct, frozen=True):
    """Why a child cannot do its work.

    Attributes:
        problem: what is wrong, as a sentence.
        remedy: what to do about it, as a sentence.
        error: the type of the error.
    """

    problem: str
    remedy: str
    error: str = ""


def read_refusal(report: bytes) -> Refusal | None:
    """The refusal in a child's last line; None where it was killed, or told to stop."""
    try:
        return msgspec.json.decode(report, type=Refusal)
    except msgspec.DecodeError:
        return None
