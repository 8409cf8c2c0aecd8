"""Keys as a fold hands them over: with whose they are, which stores are told and do not keep."""

from __future__ import annotations

import numpy as np

from headcount.counting.keys import TRACKED, KeyBlock, KeySet, NewKeys


def new_keys(keys: KeyBlock, workspace: int = 1, source: int = 1) -> NewKeys:
    """Keys of one source, or of its workspace (source 0)."""
    key_set = KeySet.IDENTIFIED if keys.family == TRACKED else KeySet.MESSAGES
    return NewKeys(
        keys,
        np.full(len(keys), workspace, np.uint32),
        np.full(len(keys), source, np.uint32),
        np.full(len(keys), key_set, np.uint8),
    )
