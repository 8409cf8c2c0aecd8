"""Keyed hashes of ids: the only form in which an id leaves the intake.

Takes texts, gives 8 bytes: BLAKE2b under the installation's secret key, so that ids cannot be
read back, and crafted ids can neither collide nor cluster. Message ids and tracked ids are hashed
in separate domains.

The key may be rotated: the next one serves from the beginning of a month on, and which key an id is
hashed under follows from the month of its message and from nothing else. Within a month all hashes
are of one key, so its sets are counted as ever. Message ids are compared across the turn of a month
as well, so as long as both keys are in use each is hashed under both.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import NamedTuple, Protocol

from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.facts import KEY_SHIFT, WIDE

__all__ = ["HASH_KEY_BYTES", "IdHasher", "KeyPlan", "KeyRing", "Keys"]

HASH_KEY_BYTES = 32
_ZERO = bytes(8)
_ZERO_STAND_IN = b"\x01" + bytes(7)


class KeyPlan(NamedTuple):
    """Which hash key serves which month.

    Attributes:
        first: number of the key that serves all months up to `next_from`; the very first is 0.
        next_from: the month from which on the key after it serves; None where that is not planned.
    """

    first: int = 0
    next_from: Period | None = None

    def key_of(self, period: Period) -> int:
        """Number of the key that serves a month."""
        return self.first + (self.next_from is not None and period >= self.next_from)


class Keys(Protocol):
    """Gives the keys that are in use; an `IdHasher` is one that never changes."""

    def ring(self) -> KeyRing | IdHasher:
        """The keys as they are now.

        Raises:
            StorageUnavailableError: nobody can say.
        """
        ...


class IdHasher:
    """Hashes ids under one secret key.

    Args:
        key: the installation's secret, 32 bytes.
        number: which of the installation's keys it is, from 0.
        other: while two keys are in use, the hasher of the other one.

    Attributes:
        key: as given; for a process that hashes on behalf of this one.
        number: which of the installation's keys it is.
        flags: of the facts that are made with it.
        also: the 8-byte hash of a messageId under the other key; None where there is none.
        tracked: the 8-byte hash of a userId or anonymousId; never all zero, which means absent.
        message: the 8-byte hash of a messageId; never all zero.
        fingerprint: tells this key from others, and gives nothing of it away.

    Raises:
        ValueError: the key has another length.
    """

    def __init__(self, key: bytes, number: int = 0, other: IdHasher | None = None) -> None:
        if len(key) != HASH_KEY_BYTES:
            raise ValueError(f"a hash key has {HASH_KEY_BYTES} bytes, this one {len(key)}")
        self.tracked = _hashing(hashlib.blake2b(key=key, digest_size=8, person=b"tracked"))
        self.message = _hashing(hashlib.blake2b(key=key, digest_size=8, person=b"message"))
        self.fingerprint = hashlib.blake2b(
            key=key, digest_size=16, person=b"fingerprint"
        ).hexdigest()
        self.key = key
        self.number = number
        self.flags = number << KEY_SHIFT | (WIDE if other is not None else 0)
        self.also: Callable[[str], bytes] | None = None if other is None else other.message

    def ring(self) -> IdHasher:
        """Itself, which serves every month."""
        return self

    def at(self, _received_at_ms: int) -> IdHasher:
        """Itself."""
        return self

    @staticmethod
    def fresh_message() -> bytes:
        """A random stand-in for the hash of a message that came without a messageId."""
        return secrets.token_bytes(8)


class KeyRing:
    """The keys that are in use, one or two.

    Args:
        plan: which of them serves which month.
        keys: the secrets, in the order of the months that they serve.

    Attributes:
        plan: as given.
        flags: of all facts that are made with it, as far as their size goes.
        hashers: one for each key.
        fingerprint: tells these keys from others.
    """

    def __init__(self, plan: KeyPlan, keys: list[bytes]) -> None:
        self.plan = plan
        first, *rest = (IdHasher(key, plan.first + place) for place, key in enumerate(keys))
        self.fingerprint = (rest or [first])[-1].fingerprint
        self.hashers = [first, *rest]
        self._first = self._next = first
        self._next_from_ms = 0
        if rest:
            assert plan.next_from is not None
            self._first = IdHasher(keys[0], plan.first, rest[0])
            self._next = IdHasher(keys[1], plan.first + 1, first)
            self._next_from_ms = plan.next_from.first_day * MS_PER_DAY
        self.flags = self._first.flags

    def ring(self) -> KeyRing:
        """Itself."""
        return self

    def at(self, received_at_ms: int) -> IdHasher:
        """What hashes the ids of a message, by its time of receipt (milliseconds since 1970)."""
        return self._next if received_at_ms >= self._next_from_ms else self._first


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
