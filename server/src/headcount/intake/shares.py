"""Sharing a bound between sources: who may take how much of something, and who is refused.

A source may have as much as is left free by all. So one that floods has at most half, two have two
thirds between them, and there is always some left for those that come now and then. Nobody is
refused while another who has as much, or more, is let in.
"""

from __future__ import annotations

__all__ = ["Shares"]


class Shares:
    """What sources have of something.

    Args:
        most: how much of it there is.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._held: dict[int, int] = {}

    def of(self, owner: int) -> int:
        """How much a source has."""
        return self._held.get(owner, 0)

    def has_room(self, owner: int, amount: int) -> bool:
        """Whether a source may have so much more."""
        return self._held.get(owner, 0) + amount <= self._free

    def take(self, owner: int, amount: int) -> None:
        """Give a source more, for which there must be room."""
        self._held[owner] = self._held.get(owner, 0) + amount
        self._free -= amount

    def give_back(self, owner: int, amount: int) -> None:
        """Take back what a source was given."""
        left = self._held[owner] - amount
        if left:
            self._held[owner] = left
        else:
            del self._held[owner]
        self._free += amount
