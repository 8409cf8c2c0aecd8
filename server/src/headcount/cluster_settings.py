"""The settings of a node of a cluster, as `headcount.config` has those of a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from headcount.setting import About
from headcount.setting_values import a_dsn, a_node, a_path, one_of, whole_number

__all__ = ["ClusterSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """What a node of a cluster runs with; without `cluster`, none of it means anything."""

    cluster: Annotated[
        str | None,
        About(
            "DSN",
            a_dsn,
            "Log and registry of a cluster: postgresql://… or nats://…, with several servers after"
            " commas; or @FILE for the file that holds that. Everybody can list what is given as a"
            " flag: where it holds a password, use the file or the variable. The default is no"
            " cluster.",
        ),
    ] = None

    node: Annotated[
        str | None,
        About("NAME", a_node, "What this node of a cluster is called; no other may be."),
    ] = None

    ack: Annotated[
        str,
        About(
            "WHERE",
            one_of("disk", "log"),
            "When a message is acknowledged in a cluster: once this node's disk has it, or once the"
            " log has it too, which survives the loss of this node's disk and takes longer.",
        ),
    ] = "disk"

    prune_after: Annotated[
        str,
        About(
            "WHAT",
            one_of("count", "backup"),
            "When journals of a cluster's node let go of what they hold: once partitions have"
            " counted it, or once backups of them hold it too, which survives the loss of a"
            " partition's disk together with the log.",
        ),
    ] = "count"

    backups: Annotated[
        Path | None,
        About(
            "DIR",
            a_path,
            "Folder of the backups of a cluster's partitions, from which nodes take them over: the"
            " same for all nodes, such as a mounted share. The default is none.",
        ),
    ] = None

    backup_minutes: Annotated[
        int,
        About(
            "MINUTES",
            whole_number(1, 1_440),
            "How often a node backs up its partitions to --backups.",
        ),
    ] = 10

    take_over_after: Annotated[
        int | None,
        About(
            "SECONDS",
            whole_number(4, 86_400),
            "After how long a silence of another node of the cluster this one takes its partitions"
            " over by itself. The default is never: headcount cluster takeover does it.",
        ),
    ] = None

    log_days: Annotated[
        int,
        About(
            "DAYS",
            whole_number(1, 35),
            "How many days the log of a cluster keeps what was handed on; more than the age of the"
            " oldest backup that somebody may restore.",
        ),
    ] = 3
