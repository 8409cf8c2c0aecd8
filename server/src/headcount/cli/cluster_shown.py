"""How a cluster does, as `headcount cluster status` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headcount.terminal import moment_text, print_record, print_table, say

if TYPE_CHECKING:
    from headcount.cluster.overview import ClusterStatus

__all__ = ["print_status"]


def print_status(found: ClusterStatus) -> None:
    """Print nodes, partitions, what is missing, and what is lost."""
    print_record(
        {
            "cluster": found.id,
            "counted until": moment_text(found.fresh_until) or "nobody can say yet",
            "": found.sentence,
        }
    )
    say("")
    print_table(
        ("node", "state", "version", "partitions", "handed on until"),
        [
            (
                each.name,
                each.state,
                each.version,
                str(each.partitions),
                moment_text(each.handed_on_until) or "",
            )
            for each in found.nodes
        ],
    )
    say("")
    print_table(
        ("partition", "node", "epoch", "counted until", "backed up"),
        [
            (
                each.name,
                each.node or "",
                str(each.epoch),
                moment_text(each.counted_until) or "",
                moment_text(each.backed_up_at) or "",
            )
            for each in found.partitions
        ],
    )
    troubles = [f'Node "{each.name}": {said}' for each in found.nodes for said in each.troubles]
    lost = [
        f"Noted at {moment_text(each.noted_at)}: {each.sentence}"
        f" Once it is seen: headcount cluster accept-loss {each.key}"
        for each in found.losses
        if not each.accepted_at
    ]
    seen = [
        f"Accepted at {moment_text(each.accepted_at)}, noted at {moment_text(each.noted_at)}:"
        f" {each.sentence}"
        for each in found.losses
        if each.accepted_at
    ]
    forgetting = [each.sentence for each in found.forgetting]
    for line in (*found.missing, *found.at_risk, *lost, *troubles, *forgetting, *seen):
        say(line)
