"""Tracked users of one source up to one day."""

from __future__ import annotations

from ._snapshot import MtuSnapshot, OfSource

__all__ = ["UsersPerSourceSnapshotV1"]


class UsersPerSourceSnapshotV1(MtuSnapshot, OfSource):
    """Tracked users of one source, from the start of the period to the end of one day."""
