"""Keeping runs few: each batch asks every run of its months, so four runs of about one size become
one of the next. Their number grows with the logarithm of the keys, and a key is rewritten once
for each fourfold growth. The work is done in parts, between batches: one at a time, and more when
runs come faster than they are merged.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping
from itertools import islice

from headcount.counting.calendar import Period
from headcount.counting.keys import MESSAGE
from headcount.errors import DataFolderError
from headcount.store.protocol import StoreFiles

__all__ = ["RunMerging", "runs_to_merge"]

_log = logging.getLogger(__name__)

_PEERS = 4
_PARTS_A_STEP_MAX = 8


def runs_to_merge(keys_of_runs: Mapping[str, int]) -> list[str]:
    """The runs that are to become one: all of the smallest size that has enough; else none.

    Args:
        keys_of_runs: name of each run to how many keys it holds.
    """
    peers: dict[int, list[str]] = defaultdict(list)
    for name, keys in keys_of_runs.items():
        peers[(max(keys, 1).bit_length() - 1) // 2].append(name)
    enough = [size for size, names in peers.items() if len(names) >= _PEERS]
    return sorted(peers[min(enough)]) if enough else []


class RunMerging:
    """Merges the runs of message ids of all months, one merge at a time.

    Args:
        files: whose runs.
        periods: months that may have too many.
    """

    def __init__(self, files: StoreFiles, periods: Iterable[Period]) -> None:
        self._files = files
        self._to_look_at = set(periods)
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
        while self._to_look_at:
            period = max(self._to_look_at)  # the latest is asked the most
            runs = self._files.runs(period, MESSAGE)
            if names := runs_to_merge({run.name: run.keys for run in runs}):
                return period, self._files.merge_runs(period, MESSAGE, names)
            self._to_look_at.remove(period)
        return None

    def drop(self, period: Period) -> None:
        """Leave a month whose keys are gone alone."""
        self._to_look_at.discard(period)
        if self._merging is not None and self._merging[0] == period:
            self.close()

    def close(self) -> None:
        """Abandon what is being merged; the runs stay as they are. Idempotent."""
        if self._merging is not None:
            self._merging[1].close()
            self._merging = None
