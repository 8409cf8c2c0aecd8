"""Folding whatever comes: facts on which folding fails are found and set aside, the rest is folded.

What is known to be impossible is sorted out before. This is for what nobody has thought of: it must
not stop the facts behind it, and it must not be taken for the fault of a fact when it is that of
the disk, of memory, or of what is stored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import apsw
import numpy as np

from headcount.counting.aside import Aside, AsideReason
from headcount.counting.batch import Facts, bytes_of, facts_from_bytes
from headcount.counting.facts import ABSENT, fact_head
from headcount.counting.fold import fold
from headcount.counting.folded import Folded, Indexes
from headcount.errors import HeadcountError

__all__ = ["FoldHalf", "digest"]

FoldHalf = Callable[[Facts, Indexes, int], Folded]
"""Folds a batch, or one half of it: facts, indexes and the window in days, as `fold` takes them."""

_log = logging.getLogger(__name__)

_ATTEMPTS_MAX = 20_000
_NOT_OF_FACTS = (HeadcountError, apsw.Error, OSError, MemoryError)


def digest(
    facts: Facts,
    indexes: Indexes,
    window_days: int,
    now_ms: int,
    half: FoldHalf | None = None,
) -> tuple[Folded, Facts, list[Aside]]:
    """Fold facts that are sorted by `received_at`, but for those that cannot be folded.

    Args:
        facts: as `fold` takes them.
        indexes: what is known already.
        window_days: as `fold` takes it.
        now_ms: the present moment, milliseconds since 1970.
        half: folds the facts; None for `fold`, which does both halves.

    Returns:
        What that gives for those that can be folded, those, and the others.

    Raises:
        Exception: folding fails on an ordinary fact too, so that it is not the facts' fault.
    """
    do_fold = half or fold
    try:
        return do_fold(facts, indexes, window_days), facts, []
    except _NOT_OF_FACTS:
        raise
    except Exception as error:

        def can_fold(some: Facts) -> bool:
            try:
                do_fold(some, indexes, window_days)
            except _NOT_OF_FACTS:
                raise
            except Exception:
                return False
            return True

        if not can_fold(facts_from_bytes([_ordinary_fact(now_ms)])):
            raise
        bad = _bad(facts, can_fold)
        _log.error("%d facts are set aside: counting them fails (%r)", int(bad.sum()), error)
        kept = facts[~bad]
        aside = Aside(AsideReason.UNDIGESTIBLE, bytes_of(facts[bad]))
        return do_fold(kept, indexes, window_days), kept, [aside]


def _ordinary_fact(now_ms: int) -> bytes:
    head = fact_head(now_ms, workspace=1, source=1, tags=0)
    return head + bytes([1]) * len(ABSENT) * 4


def _bad(
    facts: Facts, can_fold: Callable[[Facts], bool]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which facts cannot be folded, found by halving; too many of them take others along."""
    bad = np.zeros(len(facts), np.bool_)
    failing = [slice(0, len(facts))]
    attempts = 0
    while failing:
        part = failing.pop()
        if part.stop - part.start == 1 or attempts >= _ATTEMPTS_MAX:
            bad[part] = True
            continue
        middle = (part.start + part.stop) // 2
        halves = [slice(part.start, middle), slice(middle, part.stop)]
        still = [half for half in halves if not can_fold(facts[half])]
        attempts += 2
        if not still:
            # It fails only together: half of them is as good as any.
            still = halves[1:]
        failing += still
    return bad
