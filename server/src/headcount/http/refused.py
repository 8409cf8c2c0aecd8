"""What the log says of requests that are refused: a line each, as long as these are few.

Whoever is told an error is told the id of the request with it, and may ask an operator what was
wrong. So each refusal has a line with its id. But strangers can ask for any number of them: in the
long run two a second are named, and of the others it is said how many there were. Metrics count
all of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from headcount.tracing import id_of, outcome_of

__all__ = ["Refusals"]

_log = logging.getLogger("headcount.requests")

_AT_ONCE = 100
_A_SECOND = 2.0


class Refusals:
    """The refusals of one process.

    Args:
        clock_s: any clock that never goes back, in seconds.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._left = float(_AT_ONCE)
        self._at_s = clock_s()
        self._unnamed = 0

    def say(self, scope: Any, status: int) -> None:
        """Name a request that is refused, if there have not been too many.

        Args:
            scope: the request, in ASGI's terms.
            status: with which it is answered, 400 or more.
        """
        if self._take():
            route, reason = outcome_of(scope)
            words = " ".join(filter(None, (str(status), reason)))
            asked = " ".join(filter(None, (scope.get("method", ""), route)))
            level = logging.WARNING if status >= 500 else logging.INFO
            told = {"request_id": id_of(scope)}
            _log.log(level, "answered %s%s", words, asked and f" to {asked}", extra=told)
        else:
            self._unnamed += 1

    def tell_rest(self) -> None:
        """Say how many were not named since the last time; to be called about once a second."""
        if self._unnamed and self._take():
            _log.info(
                "answered %s more requests with errors, and does not name them one by one",
                f"{self._unnamed:,}",
            )
            self._unnamed = 0

    def _take(self) -> bool:
        now_s = self._clock_s()
        self._left = min(_AT_ONCE, self._left + (now_s - self._at_s) * _A_SECOND)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
