"""Writing down what was told where others write too: takes an act, does it until nobody is faster.

The catalog of a cluster is changed by comparison, so a change may meet another's. What was told and
could not be written down must not be told again for that alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from headcount.errors import CatalogOvertakenError

__all__ = ["written_down"]

R = TypeVar("R")

_TRIES = 10


def written_down(act: Callable[[], R]) -> R:
    """What an act gives that changes the catalog, of what stands there when nobody is faster.

    Raises:
        DataFolderError: the catalog takes no change now; CatalogOvertakenError: others change it
            all the time.
    """
    for _ in range(_TRIES - 1):
        try:
            return act()
        except CatalogOvertakenError:
            continue
    return act()
