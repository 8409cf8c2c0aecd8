"""What a cluster has lost for good, as this node knows, and what would be lost with a disk now."""

from __future__ import annotations

from collections.abc import Iterator

from headcount.cluster.losses import LossFolder
from headcount.cluster.overview import ClusterStatus
from headcount.datafolder import DataFolder
from headcount.doctor.findings import Finding, ok, warning
from headcount.runfiles import read_whole
from headcount.terminal import moment_text

__all__ = ["check_losses"]

_SEEN_WITHIN_MS = 10_000


def check_losses(folder: DataFolder, now_ms: int) -> Iterator[Finding]:
    """Say both; nothing where there is neither."""
    for loss in LossFolder(folder.losses).noted():
        said = f"Noted at {moment_text(loss.noted_at)}: {loss.sentence}"
        if loss.accepted_at:
            yield ok("losses", f"Accepted at {moment_text(loss.accepted_at)}. {said}")
            continue
        yield warning(
            "losses",
            said,
            "Where a vendor or a log of senders has what was taken then, compare:"
            f" docs/reconciling.md. Once it is seen: headcount cluster accept-loss {loss.key}",
        )
    status = read_whole(folder.cluster_status, ClusterStatus)
    if status is not None and now_ms - status.at <= _SEEN_WITHIN_MS:
        for said in status.at_risk:
            yield warning("losses", said, "See headcount cluster status.")
