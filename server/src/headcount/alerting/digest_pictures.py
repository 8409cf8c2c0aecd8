"""The charts of what is told: takes what was written down, gives pictures, or says why not.

Whoever is told is told in time: without pictures where these do not come, which is then said to
who reads it, and to the operator. A library that hangs is not waited for again at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from headcount.alerting.notice_page import Picture
from headcount.charts.javascript import can_draw
from headcount.charts.pictures import DRAWN_WITHIN_S, NotDrawnInTimeError, drawn
from headcount.extras import install_command

__all__ = ["Drawings", "DrawnCharts"]

# Each takes 70 MB.
_AT_ONCE_MAX = 2
_REST_S = 600.0


class DrawnCharts(NamedTuple):
    """The charts of one telling.

    Attributes:
        pictures: all of them, or none.
        missing: why there are none, as a clause; empty where there are, or where none belong there.
    """

    pictures: Sequence[Picture] = ()
    missing: str = ""


class Drawings:
    """Draws charts, of a few tellings at once.

    Args:
        within_s: how long the charts of one telling may take, in seconds.

    Attributes:
        missing: why the last ones could not be drawn, as a clause; empty where they could.
        went_without: how many tellings had to do without theirs.
    """

    def __init__(self, within_s: float = DRAWN_WITHIN_S) -> None:
        self._within_s = within_s
        self._turns = threading.BoundedSemaphore(_AT_ONCE_MAX)
        self._lock = threading.Lock()
        self._rests_until_s = 0.0
        self.missing = ""
        self.went_without = 0

    def of(self, body: str) -> DrawnCharts:
        """The charts of what is told; never raises for what a library does.

        Args:
            body: what is told, as JSON.
        """
        charts = msgspec.json.decode(body)["data"].get("charts", ())
        if not charts:
            return DrawnCharts()
        found = self._drawn(charts)
        with self._lock:
            self.missing = found.missing
            self.went_without += bool(found.missing)
        return found

    def _drawn(self, charts: Sequence[dict[str, object]]) -> DrawnCharts:
        if not can_draw():
            return DrawnCharts(
                missing=f"the library that draws them is missing: {install_command('plot')}"
            )
        with self._turns:
            if time.monotonic() < self._rests_until_s:
                return DrawnCharts(missing=self._too_long())
            until_s = time.monotonic() + self._within_s
            found = []
            for number, chart in enumerate(charts):
                left_s = max(0.001, until_s - time.monotonic())
                try:
                    png = drawn(chart["spec"], "png", left_s)  # type: ignore[arg-type]
                except NotDrawnInTimeError:
                    self._rests_until_s = time.monotonic() + _REST_S
                    return DrawnCharts(missing=self._too_long())
                except (RuntimeError, OSError) as error:
                    said = str(error).strip().rpartition("\n")[2][:160]
                    return DrawnCharts(missing=f"the library that draws them failed: {said}")
                found.append(Picture(f"chart-{number}", str(chart["title"]), png))
        return DrawnCharts(found)

    def _too_long(self) -> str:
        return f"they could not be drawn within {self._within_s:.0f} s"
