"""API calls of a whole workspace up to one day."""

from __future__ import annotations

from ._snapshot import ApiCallsSnapshot

__all__ = ["APICallSnapshotV1"]


class APICallSnapshotV1(ApiCallsSnapshot):
    """API calls of a whole workspace, from the start of the period to the end of one day."""
