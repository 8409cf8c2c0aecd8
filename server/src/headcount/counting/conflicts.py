"""Conflicting duplicates: a known message id with another type or other tracked ids.

Takes the facts of batches and which of them are duplicates, says how many of these are not what
came first under their id. It knows recent messages only, in a table of one size in memory: a
message takes the place of whichever stood there, and nothing is counted by what is in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from headcount.counting.batch import Facts
from headcount.counting.calendar import MS_PER_DAY
from headcount.counting.facts import Rejection
from headcount.counting.keys import FINGERPRINT_BITS, U64, Slots, message_keys

__all__ = ["CONFLICTING", "RECENT_BITS", "RecentMessages"]

CONFLICTING = "conflicting_duplicate"
"""The outcome of such a delivery."""

RECENT_BITS = 18
"""For some 260,000 messages, in 2 MB."""

_DIGEST_BITS = 24
_DIGEST = np.uint64((1 << _DIGEST_BITS) - 1)
_TYPE = np.uint32(0xFF)
_SPREAD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))


class RecentMessages:
    """What recent messages were, 8 bytes each.

    Args:
        bits: of the places that there are for them; each bit more doubles them.
    """

    def __init__(self, bits: int = RECENT_BITS) -> None:
        self._shift = np.uint64(FINGERPRINT_BITS - bits)
        # Of each the high bits of its key, and what it is in the low ones.
        self._held: U64 = np.zeros(1 << bits, np.uint64)

    def remember(self, facts: Facts) -> None:
        """Keep what facts are whose message is not known here; of several the first."""
        keys, slots = self._places(facts)
        new = np.flatnonzero((self._held[slots] ^ keys) > _DIGEST)
        if len(new):
            # The last that is written to a slot stays there: go from the last fact to the first.
            backwards = new[::-1]
            self._held[slots[backwards]] = (keys | _digests(facts))[backwards]

    def conflicts(self, duplicates: Iterable[Facts]) -> list[Rejection]:
        """How many of some duplicates differ from what is known of their message.

        Args:
            duplicates: facts that are not counted, since their message is.
        """
        found: Counter[tuple[int, int, int]] = Counter()
        for facts in duplicates:
            keys, slots = self._places(facts)
            differs = self._held[slots] ^ (keys | _digests(facts))
            other = facts[(differs <= _DIGEST) & (differs != 0)]
            days = other["received_at_ms"] // MS_PER_DAY
            found.update(
                zip(
                    other["workspace"].tolist(),
                    other["source"].tolist(),
                    days.tolist(),
                    strict=True,
                )
            )
        return [Rejection(*place, CONFLICTING, count) for place, count in found.items()]

    def _places(self, facts: Facts) -> tuple[U64, Slots]:
        """The high bits of the messages' keys, and where each would stand."""
        fingerprints = message_keys(facts["source"], facts["message"])
        slots = (fingerprints >> self._shift).astype(np.int64)
        fingerprints &= ~_DIGEST
        return fingerprints, slots


def _digests(facts: Facts) -> U64:
    """What a message is: its type and tracked ids, as a few bits."""
    mixed: U64 = facts["user"] * _SPREAD[0]
    mixed += facts["anonymous"] * _SPREAD[1]
    mixed += facts["previous"] ^ (facts["previous"] >> np.uint64(7))
    mixed += facts["tags"] & _TYPE
    mixed *= _SPREAD[0]
    mixed >>= np.uint64(64 - _DIGEST_BITS)
    return mixed
