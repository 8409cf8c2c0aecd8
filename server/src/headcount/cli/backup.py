"""`headcount backup` and `headcount restore`: a data folder's copy, and back."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headcount.cli.options import as_json_option, settings_options
from headcount.clock import now_ms
from headcount.terminal import moment_text, print_json, print_record, say

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress, TaskID

    from headcount.backup import Manifest
    from headcount.config import Settings

__all__ = ["backup", "restore"]


@click.command(
    epilog="""\b
Examples:
  headcount backup /mnt/backups/2026-11-23
  headcount backup /mnt/backups/2026-11-23 --data /var/lib/headcount --without-key --json"""
)
@click.argument("destination", metavar="DEST", type=click.Path(path_type=Path))
@click.option(
    "--without-key",
    is_flag=True,
    help="Leave the hash key out, and print its fingerprint; keep the key in another safe place,"
    " for nothing can be counted on without it.",
)
@settings_options("data", "hash_key")
@as_json_option
def backup(settings: Settings, destination: Path, without_key: bool, as_json: bool) -> None:
    """Copy the data folder to DEST, a new or empty folder, and verify the copy.

    Works while the server runs, and while it is stopped. What was acknowledged before the command
    began is in the backup. A backup that cannot be finished is removed.
    """
    from headcount.backup import back_up
    from headcount.datafolder import open_data_folder

    folder = open_data_folder(settings.data, create=False)
    taken_at = moment_text(now_ms()) or ""
    with _Bar() as bar:
        manifest = back_up(
            folder, settings.hash_key, destination, taken_at, bar, with_key=not without_key
        )
    key = manifest.hash_key
    if as_json:
        print_json({"backup": str(destination), **_summary(manifest)})
        return
    print_record(
        {
            "backup": str(destination),
            "of": manifest.taken_at,
            "files": f"{len(manifest.files):,}",
            "bytes": f"{manifest.total_bytes:,}",
            "hash key": "none yet"
            if key is None
            else f"{'included' if key.included else 'left out'}, fingerprint {key.fingerprint}",
        }
    )
    if key is not None and key.included:
        say("", "The backup holds the hash key: keep it as safe as the data folder.")
    say("", f"To restore it: headcount restore {shlex.quote(str(destination))} --data NEW_FOLDER")


@click.command(
    epilog="""\b
Examples:
  headcount restore /mnt/backups/2026-11-23 --data /var/lib/headcount
  headcount restore /mnt/backups/2026-11-23 --data new --hash-key /etc/headcount/hash.key"""
)
@click.argument("source", metavar="BACKUP", type=click.Path(path_type=Path))
@settings_options("data", "hash_key")
@as_json_option
def restore(settings: Settings, source: Path, as_json: bool) -> None:
    """Make the data folder out of BACKUP; it must be new or empty.

    Every file is checked against the backup's manifest. A server may then be started on the folder:
    it goes on counting where the backup was taken, and clients that send again what came later are
    counted once.
    """
    from headcount.backup import restore as run

    with _Bar() as bar:
        manifest = run(source, settings.data, settings.hash_key, bar)
    if as_json:
        print_json({"data": str(settings.data), **_summary(manifest)})
        return
    print_record(
        {
            "data": str(settings.data),
            "of": manifest.taken_at,
            "files": f"{len(manifest.files):,}",
            "bytes": f"{manifest.total_bytes:,}",
        }
    )
    place = (
        "" if settings.hash_key is None else f" --hash-key {shlex.quote(str(settings.hash_key))}"
    )
    data = shlex.quote(str(settings.data))
    say("", f"Next: headcount doctor --data {data}{place}")
    say(f"Then: headcount serve --data {data}{place}")


def _summary(manifest: Manifest) -> dict[str, object]:
    key = manifest.hash_key
    return {
        "takenAt": manifest.taken_at,
        "files": len(manifest.files),
        "bytes": manifest.total_bytes,
        "hashKey": None
        if key is None
        else {"fingerprint": key.fingerprint, "included": key.included},
    }


class _Bar:
    """A bar in a terminal, nothing elsewhere."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                DownloadColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True, emoji=False),
                transient=True,
            )

    def begins(self, what: str, total_bytes: int) -> None:
        """A stage begins."""
        if self._progress is not None:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(what, total=total_bytes)

    def advanced(self, done_bytes: int) -> None:
        """So many bytes more are done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, done_bytes)

    def __enter__(self) -> _Bar:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
