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

from headcount import metrics

__all__ = ["ProcessPace"]

_LATE_S = 0.05
_FIRST_S = 0.1
_MOST_S = 2.0
_SHORTER = 0.8


class ProcessPace:
    """The pace of one process.

    Args:
        address: the one that it serves, `"tracking"` or `"api"`; a metric's label.

    Attributes:
        put_off: how many answers were put off so far.
    """

    def __init__(self, address: str) -> None:
        self.put_off = 0
        self._delay_s = 0.0
        self._counted = metrics.ANSWERS_PUT_OFF.labels(address)

    def tick(self, late_s: float) -> None:
        """Hear how much later than wanted a regular call has come, several times a second."""
        if late_s > _LATE_S:
            self._delay_s = min(_MOST_S, max(_FIRST_S, 2 * self._delay_s))
        else:
            self._delay_s = self._delay_s * _SHORTER if self._delay_s > _FIRST_S / 2 else 0.0

    def delay_s(self) -> float:
        """For how long the next answer is put off; 0 for not at all."""
        if not self._delay_s:
            return 0.0
        self.put_off += 1
        self._counted.inc()
        # So that those who ask at one moment do not ask at one moment again.
        return self._delay_s * random.uniform(0.75, 1.25)  # noqa: S311
