"""API calls of one source up to one day."""

from __future__ import annotations

from ._snapshot import ApiCallsSnapshot, OfSource

__all__ = ["SourceAPICallSnapshotV1"]


class SourceAPICallSnapshotV1(ApiCallsSnapshot, OfSource):
    """API calls of one source, from the start of the period to the end of one day."""
