"""What people are to hear of what a node shows: judges the sums of a mirror as they change.

A scope's counts lie in many partitions, and only a mirror has their sum. So every node judges what
it is about to show, in the transaction that makes it shown, as a single machine's meter does: what
was shown, and crosses something, is found, whoever dies. That several nodes find the same is no
matter: who tells leaves out what is told (`headcount.catalog.told`).

When live messages last came is when the latest was appended of those that a partition has counted.
What was imported is known by month alone: a day before yesterday that grows, in a month into which
something was just imported, grows by that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from headcount.counting.alerts import AlertSetup
from headcount.counting.calendar import Period, day_of_ms
from headcount.counting.libraries import USE_PREFIX
from headcount.counting.metrics import ADMITTED
from headcount.meter.alerts import AlertWatch
from headcount.stages.counts_packs import CountsStanding
from headcount.stages.mirror_changes import TakenState
from headcount.store.partition_protocol import MirrorStore
from headcount.store.protocol import Change
from headcount.troubles import Troubles

__all__ = ["MirrorWatch"]

_CAUGHT_UP_MS = 10_000
_LEFT_BEHIND_MS = 3_600_000
_IMPORTED_DAYS = 1


class MirrorWatch:
    """Judges the changes of one mirror.

    Args:
        store: of the mirror.
        setup: gives the rules, as `AlertWatch` takes it.
        clock_ms: the time, in milliseconds since 1970.
        troubles: as `AlertWatch` takes it.
    """

    def __init__(
        self,
        store: MirrorStore,
        setup: Callable[[], AlertSetup],
        clock_ms: Callable[[], int],
        troubles: Troubles | None = None,
    ) -> None:
        self._clock_ms = clock_ms
        self._watch = AlertWatch(store, setup, clock_ms, troubles)
        self._followed: set[str] = set()

    def is_left_behind(self, standing: CountsStanding, shown_until_ms: int | None) -> bool:
        """Whether a partition comes back after long, with what others have counted long ago: its
        change is to be judged by itself.

        Args:
            standing: the state that comes.
            shown_until_ms: until when the partition was in the sums before.
        """
        return standing.partition not in self._followed and (
            shown_until_ms is None or self._clock_ms() - shown_until_ms > _LEFT_BEHIND_MS
        )

    def judge(self, change: Change, taken: Sequence[TakenState]) -> None:
        """Put into a change of whole sums, which is about to be committed, what it crosses.

        Args:
            change: the change.
            taken: the partitions that it comes from; one that was left behind is the only one.
        """
        arrivals: dict[tuple[int, int], int] = {}
        for each in taken:
            for scope, at_ms in self._arrivals(each.change, each.held.standing).items():
                arrivals[scope] = max(at_ms, arrivals.get(scope, at_ms))
        self._watch.hears(arrivals)
        # Who comes back after long sees what others have counted long ago, by rules of today.
        left_behind = any(
            self.is_left_behind(each.held.standing, each.shown_until_ms) for each in taken
        )
        imported = {
            (workspace, period)
            for each in taken
            for period, workspace, _ in each.change.counts
            if self._is_imported(each.change, workspace, period)
        }
        # Tallies of who sent messages come among those of what was refused.
        refused = [each for each in change.rejections if not each.reason.startswith(USE_PREFIX)]
        judged = replace(change, rejections=refused)
        self._watch.judge(judged, imported=imported, is_news=not left_behind)
        change.alerts, change.quotas_reached = judged.alerts, judged.quotas_reached
        change.arrivals = judged.arrivals

    def committed(self, change: Change, partitions: Iterable[str]) -> None:
        """Take what a change that is durable has made true."""
        self._followed.update(partitions)
        self._watch.committed(change)

    def look(self, until_ms: int | None) -> None:
        """Look for what no change brings, about once a second, while the sums are whole.

        Args:
            until_ms: until when they are complete; None while nobody knows.

        Raises:
            StorageUnavailableError: the disk refused; it is looked for again.
        """
        caught_up = until_ms is not None and self._clock_ms() - until_ms <= _CAUGHT_UP_MS
        self._watch.look(drained=caught_up)

    def over_quota(self) -> Mapping[int, int]:
        """Sources that have used their quota of the month, and until when they are refused."""
        return self._watch.over_quota()

    def _arrivals(self, change: Change, standing: CountsStanding) -> dict[tuple[int, int], int]:
        if not standing.partition.startswith("facts-") or not standing.latest_ms:
            return {}
        at_ms = min(standing.latest_ms, self._clock_ms())
        day = day_of_ms(at_ms)
        found = {}
        for (period, workspace, source), counts in change.counts.items():
            live = _days_from(day - 1, period)
            if live is not None and counts[live:, ADMITTED].max(initial=0) > 0:
                found[workspace, source] = at_ms
        return found

    def _is_imported(self, change: Change, workspace: int, period: Period) -> bool:
        today = day_of_ms(self._clock_ms())
        last = change.imported.get((workspace, period))
        if last is None or last < today - _IMPORTED_DAYS:
            return False
        live = _days_from(today - _IMPORTED_DAYS, period)
        return any(
            bool(np.any(counts[: len(counts) if live is None else live] > 0))
            for (of, whose, _), counts in change.counts.items()
            if (whose, of) == (workspace, period)
        )


def _days_from(day: int, period: Period) -> int | None:
    """From which row on counts of a month are of a day or later ones; None where none is."""
    return max(0, day - period.first_day) if day <= period.last_day else None
