"""The key that channels of alerts are sealed under: a single machine's, or one that all nodes open.

A single machine has it beside its hash key, in a file (`spool.key`). Nodes of a cluster have one
hash key in common, and no other secret: so their key stands in the catalog, sealed for each hash
key in use, and whoever reads the registry or a node's catalog alone opens no channel. While a hash
key is rotated it stands there for both.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from headcount.catalog import Catalog
from headcount.cluster.catalogs import membership_of
from headcount.datafolder import DataFolder, read_hash_keys
from headcount.errors import DataFolderError
from headcount.spool.spool_key import KEY_BYTES, load_spool_key, read_spool_key, spool_key_place

__all__ = ["channel_key", "give_channel_key"]

_NONCE_BYTES = 12
_SAID = b"the key of channels"


def channel_key(
    folder: DataFolder, hash_key: Path | None, catalog: Catalog, *, make: bool = False
) -> bytes:
    """The key that channels are sealed under.

    Args:
        folder: the data folder.
        hash_key: where the settings place the hash key.
        catalog: the folder's, open for changes.
        make: whether one is made where there is none.

    Raises:
        DataFolderError: there is none, or it cannot be opened here.
    """
    place = spool_key_place(folder, hash_key)
    if membership_of(folder) is None:
        return load_spool_key(place) if make else read_spool_key(place)
    keys = read_hash_keys(hash_key or folder.hash_key)
    held = catalog.channel_keys()
    if not held and make:
        fresh = secrets.token_bytes(KEY_BYTES)
        catalog.add_channel_keys({of: _sealed(key, fresh) for of, key in keys.items()}, first=True)
        held = catalog.channel_keys()  # another node may have been first
    opens = [of for of in keys if of in held]
    if not opens:
        raise _unopened(anything=bool(held))
    found = _opened(keys[opens[0]], held[opens[0]])
    lacking = [of for of in keys if of not in held]
    if lacking:
        more = {of: _sealed(keys[of], found) for of in lacking}
        catalog.add_channel_keys(more, first=False)
    return found


def give_channel_key(catalog: Catalog, key: bytes, hash_keys: dict[str, bytes]) -> None:
    """Keep a single machine's key in a catalog that is about to become a cluster's."""
    sealed = {of: _sealed(hash_key, key) for of, hash_key in hash_keys.items()}
    catalog.add_channel_keys(sealed, first=True)


def _sealed(hash_key: bytes, key: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(_of_catalog(hash_key)).encrypt(nonce, key, _SAID)


def _opened(hash_key: bytes, sealed: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(_of_catalog(hash_key)).decrypt(nonce, rest, _SAID)
    except (InvalidTag, ValueError) as error:
        raise _unopened(anything=True) from error


def _of_catalog(hash_key: bytes) -> bytes:
    return hashlib.blake2b(key=hash_key, digest_size=32, person=b"hc channels key").digest()


def _unopened(*, anything: bool) -> DataFolderError:
    if anything:
        return DataFolderError(
            "The key of alerts' channels was sealed under a hash key that this node does not have.",
            "Copy the cluster's hash key to this node from one that sends alerts.",
        )
    return DataFolderError(
        "The cluster has no key for channels of alerts, and what is sealed cannot be opened.",
        "Add the channels again: headcount channel add; remove those that are there.",
    )
