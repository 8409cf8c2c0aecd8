"""Keyed hashes of ids: the only form in which an id leaves the intake.

Takes texts, gives 8 bytes: BLAKE2b under the installation's secret key, so that ids cannot be
read back, and crafted ids can neither collide nor cluster. Message ids and tracked ids are hashed
in separate domains.
"""

from __future__ import annotations

import hashlib
import secrets

__all__ = ["HASH_KEY_BYTES", "IdHasher"]

HASH_KEY_BYTES = 32
_ZERO = bytes(8)
_ZERO_STAND_IN = b"\x01" + bytes(7)


class IdHasher:
    """Hashes ids under one secret key.

    Args:
        key: the installation's secret, 32 bytes.

    Raises:
        ValueError: the key has another length.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != HASH_KEY_BYTES:
            raise ValueError(f"a hash key has {HASH_KEY_BYTES} bytes, this one {len(key)}")
        # A prepared state is copied for each id, which spares setting it up anew.
        self._tracked = hashlib.blake2b(key=key, digest_size=8, person=b"tracked")
        self._message = hashlib.blake2b(key=key, digest_size=8, person=b"message")
        self.fingerprint = hashlib.blake2b(
            key=key, digest_size=16, person=b"fingerprint"
        ).hexdigest()

    def tracked(self, text: str) -> bytes:
        """The 8-byte hash of a userId or anonymousId; never all zero, which means absent."""
        state = self._tracked.copy()
        state.update(_encoded(text))
        digest = state.digest()
        return digest if digest != _ZERO else _ZERO_STAND_IN

    def message(self, text: str) -> bytes:
        """The 8-byte hash of a messageId; never all zero."""
        state = self._message.copy()
        state.update(_encoded(text))
        digest = state.digest()
        return digest if digest != _ZERO else _ZERO_STAND_IN

    @staticmethod
    def fresh_message() -> bytes:
        """A random stand-in for the hash of a message that came without a messageId."""
        return secrets.token_bytes(8)


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Ids with lone surrogates are ids like any other, so their code points are encoded as is.
        return text.encode("utf-8", "surrogatepass")
