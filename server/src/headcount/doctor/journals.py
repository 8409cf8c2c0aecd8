"""The journals: whether every one can be read to its end, and what is still to be metered.

Takes journals as they were just before the store's moment, and the store's positions.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from headcount.backlog import Backlog
from headcount.doctor.findings import REPAIR, Finding, ok, problem, warning
from headcount.doctor.troubles import PASSING
from headcount.journal.view import JournalView, last_id_of
from headcount.sqlite.reading import damage
from headcount.wording import number_of

__all__ = ["check_journals", "check_lag", "unreadable"]

_BEHIND_MS = 60_000
_SAID_WITHIN_MS = 30_000


def check_journals(
    journals: Sequence[JournalView], positions: Mapping[str, int]
) -> Iterator[Finding]:
    """Read every journal whole, and hold it against how far the store says that it is metered.

    Args:
        journals: every journal that could be opened, from before the store's moment.
        positions: the store's.
    """
    faulty = False
    for journal in journals:
        for finding in _check(journal, positions.get(journal.uuid, 0)):
            faulty = True
            yield finding
    by_uuid: dict[str, list[Path]] = defaultdict(list)
    for journal in journals:
        by_uuid[journal.uuid].append(journal.path)
    for paths in by_uuid.values():
        if len(paths) > 1:
            faulty = True
            yield problem(
                "journals",
                f"{' and '.join(path.name for path in paths)} are one journal twice, and what is"
                " written to one of them may never be counted.",
                "Stop the server and move the copy out of the folder.",
            )
    if not faulty:
        entries = sum(journal.waiting(0).entries for journal in journals)
        yield ok(
            "journals",
            f"{number_of(len(journals), 'journal')} read to the end; entries: {entries:,}.",
            journals=len(journals),
            entries=entries,
        )


def _check(journal: JournalView, position: int) -> Iterator[Finding]:
    name = journal.path.name
    if found := damage(journal.connection):
        yield problem("journals", f"{name} is damaged: {found}.", REPAIR, file=name)
        return
    if fault := next(journal.faults(), None):
        yield problem("journals", f"{name} cannot be metered: {fault}.", REPAIR, file=name)
    if passed_over := journal.set_aside():
        yield problem(
            "journals",
            f"{number_of(len(passed_over), 'damaged entry')} of {name} were passed over: what they"
            " held is not counted.",
            REPAIR,
            file=name,
            entries=passed_over,
        )
    # Only what is metered is pruned, so whatever follows the position must be there.
    missing = max(0, journal.last_id - position) - journal.waiting(position).entries
    if missing > 0:
        yield problem(
            "journals",
            f"{number_of(missing, 'entry')} of {name} went without having been counted: the store"
            " may be older than the journal.",
            "Restore store and journals from one backup.",
            file=name,
        )
    if journal.last_id < position and last_id_of(journal.path) < position:
        yield problem(
            "journals",
            f"{name} is older than the store: what is written to it now would never be counted.",
            "Stop the server, and restore with `headcount restore`, which sees to this.",
            file=name,
        )


def check_lag(
    journals: Sequence[JournalView],
    positions: Mapping[str, int],
    now_ms: int,
    meter: Backlog | None,
    *,
    serving: bool,
    endings: tuple[str, bool] = ("", True),
) -> Finding:
    """How much is acknowledged and not metered yet, and when it will be.

    Args:
        journals: every journal that could be opened, from before the store's moment.
        positions: the store's.
        now_ms: the moment.
        meter: what the meter of the running server has last said of itself.
        serving: whether a server runs.
        endings: how often the meter of the running server, or of the last one, has ended, and
            why, empty when it has not; and whether that passes.
    """
    waiting = [journal.waiting(positions.get(journal.uuid, 0)) for journal in journals]
    facts = sum(each.facts for each in waiting)
    oldest_ms = min((w.oldest_at_ms for w in waiting if w.oldest_at_ms is not None), default=None)
    waited_s = 0 if oldest_ms is None else max(0, now_ms - oldest_ms) // 1000
    details: dict[str, object] = {"messages": facts, "oldestSeconds": waited_s}
    if not facts:
        return ok("lag", "Everything that was acknowledged is metered.", **details)
    lag = number_of(facts, "message", "is", "are")
    message = f"{lag} not metered yet; the oldest waits for {waited_s:,} s."
    said, passes = endings
    if said and passes and serving:
        return warning("lag", f"{message} {said}", PASSING, **details)
    if said and not passes:
        return problem(
            "lag",
            f"{message} {said}",
            "They are counted once the meter lives; what it says above, and the server's log, name"
            " what keeps it from that.",
            **details,
        )
    grows = False
    if serving and meter is not None and now_ms - meter.at_ms < _SAID_WITHIN_MS:
        left_s = meter.caught_up_in_s
        grows = left_s is not None and math.isinf(left_s)
        details |= {"catchingUp": not grows, "caughtUpInSeconds": None if grows else left_s}
        message += f" The meter says: {meter.sentence}"
    if not serving:
        return warning(
            "lag", message, "They are counted once the server runs: headcount serve", **details
        )
    if waited_s * 1000 < _BEHIND_MS and not grows:
        return ok("lag", message, **details)
    return warning(
        "lag",
        message,
        "If it falls further behind, this machine is too small for what comes, or the disk refuses:"
        " see the server's log, and docs/capacity.md.",
        **details,
    )


def unreadable(path: Path, error: Exception) -> Finding:
    """A journal that cannot be opened."""
    said = getattr(error, "problem", None) or f"{path} cannot be read: {error}."
    return problem("journals", str(said), getattr(error, "remedy", None) or REPAIR, file=path.name)
