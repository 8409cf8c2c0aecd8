"""`headcount backup` and `headcount restore`: a data folder's copy, and back."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headcount.cli.options import as_json_option, settings_options
from headcount.clock import now_ms
from headcount.terminal import moment_text, print_json, print_record, progress_bar, say

if TYPE_CHECKING:
    from rich.progress import Progress

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
    with _bar() as bar:
        manifest = back_up(
            folder, settings.hash_key, destination, taken_at, _Stages(bar), with_key=not without_key
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

    with _bar() as bar:
        manifest = run(source, settings.data, settings.hash_key, _Stages(bar))
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


class _Stages:
    """The stages of a copy, on a bar."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None)

    def begins(self, what: str, total_bytes: int) -> None:
        """A stage begins."""
        self._bar.reset(self._task, total=total_bytes, description=what)

    def advanced(self, done_bytes: int) -> None:
        """So many bytes more are done."""
        self._bar.advance(self._task, done_bytes)


def _bar() -> Progress:
    from rich.progress import DownloadColumn

    return progress_bar(DownloadColumn())
