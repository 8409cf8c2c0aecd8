"""A run of keys, as those see it who look keys up in it: takes fingerprints, gives days."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from headcount.counting.keys import U8, U64, KeyBlock

__all__ = ["KeyRun"]


class KeyRun(Protocol):
    """Many keys of one period and family that stand still and are looked up in place."""

    @property
    def name(self) -> str:
        """By which its store knows it."""
        ...

    @property
    def keys(self) -> int:
        """How many there are."""
        ...

    @property
    def last_day(self) -> int:
        """The latest day of the month that any of them has; none is later."""
        ...

    @property
    def former(self) -> bool:
        """Whether it is better written anew, since a former version wrote it."""
        ...

    @property
    def filter_bytes(self) -> int:
        """Memory that its filter takes while it is held there, in bytes."""
        ...

    @property
    def held_bytes(self) -> int:
        """Memory that its filter takes now, in bytes."""
        ...

    @property
    def looks(self) -> int:
        """How many keys its filter could not rule out, so that they were looked for on disk."""
        ...

    def keys_before(self, day: int) -> int:
        """How many keys have a first day before a day of the month; 0 if that is not known."""
        ...

    def hold(self) -> None:
        """Keep its filter in memory from now on."""
        ...

    def release(self) -> None:
        """Read its filter from the disk from now on."""
        ...

    def blocks(self) -> Iterator[KeyBlock]:
        """Its keys, ascending over all blocks."""
        ...

    def days_of(self, fingerprints: U64) -> U8:
        """First days of message keys (ascending), `NEVER` where it does not hold them."""
        ...
