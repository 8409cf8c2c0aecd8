"""What forgetting a person needs of a store: to find what is kept aside, and to replace keys.

Takes months and keys, gives facts; the third of the protocols that `protocol` names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from headcount.counting.aside import ConfirmedAside
from headcount.counting.calendar import Period
from headcount.counting.keys import U64

__all__ = ["KeyErasure", "KeyReplacement"]


class KeyReplacement(NamedTuple):
    """Tracked ids of one month that other keys take the place of, on the same days.

    Attributes:
        period: the month.
        former: which keys, ascending, each once.
        new: what stands in the place of each; none of them is a key of the month.
    """

    period: Period
    former: U64
    new: U64


class KeyErasure(Protocol):
    """What forgetting a person needs of a store: to find what is kept aside, and replace keys."""

    def aside_facts(self) -> Iterator[ConfirmedAside]:
        """All facts that are kept and not counted, row by row.

        Nothing may be committed before it has ended.
        """
        ...

    def replace_keys(self, replaced: Sequence[KeyReplacement], aside: Mapping[int, bytes]) -> None:
        """Put other keys in the place of some, wherever these stand; no count changes.

        Whole or not at all, over all months. What was replaced is overwritten, as far as this store
        can do that.

        Args:
            replaced: which keys of which months.
            aside: rows of facts that are kept and not counted, and what they hold from now on, of
                the same size.

        Raises:
            StorageUnavailableError: the disk refused, and nothing is changed.
            DataFolderError: keys are damaged, and nothing is changed.
        """
        ...

    def forget_replaced(self, periods: Iterable[Period]) -> None:
        """Delete what is left of tracked ids of some open months after others took their place.

        `replace_keys` does that itself, unless it is interrupted.

        Raises:
            StorageUnavailableError: the disk refused.
        """
        ...
