"""What hinders the processes of a running server, told to `/readyz`, metrics, doctor and the log.

Each process keeps the troubles that it is in, in a file of its own in the data folder's `run/`;
a trouble is logged when it begins and when it ends, not in between, however often it is met. The
file has its room from the start and is written in place, so that a full disk can be told too.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import mmap
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from headcount import telemetry
from headcount.durable import read_small
from headcount.machine import lives

__all__ = ["KINDS", "Trouble", "Troubles", "read_troubles"]

_log = logging.getLogger("headcount.troubles")

KINDS = frozenset(
    {
        "alert_ends",
        "alerts_failing",
        "alerts_tidied",
        "alerts_unjudged",
        "alerts_written",
        "api_ends",
        "charts",
        "clock_behind",
        "cluster_behind",
        "cluster_counting",
        "cluster_counts",
        "cluster_log",
        "cluster_lost",
        "cluster_mirror",
        "cluster_partition",
        "cluster_relay",
        "cluster_at_risk",
        "cluster_away",
        "cluster_backup",
        "cluster_catalog",
        "connections",
        "digests_written",
        "disk",
        "forward_ends",
        "erasing",
        "forgetting",
        "forward_spool",
        "forwarding_behind",
        "forwarding_full",
        "forwarding_refused",
        "forwarding_stopped",
        "hash_key",
        "imports_months",
        "imports_tokens",
        "intake_ends",
        "journal",
        "keys",
        "library",
        "memory",
        "messages_set_aside",
        "messages_waiting",
        "meter_ends",
        "mirror_ends",
        "node_ends",
        "partitions_ends",
        "quotas_shared",
        "relay_ends",
        "signed_out",
        "spool",
        "storage",
        "tls",
        "unauthenticated",
    }
)
"""Every kind of trouble, save those of further workers (`intake_2_ends` and so on): their series
of metrics begin with zero."""

_FILE_BYTES = 16_384
_SUFFIX = ".troubles"
_READ_ATTEMPTS = 3


class Trouble(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that goes wrong and has not ended.

    Attributes:
        kind: a short name that stays the same, such as `"storage"`; a metric's label.
        message: what is wrong, as a sentence for people.
        remedy: what to do about it, as a sentence; empty when it ends by itself.
        since_ms: when it began, milliseconds since 1970.
        times: how often it was met since then.
        hinders: whether messages are refused, or taken and not counted, while it lasts.
        passes: whether it is on its way to end by itself, and nothing is damaged.
    """

    kind: str
    message: str
    remedy: str
    since_ms: int
    times: int
    hinders: bool
    passes: bool = False


class Troubles:
    """The troubles of this process.

    Args:
        folder: where processes tell one another; made when missing. None to log and count only.
        role: which process it is, such as `"meter"`.
        clock_ms: the time, in milliseconds since 1970.
    """

    def __init__(self, folder: Path | None, role: str, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._now: dict[str, Trouble] = {}
        self._unlogged: dict[str, int] = {}
        self._descriptor: int | None = None
        if folder is not None:
            self._descriptor = _reserved(folder, role)

    def begin(
        self,
        kind: str,
        message: str,
        remedy: str = "",
        *,
        hinders: bool = True,
        passes: bool = False,
        logged_after_s: float = 0.0,
    ) -> None:
        """Say that something is wrong; said again, it is counted and not logged again.

        Args:
            kind, message, remedy, hinders, passes: as in `Trouble`.
            logged_after_s: what is over sooner is not logged at all, such as what a start brings.
        """
        former = self._now.get(kind)
        since_ms, times = (former.since_ms, former.times) if former else (self._clock_ms(), 0)
        self._now[kind] = Trouble(kind, message, remedy, since_ms, times + 1, hinders, passes)
        if former is None:
            self._unlogged[kind] = since_ms + round(1000 * logged_after_s)
        self._log_if_due(kind)
        # The files of metrics may be refused, or gone: that is no reason not to say it elsewhere.
        with contextlib.suppress(OSError):
            telemetry.TROUBLES.labels(kind).set(1)
            telemetry.TROUBLES_MET.labels(kind).inc()
        self._write()

    def restate(
        self,
        kind: str,
        message: str,
        remedy: str = "",
        *,
        hinders: bool = True,
        passes: bool = False,
    ) -> None:
        """Say otherwise what is wrong already; it is neither logged nor counted."""
        former = self._now.get(kind)
        if former is not None:
            self._now[kind] = Trouble(
                kind, message, remedy, former.since_ms, former.times, hinders, passes
            )
            self._log_if_due(kind)
            self._write()

    def _log_if_due(self, kind: str) -> None:
        """Log a trouble that was not logged yet, if it has lasted for as long as that takes."""
        if kind in self._unlogged and self._clock_ms() >= self._unlogged[kind]:
            del self._unlogged[kind]
            trouble = self._now[kind]
            _log.error("%s", f"{trouble.message} {trouble.remedy}".strip())

    def end(self, kind: str) -> None:
        """Say that something is over; nothing happens where it was not wrong."""
        former = self._now.pop(kind, None)
        if former is None:
            return
        lasted_s = max(0, self._clock_ms() - former.since_ms) / 1000
        met = "once" if former.times == 1 else f"{former.times:,} times"
        if self._unlogged.pop(kind, None) is None:
            _log.warning("over after %.1f s, met %s: %s", lasted_s, met, former.message)
        with contextlib.suppress(OSError):
            telemetry.TROUBLES.labels(kind).set(0)
        self._write()

    def now(self) -> list[Trouble]:
        """What is wrong at this moment."""
        return list(self._now.values())

    def _write(self) -> OSError | None:
        if self._descriptor is None:
            return None
        text = msgspec.json.encode(list(self._now.values()))
        data = (b"%08x" % zlib.crc32(text) + text).ljust(_FILE_BYTES)
        try:
            if len(data) <= _FILE_BYTES:
                os.pwrite(self._descriptor, data, 0)
        except OSError as error:
            # Whoever refuses messages must not fail at saying so. A limit on the size of files is
            # one on calls, and leaves the room that was taken before to whoever maps it.
            if error.errno == errno.EFBIG:
                with mmap.mmap(self._descriptor, _FILE_BYTES) as room:
                    room[:] = data
            else:
                return error
        return None

    def refusal(self) -> str | None:
        """Why the disk does not even take this process's file again; None where it does.

        A disk that is full does, and one that fails or can only be read does not.
        """
        error = self._write()
        return None if error is None else error.strerror

    def close(self) -> None:
        """Take the file's descriptor back; idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _reserved(folder: Path, role: str) -> int | None:
    """A descriptor of this process's file, whose room is taken; None where there is none."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{role}-{os.getpid()}{_SUFFIX}"
        _inherit(folder, role, path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(descriptor, bytes(_FILE_BYTES), 0)
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
    except OSError as error:
        _log.warning("the troubles of this process are only logged: %s", error.strerror)
        return None
    return descriptor


def _inherit(folder: Path, role: str, path: Path) -> None:
    """Take over the file of a process that is dead: its room is there though the disk is full."""
    for former in folder.glob(f"{role}-*{_SUFFIX}"):
        if not _lives(former.stem.rpartition("-")[2]):
            # Another process of this role may be faster, and then the next one is looked at.
            with contextlib.suppress(FileNotFoundError):
                former.rename(path)
                return


def read_troubles(folder: Path) -> list[Trouble]:
    """The troubles of all processes that live, the longest first.

    Args:
        folder: the one that the processes' `Troubles` were given.
    """
    found = [
        trouble
        for path in sorted(folder.glob("*" + _SUFFIX))
        if _lives(path.stem.rpartition("-")[2])
        for trouble in _read(path)
    ]
    return sorted(found, key=lambda trouble: trouble.since_ms)


def _lives(pid: str) -> bool:
    return pid.isdecimal() and lives(int(pid))


def _read(path: Path) -> list[Trouble]:
    for _ in range(_READ_ATTEMPTS):  # it may be written at this moment
        try:
            data = read_small(path).rstrip()
            if not data.strip(b"\0"):
                return []
            if int(data[:8], 16) == zlib.crc32(data[8:]):
                return msgspec.json.decode(data[8:], type=list[Trouble])
        except (OSError, ValueError, msgspec.DecodeError):
            continue
    return []
