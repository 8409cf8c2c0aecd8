"""Keeping runs few, and those that every message is asked of small.

Each batch asks every run of its months, so four runs of about one size become one of the next:
their number grows with the logarithm of the keys, and a key is rewritten about once for each
fourfold growth. Of large runs two are enough, for it is their filters that memory is full of, and
few bits a key do only where few runs are asked. Of a month that is over, keys become too old to be
copies of live messages, day by day: these go to a run of their own, which is asked no more.

The work is done in parts, between batches: one at a time, and more when runs come faster than they
are merged.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from headcount.counting.calendar import Period
from headcount.counting.keys import MESSAGE
from headcount.errors import DataFolderError
from headcount.store.protocol import KeyRun, StoreFiles

__all__ = ["Rewriting", "RunMerging", "runs_to_merge", "runs_to_rewrite"]

_log = logging.getLogger(__name__)

_PEERS, _LARGE_PEERS = 4, 2
_LARGE_FROM_KEYS = 1 << 28
# So many keys whose filters need not be in memory are worth a run of their own, where they are this
# share of those that must be.
_TOO_OLD_FROM_KEYS, _TOO_OLD_SHARE = 1 << 27, 1 / 16
_PARTS_A_STEP_MAX = 8


def runs_to_merge(keys_of_runs: Mapping[str, int]) -> list[str]:
    """The runs that are to become one: all of the smallest size that has enough; else none.

    Args:
        keys_of_runs: name of each run to how many keys it holds.
    """
    peers: dict[int, list[str]] = defaultdict(list)
    for name, keys in keys_of_runs.items():
        peers[(max(keys, 1).bit_length() - 1) // 2].append(name)
    enough = [size for size, names in peers.items() if len(names) >= _peers_at(size)]
    return sorted(peers[min(enough)]) if enough else []


def _peers_at(size: int) -> int:
    return _LARGE_PEERS if 4**size >= _LARGE_FROM_KEYS else _PEERS


class Rewriting(NamedTuple):
    """Which runs are to be written anew as one.

    Attributes:
        names: of the runs.
        cut_day: keys with an earlier first day become a run of their own.
    """

    names: Sequence[str]
    cut_day: int = 0


def runs_to_rewrite(runs: Sequence[KeyRun], since_day: int) -> Rewriting | None:
    """What is to be done next about the runs of a month; None when all is well.

    Args:
        runs: all of them.
        since_day: from which of its days on live messages are asked of the month.
    """
    for run in runs:
        if run.former:
            return Rewriting([run.name])
    asked = [run for run in runs if run.last_day >= since_day]
    keys = sum(run.keys for run in asked)
    too_old = sum(run.keys_before(since_day) for run in asked)
    if too_old >= max(_TOO_OLD_FROM_KEYS, _TOO_OLD_SHARE * (keys - too_old)):
        return Rewriting(sorted(run.name for run in asked), since_day)
    others = [run for run in runs if run.last_day < since_day]
    for group in (asked, others):
        if names := runs_to_merge({run.name: run.keys for run in group}):
            return Rewriting(names)
    return None


class RunMerging:
    """Merges the runs of message ids of all months, one merge at a time.

    Args:
        files: whose runs.
        periods: months that may have too many.
        asked_since_day: of a month, from which of its days on live messages are asked of its
            message ids; the number after its last day for none.
    """

    def __init__(
        self,
        files: StoreFiles,
        periods: Iterable[Period],
        asked_since_day: Callable[[Period], int],
    ) -> None:
        self._files = files
        self._asked_since_day = asked_since_day
        self._to_look_at = set(periods)
        self._looked_since_day: dict[Period, int] = {}
        # Months with a damaged run, which must not end as one whose damage nobody can see.
        self._left_alone: set[Period] = set()
        self._merging: tuple[Period, Generator[int, None, None]] | None = None
        self._came_meanwhile = 0

    def look_at(self, period: Period) -> None:
        """A month has one run more."""
        if period not in self._left_alone:
            self._to_look_at.add(period)
            self._came_meanwhile += 1

    def step(self) -> Period | None:
        """Write a part or some, if there is anything to merge.

        Returns:
            The month whose runs are others since this step.

        Raises:
            StorageUnavailableError: the disk refused, and nothing is changed.
        """
        try:
            return self._step()
        except DataFolderError as error:
            period = self._merging[0] if self._merging else max(self._to_look_at)
            self._merging = None
            self._left_alone.add(period)
            self._to_look_at.discard(period)
            _log.error("%s The runs of %s are left as they are.", error, period)
            return None
        except BaseException:
            self._merging = None
            raise

    def _step(self) -> Period | None:
        if self._merging is None:
            self._merging = self._next()
            self._came_meanwhile = 0
        if self._merging is None:
            return None
        period, parts = self._merging
        at_once = min(1 + self._came_meanwhile, _PARTS_A_STEP_MAX)
        if len(list(islice(parts, at_once))) == at_once:
            return None
        self._merging = None
        return period

    def _next(self) -> tuple[Period, Generator[int, None, None]] | None:
        for period, day in self._looked_since_day.items():
            if self._asked_since_day(period) != day:
                self._to_look_at.add(period)
        self._to_look_at -= self._left_alone
        while self._to_look_at:
            period = max(self._to_look_at)  # the latest is asked the most
            since_day = self._asked_since_day(period)
            rewriting = runs_to_rewrite(self._files.runs(period, MESSAGE), since_day)
            if rewriting is not None:
                names, cut_day = rewriting
                return period, self._files.merge_runs(period, MESSAGE, names, cut_day=cut_day)
            self._to_look_at.remove(period)
            self._looked_since_day[period] = since_day
        return None

    def drop(self, period: Period) -> None:
        """Leave a month whose keys are gone alone."""
        self._to_look_at.discard(period)
        self._looked_since_day.pop(period, None)
        if self._merging is not None and self._merging[0] == period:
            self.close()

    def close(self) -> None:
        """Abandon what is being merged; the runs stay as they are. Idempotent."""
        if self._merging is not None:
            self._merging[1].close()
            self._merging = None
