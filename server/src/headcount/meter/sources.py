"""Whose a fact is: whether the source that it names belongs to the workspace that it names.

A bit that flips in one of the two numbers must not move a source's other messages to a workspace
that is not theirs. Takes what the catalog knows, where it is told; else it believes what most facts
of a batch say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from headcount.counting.batch import Facts

__all__ = ["KnownSources"]

_NUMBER_MAX = 1 << 22
"""The catalog counts sources up from 1; a number from here on is none of them."""

Mask = npt.NDArray[np.bool_]


class KnownSources:
    """The workspaces of all sources.

    Args:
        ask: gives the workspace's number by the source's, as the catalog has them at the moment;
            None where nobody can be asked.
    """

    def __init__(self, ask: Callable[[], Mapping[int, int]] | None) -> None:
        self._ask = ask
        # Workspace by source, 0 where unknown; the last stands for all numbers from there on.
        self._workspaces = np.zeros(1, np.uint32)

    def strangers(self, facts: Facts) -> Mask | None:
        """Which facts name a source that is not their workspace's; None for none."""
        strange = self._strange(facts)
        if strange is None:
            return None
        if self._ask is not None:
            self._learn(self._ask())
        else:
            self._learn(self._majority(facts))
        return self._strange(facts)

    def _strange(self, facts: Facts) -> Mask | None:
        last = len(self._workspaces) - 1
        known = self._workspaces[np.minimum(facts["source"], last)]
        strange: Mask = known != facts["workspace"]
        return strange if strange.any() else None

    def _learn(self, workspace_of: Mapping[int, int]) -> None:
        known = {source: of for source, of in workspace_of.items() if 0 < source < _NUMBER_MAX}
        size = max(known, default=0) + 2
        if size > len(self._workspaces):
            grown = np.zeros(size, np.uint32)
            grown[: len(self._workspaces)] = self._workspaces
            self._workspaces = grown
        self._workspaces[list(known)] = list(known.values())

    def _majority(self, facts: Facts) -> dict[int, int]:
        """What most facts of each source say, and of two that are equal, what was known."""
        pairs = np.stack([facts["source"], facts["workspace"]])
        (sources, workspaces), numbers = np.unique(pairs, axis=1, return_counts=True)
        most: dict[int, tuple[int, bool, int]] = {}
        for source, workspace, number in zip(
            sources.tolist(), workspaces.tolist(), numbers.tolist(), strict=True
        ):
            known = source < len(self._workspaces) and self._workspaces[source] == workspace
            said = number, bool(known), workspace
            most[source] = max(said, most.get(source, (0, False, 0)))
        return {source: workspace for source, (_, _, workspace) in most.items()}
