"""Telling how far the meter is behind: takes a meter, gives its log, metrics and a small file in
the data folder, out of which `/readyz` and `headcount doctor` read it.
"""

from __future__ import annotations

import logging
import math
import time

from headcount import telemetry
from headcount.clock import now_ms
from headcount.datafolder import DataFolder
from headcount.meter import Meter
from headcount.meter.backlog import BacklogTeller, BacklogWatch
from headcount.runfiles import write_whole

__all__ = ["BacklogReport"]

_log = logging.getLogger(__name__)


class BacklogReport:
    """Reports about a meter.

    Args:
        meter: the meter.
        folder: its data folder.
    """

    def __init__(self, meter: Meter, folder: DataFolder) -> None:
        self._meter = meter
        self._file = folder.backlog
        self._watch, self._teller = BacklogWatch(), BacklogTeller()

    def report(self) -> None:
        """Look and tell; to be called about once a second."""
        moment_s = time.monotonic()
        backlog = self._watch.observe(
            moment_s,
            now_ms(),
            counted=self._meter.counted_facts,
            waiting=self._meter.lag_facts(),
            counted_until_ms=self._meter.counted_until_ms,
        )
        telemetry.JOURNAL_LAG_MESSAGES.set(backlog.messages)
        telemetry.JOURNAL_LAG_SECONDS.set(backlog.behind_ms / 1000)
        left_s = backlog.caught_up_in_s
        telemetry.CATCH_UP_SECONDS.set(math.nan if left_s is None else left_s)
        write_whole(self._file, backlog)
        if said := self._teller.hear(moment_s, backlog):
            _log.warning("%s", said)
