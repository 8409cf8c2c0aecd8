"""What a supervisor and its children tell each other, and nothing else: both import this.

A supervisor writes a `Task` to its child's standard input, as JSON. The child writes `READY` to its
standard output once it does its work, and a `Refusal`, as a line of JSON, if it cannot.
"""

from __future__ import annotations

import msgspec

from headcount.config import Settings
from headcount.setting_texts import settings_from

__all__ = ["READY", "Refusal", "Role", "Task", "read_refusal"]

READY = b"ready\n"
"""What a child writes to standard output once it does its work."""

Role = str
"""`"intake"`, `"meter"`, `"api"`, `"forward"` or `"alert"`; in a cluster `"node"` and others for a
meter."""


class Task(msgspec.Struct, frozen=True):
    """What a child is given.

    Attributes:
        setting_texts: the server's settings, as `texts_of` writes them.
        tracking_url: where tracking SDKs reach this server.
        listen_fd: the inherited socket to accept on; -1 for one that listens on none.
        alive_fd: the inherited end of a pipe that closes when the supervisor ends.
        again: whether a process of this role has done its work before: then somebody relies on it.
        reading: why nothing can be written, where the server is there for reading only.
        cluster_run: which life of a cluster's node this is; empty for a single machine's.
        api_url: where this server's usage is read.
    """

    setting_texts: dict[str, str]
    tracking_url: str
    listen_fd: int
    alive_fd: int
    again: bool = False
    reading: str | None = None
    cluster_run: str = ""
    api_url: str = ""

    def settings(self) -> Settings:
        """The server's settings, with absolute paths."""
        return settings_from(self.setting_texts)


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
