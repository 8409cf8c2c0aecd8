"""What a store answers when somebody asks why a count moved: to which messages it is attributed.

Of many sources that is much at once, so it is read source by source, and yet from one moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from headcount.counting.calendar import Period
from headcount.counting.contributions import Contributions
from headcount.counting.usage import UsageReading

__all__ = ["AttributedUsage", "Attribution"]


class AttributedUsage(Protocol):
    """To which messages the usage of a workspace is attributed.

    Attributes:
        readings: the usage in each of the months that were asked for.
    """

    readings: Sequence[UsageReading]

    def of_source(self, source: int) -> Sequence[Contributions]:
        """The contributions of the messages of one source, by its number, in each of the months."""
        ...


class Attribution(Protocol):
    """What of a store tells to which messages usage is attributed."""

    def attributed(
        self, workspace: int, periods: Sequence[Period]
    ) -> AbstractContextManager[AttributedUsage]:
        """The usage of a workspace (by number) in some periods, and to which messages it is
        attributed: all from one moment, and usable as long as the context is open.

        Args:
            workspace: which.
            periods: the months.
        """
        ...
