"""Putting other keys in the place of some, where these stand in the embedded store: takes blocks,
gives the same with other fingerprints, on the same days.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from headcount.counting.keys import U64, KeyBlock, merged
from headcount.store.merging import merged_runs
from headcount.store.runs import Run

__all__ = ["holds", "replaced_blocks", "replaced_in"]


def _places(block: KeyBlock, former: U64) -> tuple[U64, U64]:
    """Where in a block some keys stand (ascending), and which of them do."""
    at = np.searchsorted(block.fingerprints, former)
    at[at == len(block)] = 0
    found = block.fingerprints[at] == former
    return at[found].astype(np.uint64), np.flatnonzero(found).astype(np.uint64)


def replaced_in(block: KeyBlock, former: U64, new: U64) -> KeyBlock | None:
    """A block with other keys in the place of some; None where it holds none of them.

    Args:
        block: ascending, at least one key.
        former: which keys, ascending.
        new: what stands in the place of each.
    """
    at, which = _places(block, former)
    if not len(at):
        return None
    kept = np.ones(len(block), np.bool_)
    kept[at] = False
    order = np.argsort(new[which])
    fresh = KeyBlock(new[which][order], *(days[at][order] for days in block.of_days()))
    return merged([block.chosen(kept), fresh]) if kept.any() else fresh


def holds(run: Run, former: U64) -> bool:
    """Whether a run holds any of some keys (ascending)."""
    return any(len(_places(block, former)[0]) for block in run.blocks() if len(block))


class _Rest(NamedTuple):
    """A run without some keys, and those in their place, each ascending."""

    run: Run
    former: U64
    new: U64

    def without(self) -> Iterator[KeyBlock]:
        for block in self.run.blocks():
            at, _ = _places(block, self.former)
            kept = np.ones(len(block), np.bool_)
            kept[at] = False
            yield block.chosen(kept) if len(at) else block

    def fresh(self) -> KeyBlock:
        found = []
        for block in self.run.blocks():
            at, which = _places(block, self.former)
            if len(at):
                order = np.argsort(self.new[which])
                days = (each[at][order] for each in block.of_days())
                found.append(KeyBlock(self.new[which][order], *days))
        return merged(found)


class _Given(NamedTuple):
    given: Iterator[KeyBlock]

    def blocks(self) -> Iterator[KeyBlock]:
        return self.given


def replaced_blocks(run: Run, former: U64, new: U64) -> Iterator[KeyBlock]:
    """The keys of a run that holds some of those to be replaced, with the others in their place."""
    rest = _Rest(run, former, new)
    return merged_runs([_Given(rest.without()), _Given(iter([rest.fresh()]))])
