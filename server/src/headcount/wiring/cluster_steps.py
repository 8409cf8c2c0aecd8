"""Doing a step again and again, for the processes of a cluster's node that work on its log.

Takes a step and says what hinders it, once, until it is over. Each step has a price, whatever it
finds: commits, packs, round trips. So the more a step has taken, the longer it is rested before the
next, which then finds more: up to a bound, and not at all by who is behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from headcount.cluster.address import LOG_ANSWERS_WITHIN_S, address_of
from headcount.cluster.membership import Membership, MembershipFile
from headcount.datafolder import DataFolder
from headcount.engines import FactLog
from headcount.engines.opening import open_log
from headcount.errors import (
    DataFolderError,
    EngineAwayError,
    OperatorError,
    StorageUnavailableError,
)
from headcount.remedies import remedy_for
from headcount.troubles import Troubles
from headcount.wiring.lifetime import Child
from headcount.wiring.storage import STORAGE

__all__ = ["IDLE_S", "LOG_AWAY", "PAUSE_MOST_S", "known_cluster", "log_of", "step_until_stopped"]

R = TypeVar("R")

LOG_AWAY = "cluster_log"
_PAUSE_LEAST_S, PAUSE_MOST_S = 0.02, 0.2
# Of its time on a clock: where others keep the machine busy, fewer steps are due.
_PAUSE_FOR_WORK = 4
IDLE_S = 0.1
"""How long to wait for what the log brings, between looks at whether it is time to tell."""
_RETRY_S = 0.5
_TEND_EVERY_S = 1.0


def known_cluster(folder: DataFolder) -> Membership:
    """What this node remembers of its cluster; it has entered one."""
    membership = MembershipFile(folder.cluster).read()
    assert membership is not None, "the supervisor has entered the cluster"
    return membership


def log_of(given: str | None, days: int) -> closing[FactLog]:
    """The cluster's log, closed at the end.

    Args:
        given: the setting `cluster`.
        days: the setting `log_days`.

    Raises:
        OperatorError: it cannot be used as it is.
    """
    assert given is not None, "a node belongs to a cluster"
    log: FactLog = open_log(address_of(given), timeout_s=LOG_ANSWERS_WITHIN_S, days=days)
    return closing(log)


def step_until_stopped(
    child: Child,
    log: FactLog,
    troubles: Troubles,
    step: Callable[[], bool],
    tend: Callable[[], None],
    *,
    kind: str,
    failing: str,
    pause_most_s: float = PAUSE_MOST_S,
    idle_s: float = 0.0,
) -> None:
    """Do a step again and again until told to stop.

    Args:
        child: this process.
        log: what the step waits for.
        troubles: where it is said what hinders it.
        step: gives whether there is so much more to do that it should not rest.
        tend: what is to be done about once a second, whatever came of the steps.
        kind: what to call the trouble of a step that fails by what it finds.
        failing: a sentence that says what does not happen then, without a full stop.
        pause_most_s: how long to rest at most after a step.
        idle_s: how long to wait at most, beyond that, for something to come through the log; 0 for
            who is given work in other ways too.
    """
    hindered = _Hindered(troubles, kind, failing)
    tended_at_s = float("-inf")
    while not child.stopping.is_set():
        began_s = time.monotonic()
        more = hindered.by(step)
        worked_s = time.monotonic() - began_s
        if began_s - tended_at_s >= _TEND_EVERY_S:
            tended_at_s = began_s
            hindered.by(tend)
        if more is None:
            child.stopping.wait(_RETRY_S)
        elif not more:
            pause_s = min(max(_PAUSE_FOR_WORK * worked_s, _PAUSE_LEAST_S), pause_most_s)
            child.stopping.wait(pause_s)
            if idle_s:
                log.wait(idle_s)


class _Hindered:
    """Says what hinders, and when it no longer does."""

    def __init__(self, troubles: Troubles, kind: str, failing: str) -> None:
        self._troubles = troubles
        self._kind = kind
        self._failing = failing

    def by(self, act: Callable[[], R]) -> R | None:
        """Do something; None where it could not be done."""
        try:
            done = act()
        except EngineAwayError as error:
            self._troubles.begin(
                LOG_AWAY,
                f"The cluster's log cannot be asked: {error.problem} Messages are taken and kept;"
                " what is shown grows older.",
                "It goes on by itself once the engine is back.",
                hinders=False,
            )
        except StorageUnavailableError as error:
            remedy = remedy_for(error.__cause__, tried_again=True)
            self._troubles.begin(STORAGE, f"{self._failing}: {error}.", remedy)
        except (DataFolderError, OperatorError) as error:
            self._troubles.begin(self._kind, f"{self._failing}: {error.problem}", error.remedy)
        else:
            if isinstance(done, bool):  # of a step, which meets all of these
                for over in (LOG_AWAY, STORAGE, self._kind):
                    self._troubles.end(over)
            return done
        return None
