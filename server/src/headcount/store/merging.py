"""Merging runs: takes the keys of several, each ascending, gives them as one ascending sequence of
blocks, each key once with its earliest day. Holds one part of each run at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

from headcount.counting.keys import KeyBlock, merged

__all__ = ["merged_runs"]

# About how many keys a block holds: few enough for one to be made between two batches.
_PART_KEYS = 1 << 16


class _Ascending(Protocol):
    def blocks(self) -> Iterator[KeyBlock]: ...


def merged_runs(runs: Iterable[_Ascending], part_keys: int = _PART_KEYS) -> Iterator[KeyBlock]:
    """The keys of all runs.

    Args:
        runs: what gives its keys in ascending blocks.
        part_keys: a block is given as soon as it holds so many, repeats included; it never holds
            twice as many.
    """
    fresh = [run.blocks() for run in runs]
    fronts: list[tuple[KeyBlock, Iterator[KeyBlock]]] = []
    gathered: list[KeyBlock] = []
    gathered_keys = 0
    while True:
        for rest in fresh:
            fronts += [(block, rest) for block in islice(filter(len, rest), 1)]
        if not fronts:
            break
        # Up to the lowest of these keys, no run has one more to come.
        share = max(1, part_keys // len(fronts))
        limit = min(block.fingerprints[:share][-1] for block, _ in fronts)
        cut_fronts, fronts, fresh = fronts, [], []
        for block, rest in cut_fronts:
            cut = int(block.fingerprints[:share].searchsorted(limit, side="right"))
            gathered.append(block.part(slice(0, cut)))
            gathered_keys += cut
            if cut < len(block):
                fronts.append((block.part(slice(cut, None)), rest))
            else:
                fresh.append(rest)
        if gathered_keys >= part_keys:
            yield merged(gathered)
            gathered, gathered_keys = [], 0
    if gathered_keys:
        yield merged(gathered)
