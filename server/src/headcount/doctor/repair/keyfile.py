"""Repairing the hash key: takes its file and the fingerprint in the catalog, which proves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw

from headcount.catalog.view import catalog_view
from headcount.counting.hashing import HASH_KEY_BYTES, IdHasher
from headcount.datafolder import DataFolder
from headcount.doctor.repair.side import Act, Side
from headcount.durable import put_whole, read_small
from headcount.errors import OperatorError

__all__ = ["repair_hash_key"]

_DIGITS = b"0123456789abcdef"


def repair_hash_key(folder: DataFolder, place: Path, side: Side) -> Iterator[Act]:
    """Put the one digit right that makes a key another one, if that is what is wrong with it."""
    try:
        with catalog_view(folder.catalog) as catalog:
            fingerprints = catalog.hash_keys().fingerprints
    except (OperatorError, apsw.Error):
        return
    try:
        lines = read_small(place).rstrip(b"\n").split(b"\n")
    except OSError:
        lines = []
    missing = [each for each in fingerprints if not any(_fits(line, each) for line in lines)]
    repaired = {}
    for fingerprint in missing:
        for at, line in enumerate(lines):
            if (digits := _repaired(line, fingerprint)) is not None:
                repaired[at] = digits
    if not missing:
        return
    if len(repaired) == len(missing):
        side.keep(place)
        whole = [repaired.get(at, line) for at, line in enumerate(lines)]
        put_whole(place, b"".join(line + b"\n" for line in whole))
        yield Act("A digit of the hash key was repaired, as its fingerprint proves.")
        return
    yield Act(
        f"{place} is missing or is not the key that ids were hashed under, and nothing else says"
        " what that was.",
        remedy="Put the key back from a backup, or name its place with --hash-key.",
    )


def _repaired(line: bytes, fingerprint: str) -> bytes | None:
    """A key with one digit changed, so that it has a fingerprint; None where no digit does."""
    for at in range(len(line) if len(line) == 2 * HASH_KEY_BYTES else 0):
        for digit in _DIGITS:
            candidate = line[:at] + bytes([digit]) + line[at + 1 :]
            if _fits(candidate, fingerprint):
                return candidate
    return None


def _fits(text: bytes, fingerprint: str) -> bool:
    try:
        return IdHasher(bytes.fromhex(text.decode("ascii").strip())).fingerprint == fingerprint
    except ValueError:
        return False
