"""The data folder itself: who may read it, whether a server runs, what lies in the trash, and for
how long the disk will do. Takes paths and file attributes, reads no content."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from headcount.counting.calendar import day_of_ms, day_text
from headcount.datafolder import FORMAT_VERSION, DataFolder, FolderLock
from headcount.doctor.findings import Finding, ok, problem, warning
from headcount.layout import TRASH_KEPT_DAYS
from headcount.wording import number_of

__all__ = ["check_disk", "check_permissions", "check_server", "check_trash"]

_GROWTH_OVER_DAYS = 7
# What the logs of the databases may grow by before anything is given back.
_LEAST_FREE_BYTES = 64_000_000
_LOOK_AHEAD_DAYS = 3_650
_FULL_SOON_DAYS = 30
_FULL_AT_ONCE_DAYS = 3
_NAMES_MAX = 3


def check_server(folder: DataFolder) -> Finding:
    """Whether a server runs on the folder, and meters."""
    serving, metering = FolderLock.held(folder.serve_lock), FolderLock.held(folder.meter_lock)
    details = {"serving": serving, "metering": metering, "dataFormat": FORMAT_VERSION}
    if serving and not metering:
        return warning(
            "server",
            "A server runs, but it does not meter at this moment.",
            "If this stays, see why in the server's log; what is acknowledged is safe meanwhile.",
            **details,
        )
    state = "A server runs" if serving else "No server runs"
    return ok("server", f"{state}; the data folder has format {FORMAT_VERSION}.", **details)


def check_permissions(folder: DataFolder, hash_key: Path) -> Iterator[Finding]:
    """Whether others can read what is secret, and whether all files have one owner."""
    top = folder.path.stat()
    files = {path: found for path, found in _files(folder.path) if path != hash_key}
    open_bits = stat.S_IMODE(top.st_mode) & 0o077
    # A key that is missing is for another check to say.
    exposed = [hash_key] if hash_key.exists() and hash_key.stat().st_mode & 0o077 else []
    if open_bits:
        exposed += [path for path, found in files.items() if found.st_mode & 0o044]
    foreign = [path for path, found in files.items() if found.st_uid != top.st_uid]
    unreadable = list(_unreadable(folder.path))
    if unreadable:
        yield problem(
            "permissions",
            f"{_some(unreadable)} cannot be read by this user: nobody knows what they hold.",
            "Run this as the server's user; if that may not read them either, let it.",
            unreadable=[str(path) for path in unreadable],
        )
    if exposed:
        yield problem(
            "permissions",
            f"Other users may read {_some(exposed)}, which hold secrets or who was seen.",
            f"chmod 700 {folder.path} && chmod 600 {hash_key}",
            exposed=[str(path) for path in exposed],
        )
    elif open_bits:
        yield warning(
            "permissions",
            f"Other users may enter {folder.path}.",
            f"chmod 700 {folder.path}",
        )
    if foreign:
        yield warning(
            "permissions",
            f"{_some(foreign)} belong to another user than the folder, and the server may not be"
            " able to write there.",
            f"chown --recursive --reference={folder.path} {folder.path}",
            foreign=[str(path) for path in foreign],
        )
    if not (exposed or open_bits or foreign or unreadable):
        yield ok("permissions", "Only the owner can read the data folder and the hash key.")


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            # Files come and go while a server runs.
            with contextlib.suppress(FileNotFoundError):
                yield path, path.lstat()


def _unreadable(folder: Path) -> Iterator[Path]:
    """Folders that cannot be entered, and files and links behind which nothing can be read."""
    closed: list[Path] = []
    for parent, _, names in os.walk(folder, onerror=lambda e: closed.append(Path(e.filename))):
        for path in (Path(parent, name) for name in names):
            # Files come and go while a server runs.
            if not os.access(path, os.R_OK) and os.path.lexists(path):
                yield path
    yield from closed


def _some(paths: list[Path]) -> str:
    names = [str(path) for path in paths[:_NAMES_MAX]]
    rest = len(paths) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")


def check_trash(folder: DataFolder) -> Finding:
    """What waits to be deleted for good."""
    sizes = [found.st_size for _, found in _files(folder.trash)]
    if not sizes:
        return ok("trash", "The trash is empty.", files=0, bytes=0)
    return ok(
        "trash",
        f"The trash holds {number_of(len(sizes), 'file')}, {size_text(sum(sizes))}; each is"
        f" deleted {TRASH_KEPT_DAYS} days after it went there.",
        files=len(sizes),
        bytes=sum(sizes),
    )


def check_disk(
    folder: DataFolder, new_bytes: Mapping[int, float], rewriting_bytes: int, now_ms: int
) -> Finding:
    """How much disk is left, and when it will be full if keys go on coming as they do.

    Args:
        folder: the data folder.
        new_bytes: day (since 1970) to the bytes of the keys that were new on it.
        rewriting_bytes: room that writing runs anew takes.
        now_ms: the moment.
    """
    free = shutil.disk_usage(folder.path).free
    used = sum(found.st_size for _, found in _files(folder.path))
    today = day_of_ms(now_ms)
    days = range(max(min(new_bytes, default=today), today - _GROWTH_OVER_DAYS), today)
    a_day = sum(new_bytes.get(day, 0.0) for day in days) / len(days) if len(days) else 0.0
    left_days = int(free / a_day) if free < a_day * _LOOK_AHEAD_DAYS else None
    details = {
        "freeBytes": free,
        "usedBytes": used,
        "bytesADay": round(a_day),
        "fullOn": None if left_days is None else day_text(today + left_days),
    }
    message = f"{size_text(free)} are free, {size_text(used)} used."
    if left_days is not None:
        message += (
            f" Estimate: at {size_text(round(a_day))} a day, as in the last"
            f" {number_of(len(days), 'day')}, the disk is full on {details['fullOn']}."
        )
    remedy = "Free some disk space, or move the data folder to a larger disk."
    too_little = free < max(rewriting_bytes, _LEAST_FREE_BYTES)
    if too_little or (left_days is not None and left_days <= _FULL_AT_ONCE_DAYS):
        return problem("disk", message, remedy, **details)
    if left_days is not None and left_days <= _FULL_SOON_DAYS:
        return warning("disk", message, remedy, **details)
    return ok("disk", message, **details)


def size_text(size_bytes: int) -> str:
    """A number of bytes for people."""
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
