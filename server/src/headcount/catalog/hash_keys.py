"""The hash keys in the catalog: takes fingerprints and months, never a key, gives `HashKeys`.

Whoever has never rotated a key has the fingerprint alone, as it has always been.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from headcount.catalog.base import CatalogFile
from headcount.catalog.entities import HashKeys
from headcount.catalog.schema import META
from headcount.counting.calendar import Period
from headcount.counting.hashing import KeyPlan
from headcount.errors import UsageError

__all__ = ["HASH_KEY_FINGERPRINT", "KeyedCatalog", "hash_keys_of"]

HASH_KEY_FINGERPRINT = "hash_key_fingerprint"
_NUMBER = "hash_key_number"
_NEXT = "next_hash_key"
"""Number of the first month that the next key serves, and its fingerprint."""


def hash_keys_of(meta: Mapping[str, str]) -> HashKeys:
    """The keys in use, by the rows of the catalog's table of itself."""
    number, _, fingerprint = meta.get(_NEXT, "").partition(" ")
    next_from = Period(int(number)) if number else None
    plan = KeyPlan(int(meta.get(_NUMBER, "0")), next_from)
    return HashKeys(plan, meta.get(HASH_KEY_FINGERPRINT), fingerprint or None)


class KeyedCatalog(CatalogFile):
    """What the catalog knows of the keys under which ids are hashed."""

    def hash_key_fingerprint(self) -> str | None:
        """The fingerprint of the key under which this installation hashes ids; None at first."""
        rows = self._read(META, "WHERE name = ?", HASH_KEY_FINGERPRINT)
        return rows[0][1] if rows else None

    def hash_keys(self) -> HashKeys:
        """The keys under which this installation hashes ids, and which serves which month."""
        return hash_keys_of(dict(self._read(META, "")))

    def begin_hash_key(
        self, fingerprint: str, next_from: Period, keep: Callable[[], None]
    ) -> HashKeys:
        """Let a next key serve from a month on.

        Args:
            fingerprint: of the key.
            next_from: the first month that it serves; nothing may have been counted from it on.
            keep: makes the key durable, before anything names it.

        Raises:
            UsageError: one is planned, or the former one is still needed.
        """
        with self._transaction():
            held = hash_keys_of(dict(self._ledger.read(META, "")))
            if held.plan.next_from is not None:
                raise UsageError(
                    f"From {held.plan.next_from} on another hash key serves already.",
                    "See `headcount doctor`, which says until when the former one is needed.",
                )
            keep()
            self._ledger.add(META, _NEXT, f"{next_from.number} {fingerprint}")
        return self.hash_keys()

    def retire_hash_key(self) -> HashKeys:
        """Let the next key serve all months, since nothing is left of the former one."""
        with self._transaction():
            held = hash_keys_of(dict(self._ledger.read(META, "")))
            if held.next_fingerprint is not None:
                self._ledger.put(META, HASH_KEY_FINGERPRINT, held.next_fingerprint)
                self._ledger.put(META, _NUMBER, str(held.plan.first + 1))
                self._ledger.drop(META, "WHERE name = ?1", (_NEXT,))
        return self.hash_keys()

    def while_unchanged(self, act: Callable[[HashKeys], None]) -> None:
        """Do something with the file of the keys while nobody else begins or retires one."""
        with self._transaction():
            act(hash_keys_of(dict(self._ledger.read(META, ""))))

    def set_hash_key_fingerprint(self, fingerprint: str) -> str:
        """Remember the fingerprint, unless there is one already.

        Returns:
            The one that is remembered, whoever was first.
        """
        # Asked at each start, and by readers of a full disk: what is there is not written again.
        if (kept := self.hash_key_fingerprint()) is not None:
            return kept
        with self._transaction():
            row = self._ledger.get(META, HASH_KEY_FINGERPRINT)
            if row is None:
                row = (HASH_KEY_FINGERPRINT, fingerprint)
                self._ledger.add(META, *row)
        return str(row[1])
