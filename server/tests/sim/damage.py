"""Damage at rest: what may become of files while nobody looks after them.

Takes the files of a stopped folder, and older states of it; gives them changed, with a sentence.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sim.disk import content_of
from sim.faults import Fault

__all__ = ["Files", "damaged", "put_back", "taken"]

Files = dict[str, bytes]
"""Path in the folder to what the file holds."""


def taken(folder: Path) -> Files:
    """All files of a folder but locks and what processes tell one another."""
    found: Files = {}
    for name, path in sorted(_walked(folder)):
        if not name.endswith((".lock", "-shm")) and not name.startswith("run/"):
            found[name] = content_of(path)
    return found


def _walked(folder: Path) -> Iterator[tuple[str, str]]:
    """Each file: its name in the folder, and its path. By texts: this is done many times."""
    whole = f"{folder}/"
    for place, _, names in os.walk(folder):
        for name in names:
            path = f"{place}/{name}"
            yield path.removeprefix(whole), path


def put_back(folder: Path, files: Files) -> None:
    """Make a folder hold these files and no others; every one of them is closed."""
    there = dict(_walked(folder))
    for name, path in there.items():
        if name not in files and not name.endswith(".lock"):
            Path(path).unlink()
    for name, content in files.items():
        if name in there:
            if content_of(there[name]) == content:
                continue
        else:
            (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def damaged(
    rng: random.Random, kind: Fault, files: Files, older: Sequence[Files]
) -> tuple[Files, str] | None:
    """The files with one kind of damage, and what it is; None where there is nothing to damage.

    Args:
        rng: the seed's dice.
        kind: which kind.
        files: the files as they are.
        older: what the folder held at earlier moments.
    """
    return _KINDS[kind](rng, dict(files), older)


def _flip(rng: random.Random, files: Files, _: Sequence[Files]) -> tuple[Files, str] | None:
    # Journals, runs of keys, the store and all else each have their turn, however large they are.
    groups: dict[str, list[str]] = {}
    for name, data in sorted(files.items()):
        if data:
            groups.setdefault(name.partition("/" if "/" in name else ".")[0], []).append(name)
    name = rng.choice(groups[rng.choice(sorted(groups))])
    content = bytearray(files[name])
    places = []
    # Much of a database is empty; most bits are to flip where something is.
    somewhere: Sequence[int] = range(len(content))
    if rng.random() < 0.7:
        somewhere = [at for at, byte in enumerate(content) if byte] or somewhere
    for _number in range(rng.choice([1, 1, 2, 40])):
        at, bit = rng.choice(somewhere), rng.randrange(8)
        content[at] ^= 1 << bit
        places.append(f"{at}.{bit}")
    files[name] = bytes(content)
    return files, f"bits flip in {name}: {', '.join(places[:3])}"


def _cut(rng: random.Random, files: Files, _: Sequence[Files]) -> tuple[Files, str] | None:
    logs = [name for name in sorted(files) if name.endswith("-wal") and files[name]]
    name = rng.choice(logs if logs and rng.random() < 0.6 else sorted(files))
    how = rng.choice(["gone", "empty", "short", "zeroes"])
    content = files[name]
    if how == "gone":
        del files[name]
    elif how == "empty":
        files[name] = b""
    else:
        kept = rng.randrange(len(content) + 1)
        end = b"" if how == "short" else bytes(len(content) - kept)
        files[name] = content[:kept] + end
    return files, f"{name} ({len(content)} bytes) is {how}"


def _older(rng: random.Random, files: Files, older: Sequence[Files]) -> tuple[Files, str] | None:
    if not older:
        return None
    former = rng.choice(older)
    databases = [name for name in sorted(former) if name.endswith(".sqlite")]
    name = rng.choice(databases)
    stem = name.removesuffix("sqlite")
    # A database is copied with its log, and by some with whatever has its name.
    endings: tuple[str, ...] = ("sqlite", "sqlite-wal")
    if rng.random() < 0.5:
        endings += ("confirmed",)
    for ending in endings:
        part = stem + ending
        files.pop(part, None)
        if part in former:
            files[part] = former[part]
    return files, f"an older copy of {name} is put in its place, with {', '.join(endings[1:])}"


_KINDS: dict[Fault, Callable[..., tuple[Files, str] | None]] = {
    Fault.FLIP: _flip,
    Fault.CUT: _cut,
    Fault.OLDER: _older,
}
