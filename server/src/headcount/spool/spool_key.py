"""The secret key under which the spool is sealed: takes its place, gives it, makes it once.

It lies beside the hash key, wherever that is, and like it is known to whoever runs the server
alone. A folder that is stolen without it reveals no message.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from headcount.durable import put_new, read_small
from headcount.errors import DataFolderError
from headcount.folderlock import errors_named
from headcount.layout import DataFolder

__all__ = ["KEY_BYTES", "fingerprint_of", "load_spool_key", "read_spool_key", "spool_key_place"]

KEY_BYTES = 32


def spool_key_place(folder: DataFolder, hash_key: Path | None) -> Path:
    """Where the key lies: `spool.key`, in the folder of the hash key.

    Args:
        folder: the data folder.
        hash_key: where the settings place the hash key; None for the data folder itself.
    """
    return (hash_key or folder.hash_key).with_name("spool.key")


def load_spool_key(place: Path) -> bytes:
    """The key, which is made where there is none.

    Raises:
        DataFolderError: it cannot be made or read, or is none.
    """
    with errors_named(place):
        if not place.exists():
            put_new(place, secrets.token_hex(KEY_BYTES).encode() + b"\n")
    return read_spool_key(place)


def read_spool_key(place: Path) -> bytes:
    """The key in a file.

    Raises:
        DataFolderError: the file is missing or unreadable, or holds no key.
    """
    with errors_named(place):
        try:
            text = read_small(place)
        except FileNotFoundError:
            raise DataFolderError(
                f"The spool's key {place} is missing, and what waits to be forwarded cannot be read"
                " without it.",
                "Put it back; else what waits is dropped when its days are over, and what comes is"
                " forwarded under a new key.",
            ) from None
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise DataFolderError(
            f"{place} does not hold a key of the spool ({2 * KEY_BYTES} hexadecimal digits).",
            "Put the one back that was there.",
        )
    return key


def fingerprint_of(key: bytes) -> bytes:
    """Eight bytes by which a key is known, and from which it cannot be told."""
    return hashlib.blake2b(key=key, digest_size=8, person=b"hc spool key id").digest()
