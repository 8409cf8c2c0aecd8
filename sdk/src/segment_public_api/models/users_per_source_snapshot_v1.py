"""Tracked users of one source up to one day."""

from __future__ import annotations

from pydantic import Field, StrictStr

from ._snapshot import MtuSnapshot

__all__ = ["UsersPerSourceSnapshotV1"]


class UsersPerSourceSnapshotV1(MtuSnapshot):
    """Tracked users of one source, from the start of the period to the end of one day."""

    source_id: StrictStr = Field(alias="sourceId", description="The source that was counted.")
