"""The folder beside a data folder for what a repair takes out of it, and what the repair did."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from headcount.confirmed import confirmed_anew, witness_of
from headcount.durable import sync
from headcount.errors import DataFolderError
from headcount.layout import DataFolder
from headcount.remedies import remedy_for

__all__ = ["Act", "Side", "put_in_place"]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a repair did, or could not do.

    Attributes:
        what: what was done, or why it was not, as a sentence.
        lost: what is gone for good, as a sentence; empty where nothing is.
        remedy: what to do instead; empty where it was done.
    """

    what: str
    lost: str = ""
    remedy: str = ""


class Side:
    """What one repair keeps: the damaged files as they were, and a report.

    Args:
        folder: the data folder.
        moment: names the repair, such as `2026-11-25T210000Z`.
    """

    def __init__(self, folder: Path, moment: str) -> None:
        self.path = DataFolder(folder).repaired / moment
        self._dropped: list[dict[str, Any]] = []

    def keep(self, path: Path) -> None:
        """Copy a file, and what SQLite has beside it, as they are.

        Raises:
            DataFolderError: the disk has no room for that, and nothing was changed.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for each in _with_log(path):
                shutil.copy2(each, self.path / each.name)
        except OSError as error:
            raise DataFolderError(
                f"{path.name} could not be copied before its repair: {error.strerror or error}.",
                f"Nothing of it was changed. {remedy_for(error)}",
            ) from error

    @contextmanager
    def scratch(self, path: Path) -> Iterator[tuple[Path, Path]]:
        """A copy of a kept database that may be changed, and the place for a new one."""
        place = self.path / "scratch"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        try:
            for each in _with_log(self.path / path.name):
                if not each.name.endswith("-shm"):
                    shutil.copy2(each, place / each.name)
            (place / "new").mkdir(mode=0o700)
            yield place / path.name, place / "new" / path.name
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def drop(self, what: str, row: Any) -> None:
        """Keep in the report what is taken out of a database."""
        self._dropped.append({"what": what, "row": _plain(row)})

    def report(self, acts: list[Act]) -> None:
        """Write what was done; there is nothing to write where nothing was kept."""
        if not self.path.is_dir():
            return
        said = [{"what": a.what, "lost": a.lost, "remedy": a.remedy} for a in acts]
        data = msgspec.json.format(msgspec.json.encode({"acts": said, "dropped": self._dropped}))
        (self.path / "report.json").write_bytes(data)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


def _with_log(path: Path) -> Iterator[Path]:
    for end in ("", "-wal", "-shm"):
        each = path.with_name(path.name + end)
        if each.exists():
            yield each
    confirmed = witness_of(path)
    if path.suffix == ".sqlite" and confirmed.exists():
        yield confirmed


def put_in_place(new: Path, target: Path) -> None:
    """Let a new database take the place of a damaged one, durably.

    Raises:
        OSError: the disk refused.
    """
    for end in ("-wal", "-shm"):
        # A log of the former one would be believed by the new one.
        target.with_name(target.name + end).unlink(missing_ok=True)
    sync(target.parent)
    sync(new)
    new.replace(target)
    witness_of(new).replace(witness_of(target))
    confirmed_anew(target)
    sync(target.parent)
