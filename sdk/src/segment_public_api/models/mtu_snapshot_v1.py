"""Tracked users of a whole workspace up to one day."""

from __future__ import annotations

from ._snapshot import MtuSnapshot

__all__ = ["MtuSnapshotV1"]


class MtuSnapshotV1(MtuSnapshot):
    """Tracked users of a whole workspace, from the start of the period to the end of one day."""
