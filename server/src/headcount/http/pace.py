"""How soon those are answered who bring nothing: at once, unless the event loop falls behind.

A client that asks again as soon as it is answered takes all the time that there is, and a thousand
of them let everybody else wait for all of them in each round of the loop. Their answers, which cost
nothing to keep, are therefore put off as long as rounds take long: twice as long with each tick of
the loop that comes late, and a fifth less with each that comes in time. A fixed delay would be too
long for a slow machine's strangers, or too short; and no client that is the only one to ask is
ever put off.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from headcount import telemetry

__all__ = ["HEADER_BYTES", "LARGE_BYTES", "NO_SCOPE", "ProcessPace", "is_large"]

_LATE_S = 0.05
_FIRST_S = 0.1
_MOST_S = 2.0
_SHORTER = 0.8


HEADER_BYTES = 200
"""What a header takes besides its bytes."""
LARGE_BYTES = 8 * 1024
"""Of heads that take more, few may be there at a time."""
NO_SCOPE: dict[str, Any] = {"raw_path": b"", "query_string": b"", "headers": []}
"""The request of whoever sent none."""


def is_large(scope: Mapping[str, Any]) -> bool:
    """Whether the head of a request takes so much memory that few of it may be kept waiting."""
    size = len(scope["raw_path"]) + len(scope["query_string"])
    size += sum(HEADER_BYTES + len(name) + len(value) for name, value in scope["headers"])
    return size > LARGE_BYTES


class ProcessPace:
    """The pace of one process.

    Args:
        address: the one that it serves, `"tracking"` or `"api"`; a metric's label.

    Attributes:
        delayed: how many answers were put off so far.
    """

    def __init__(self, address: str) -> None:
        self.delayed = 0
        self._delay_s = 0.0
        self._counted = telemetry.ANSWERS_DELAYED.labels(address)

    def tick(self, late_s: float) -> None:
        """Hear how much later than wanted a regular call has come, several times a second."""
        if late_s > _LATE_S:
            self._delay_s = min(_MOST_S, max(_FIRST_S, 2 * self._delay_s))
        else:
            self._delay_s = self._delay_s * _SHORTER if self._delay_s > _FIRST_S / 2 else 0.0

    def delay_s(self, scope: Mapping[str, Any]) -> float:
        """For how long the answer to a request is put off; 0 for not at all.

        Args:
            scope: the request, in ASGI's terms; one whose head is large is not to be kept.
        """
        if not self._delay_s or is_large(scope):
            return 0.0
        self.delayed += 1
        self._counted.inc()
        # So that those who ask at one moment do not ask at one moment again.
        return self._delay_s * random.uniform(0.75, 1.25)  # noqa: S311
