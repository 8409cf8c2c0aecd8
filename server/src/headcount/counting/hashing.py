"""Keyed hashes of ids: the only form in which an id leaves the intake.

Takes texts, gives 8 bytes: BLAKE2b under the installation's secret key, so that ids cannot be
read back, and crafted ids can neither collide nor cluster. Message ids and tracked ids are hashed
in separate domains.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

__all__ = ["HASH_KEY_BYTES", "IdHasher"]

HASH_KEY_BYTES = 32
_ZERO = bytes(8)
_ZERO_STAND_IN = b"\x01" + bytes(7)


class IdHasher:
    """Hashes ids under one secret key.

    Args:
        key: the installation's secret, 32 bytes.

    Attributes:
        tracked: the 8-byte hash of a userId or anonymousId; never all zero, which means absent.
        message: the 8-byte hash of a messageId; never all zero.
        fingerprint: tells this key from others, and gives nothing of it away.

    Raises:
        ValueError: the key has another length.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != HASH_KEY_BYTES:
            raise ValueError(f"a hash key has {HASH_KEY_BYTES} bytes, this one {len(key)}")
        self.tracked = _hashing(hashlib.blake2b(key=key, digest_size=8, person=b"tracked"))
        self.message = _hashing(hashlib.blake2b(key=key, digest_size=8, person=b"message"))
        self.fingerprint = hashlib.blake2b(
            key=key, digest_size=16, person=b"fingerprint"
        ).hexdigest()

    @staticmethod
    def fresh_message() -> bytes:
        """A random stand-in for the hash of a message that came without a messageId."""
        return secrets.token_bytes(8)


def _hashing(prepared: hashlib.blake2b) -> Callable[[str], bytes]:
    """Hashes texts from a prepared state, which is copied for each: setting it up costs more."""
    copy = prepared.copy

    def hashed(text: str) -> bytes:
        state = copy()
        try:
            state.update(text.encode())
        except UnicodeEncodeError:
            # Ids with lone surrogates are ids like any other: their code points are encoded as is.
            state.update(text.encode("utf-8", "surrogatepass"))
        digest = state.digest()
        return digest if digest != _ZERO else _ZERO_STAND_IN

    return hashed
