"""`headcount cluster`: begins a cluster, shows how it does, and says which node counts what."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headcount.cli.lookup import confirmed
from headcount.cli.options import as_json_option, settings_options
from headcount.terminal import moment_text, print_json, print_record, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headcount.cluster.placement import Partition
    from headcount.config import Settings

__all__ = ["cluster"]

_PARTITIONS_DEFAULT = 16
_PARTITIONS_MAX = 256


_facts_option = click.option(
    "--facts",
    type=click.IntRange(1, _PARTITIONS_MAX),
    default=_PARTITIONS_DEFAULT,
    show_default=True,
    help="Partitions of messages, for ever.",
)
_keys_option = click.option(
    "--keys",
    type=click.IntRange(1, _PARTITIONS_MAX),
    default=_PARTITIONS_DEFAULT,
    show_default=True,
    help="Partitions of ids, for ever.",
)


@click.group()
def cluster() -> None:
    """Begin and tend a cluster: many nodes that count as one, over an engine that you run.

    The engine is a PostgreSQL database or a group of NATS servers, named by --cluster or, since it
    may hold a password, better by HEADCOUNT_CLUSTER. See docs/cluster.md.
    """


@cluster.command(
    epilog="""\b
Examples:
  headcount cluster init --cluster @/etc/headcount/cluster --node eu-1
  headcount cluster init --facts 4 --keys 4 --node eu-1
  headcount cluster init --again"""
)
@_facts_option
@_keys_option
@click.option(
    "--again",
    is_flag=True,
    help="Write the registry of a cluster that has lost it anew, from this node.",
)
@settings_options("data", "cluster", "node", "hash_key")
@as_json_option
def init(settings: Settings, facts: int, keys: int, again: bool, as_json: bool) -> None:
    """Begin a cluster, with the data folder as its first node.

    All partitions are this node's at first. Its hash key is the cluster's: every further node needs
    a copy of it.
    """
    from headcount.wiring.cluster_founding import begin_again, found_cluster

    if again:
        folder = begin_again(settings)
        if as_json:
            print_json({"data": str(folder.path)})
        else:
            say("The registry is written anew; nodes go on by themselves.")
        return
    made = found_cluster(settings, facts, keys)
    if as_json:
        print_json({"id": made.id, "facts": made.facts, "keys": made.keys, "node": settings.node})
        return
    print_record(
        {
            "cluster": made.id,
            "partitions": f"{made.facts} of messages, {made.keys} of ids",
            "first node": settings.node or "",
            "hash key": f"fingerprint {made.hash_key}; every node needs a copy of it",
        }
    )
    say("", f"Next: {_serving(settings)}")


def _serving(settings: Settings) -> str:
    """The command that serves what was begun; without an address, which may hold a password."""
    words = ["headcount", "serve", "--data", str(settings.data), "--node", settings.node or ""]
    if settings.cluster is not None and settings.cluster.startswith("@"):
        words += ["--cluster", settings.cluster]
    if settings.hash_key is not None:
        words += ["--hash-key", str(settings.hash_key)]
    return shlex.join(words)


@cluster.command(
    epilog="""\b
Example:
  headcount cluster join /var/lib/headcount --data /var/lib/headcount-cluster --node eu-1"""
)
@click.argument("single", metavar="DIR", type=click.Path(path_type=Path))
@_facts_option
@_keys_option
@settings_options("data", "cluster", "node", "hash_key")
@as_json_option
def join(settings: Settings, single: Path, facts: int, keys: int, as_json: bool) -> None:
    """Begin a cluster with the history of DIR, a single machine's data folder.

    The folder itself is not changed. Every row of counts is held against it, and nothing is begun
    unless all are the same. All ids until the end of this month stay together in keys-0.
    """
    from headcount.wiring.cluster_joining import join_folder

    joined = join_folder(settings, single, facts, keys)
    if as_json:
        print_json(
            {
                "id": joined.cluster.id,
                "scopes": joined.scopes,
                "messageKeys": joined.message_keys,
                "idKeys": joined.id_keys,
                "aside": joined.aside,
            }
        )
        return
    print_record(
        {
            "cluster": joined.cluster.id,
            "the same on both sides": f"{joined.scopes:,} months of scopes, every day of them",
            "keys": f"{joined.message_keys:,} of messages, {joined.id_keys:,} of ids",
        }
    )
    if joined.aside:
        say(f"{joined.aside:,} messages that wait aside stay in {single}.")
    say("", f"Next: {_serving(settings)}")


@cluster.command(
    epilog="""\b
Examples:
  headcount cluster status
  headcount cluster status --json"""
)
@settings_options("cluster")
@as_json_option
def status(settings: Settings, as_json: bool) -> int:
    """Show nodes and partitions, until when everything is counted, and what is missing.

    Also what would be lost with a disk at present, and what is lost for good, which is shown for
    ever. Ends with status 1 where anything is missing, or lost and not accepted
    (headcount cluster accept-loss).
    """
    import msgspec

    from headcount.cli.cluster_shown import print_status
    from headcount.wiring.cluster_founding import asked
    from headcount.wiring.cluster_placing import watched

    with asked(settings) as registry:
        found = watched(registry).status
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        print_status(found)
    return 0 if found.is_well() else 1


def _partitions(given: tuple[str, ...]) -> list[Partition]:
    from headcount.cluster.placement import Partition

    return [Partition.parse(each) for each in given]


@cluster.command(
    epilog="""\b
Example:
  headcount cluster place facts-0 facts-1 --to eu-2"""
)
@click.argument("partition", nargs=-1, required=True)
@click.option("--to", "node", metavar="NODE", required=True, help="The node that is to count it.")
@settings_options("cluster")
@as_json_option
def place(settings: Settings, partition: tuple[str, ...], node: str, as_json: bool) -> None:
    """Give PARTITIONs that no node counts yet to one."""
    from headcount.wiring.cluster_founding import asked
    from headcount.wiring.cluster_placing import place as give

    with asked(settings) as registry:
        give(registry, _partitions(partition), node)
    _tell_given(partition, node, f'Node "{node}" counts {", ".join(partition)}.', as_json=as_json)


@cluster.command(
    epilog="""\b
Example:
  headcount cluster move keys-3 keys-7 --to eu-2"""
)
@click.argument("partition", nargs=-1, required=True)
@click.option("--to", "node", metavar="NODE", required=True, help="The node that is to count it.")
@click.option(
    "--by-hand",
    is_flag=True,
    help="The folders under partitions/ are put to the new node by hand: no backup is needed.",
)
@settings_options("cluster")
@as_json_option
def move(
    settings: Settings, partition: tuple[str, ...], node: str, by_hand: bool, as_json: bool
) -> None:
    """Let PARTITIONs be counted by another node.

    It begins from the newest backup in --backups, and counts on by the log; what is shown grows
    older until it has caught up, and is never smaller. Where there is no backup yet, it is waited
    for, if the present owner is about to make one.
    """
    from headcount.wiring.cluster_founding import asked
    from headcount.wiring.cluster_placing import move as give

    with asked(settings) as registry:
        give(registry, _partitions(partition), node, by_hand=by_hand)
    given = f'Node "{node}" counts {", ".join(partition)} from now on.'
    _tell_given(partition, node, f"{given} See headcount cluster status.", as_json=as_json)


@cluster.command(
    epilog="""\b
Example:
  headcount cluster takeover eu-1 --to eu-2"""
)
@click.argument("dead", metavar="NODE")
@click.option("--to", "node", metavar="NODE", required=True, help="The node that takes over.")
@settings_options("cluster")
@as_json_option
def takeover(settings: Settings, dead: str, node: str, as_json: bool) -> None:
    """Let another node count what NODE counted, which no longer lives.

    Watches for five seconds whether it lives. With --take-over-after, nodes do so by themselves.
    """
    from headcount.cluster.placement import names_of
    from headcount.wiring.cluster_founding import asked
    from headcount.wiring.cluster_placing import take_over

    with asked(settings) as registry:
        taken = take_over(registry, dead, node)
    names = tuple(map(str, taken.partitions))
    said = f'Node "{dead}" counts nothing any more.'
    if names:
        said = f'Node "{node}" has taken over {names_of(names)}.'
    if taken.without_backup:
        lacking = names_of(taken.without_backup)
        said += (
            f" No backup is known of {lacking}: until there is one in --backups, or the folder is"
            f' put under partitions/ of "{node}" by hand, what is shown stays as old as it is. Once'
            f' "{dead}" is back: headcount cluster move … --to {dead} --by-hand'
        )
    _tell_given(names, node, said, as_json=as_json)


@cluster.command(
    epilog="""\b
Example:
  headcount cluster retire eu-1"""
)
@click.argument("node")
@click.option("--yes", is_flag=True, help="Retire without asking first.")
@settings_options("cluster")
@as_json_option
def retire(settings: Settings, node: str, yes: bool, as_json: bool) -> None:
    """Let NODE leave for good: counting no longer waits for what its journals hold.

    For a node that is lost, or that was stopped when everything it took had been handed on. What is
    left in its journals is never counted: what that may be is said first, and noted for good, for
    headcount cluster status and all who read counts.
    """
    from headcount.wiring.cluster_founding import asked
    from headcount.wiring.cluster_retiring import retire as leave
    from headcount.wiring.cluster_retiring import retirement

    with asked(settings) as registry:
        found = retirement(registry, node)
        if not as_json:
            for line in found.would_lose:
                say(line)
        if not yes:
            confirmed(f'Never count what the journals of node "{node}" still hold?')
        leave(registry, found)
    if as_json:
        print_json({"node": node, "retired": True, "lost": found.would_lose})
        return
    say(f'Node "{node}" is retired.' + (" The loss is noted." if found.would_lose else ""))


def _tell_given(partitions: Sequence[str], node: str, said: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"node": node, "partitions": list(partitions)})
        return
    say(said)


@cluster.command(
    "accept-loss",
    epilog="""\b
Examples:
  headcount cluster accept-loss node-eu-3
  headcount cluster accept-loss --all --yes""",
)
@click.argument("loss", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that are noted.")
@click.option("--yes", is_flag=True, help="Accept without asking first.")
@settings_options("cluster")
@as_json_option
def accept_loss(
    settings: Settings, loss: tuple[str, ...], every: bool, yes: bool, as_json: bool
) -> None:
    """Say that a LOSS is seen, and that counting goes on with it.

    Names are those in headcount cluster status. What is lost stays noted, with both dates, and
    status ends with 0 again. Where a partition still waits for what nobody has any more, it waits
    no longer: what comes behind it is counted, and that is noted.
    """
    from headcount.errors import UsageError
    from headcount.wiring.cluster_accepting import accept, acceptable
    from headcount.wiring.cluster_founding import asked
    from headcount.wiring.cluster_placing import watched

    if bool(loss) == every:
        raise UsageError("Which loss?", "Name it as headcount cluster status does, or say --all.")
    with asked(settings) as registry:
        found = acceptable(watched(registry).status, None if every else loss)
        if not as_json:
            for each in found:
                say(f"{each.key}: {each.sentence}")
        if found and not yes:
            confirmed("Go on with that, as seen and accepted?")
        moment = accept(registry, found)
    names = [each.key for each in found]
    if as_json:
        print_json({"accepted": names, "acceptedAt": moment_text(moment)})
        return
    say(f"Accepted: {', '.join(names)}." if names else "Nothing is left to be accepted.")
