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
    """Put the one digit right that makes the key another one, if that is what is wrong with it."""
    try:
        with catalog_view(folder.catalog) as catalog:
            fingerprint = catalog.hash_key_fingerprint()
    except (OperatorError, apsw.Error):
        return
    if fingerprint is None:
        return
    try:
        text = read_small(place)
    except OSError:
        text = b""
    if _fits(text, fingerprint):
        return
    line = text.rstrip(b"\n")
    for at in range(len(line) if len(line) == 2 * HASH_KEY_BYTES else 0):
        for digit in _DIGITS:
            candidate = line[:at] + bytes([digit]) + line[at + 1 :]
            if _fits(candidate, fingerprint):
                side.keep(place)
                put_whole(place, candidate + b"\n")
                yield Act("A digit of the hash key was repaired, as its fingerprint proves.")
                return
    yield Act(
        f"{place} is missing or is not the key that ids were hashed under, and nothing else says"
        " what that was.",
        remedy="Put the key back from a backup, or name its place with --hash-key.",
    )


def _fits(text: bytes, fingerprint: str) -> bool:
    try:
        return IdHasher(bytes.fromhex(text.decode("ascii").strip())).fingerprint == fingerprint
    except ValueError:
        return False
