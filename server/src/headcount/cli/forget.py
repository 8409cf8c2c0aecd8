"""`headcount forget`: what is known of a person's ids becomes that of nobody."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import click

from headcount.cli.options import as_json_option, settings_options
from headcount.terminal import print_json, print_table, say
from headcount.wording import number_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from headcount.config import Settings
    from headcount.datafolder import DataFolder
    from headcount.wiring.forget_files import ForgetRequest

__all__ = ["forget"]

_LOOK_EVERY_S, _SAY_AFTER_S = 0.05, 3.0
_SAY_CLUSTER_AFTER_S = 10.0
_NO_DIGITS = str.maketrans("", "", "0123456789")


@click.command(
    epilog="""\b
Examples:
  headcount forget --user-id 97980cfea0067
  headcount forget --user-id 97980cfea0067 --anonymous-id 507f191e810c --workspace Shop
  headcount forget --user-id - < id.txt"""
)
@click.option(
    "--user-id",
    metavar="ID",
    help="The person's userId; - reads it from standard input, past the shell's history.",
)
@click.option(
    "--anonymous-id",
    metavar="ID",
    help="An anonymousId of theirs (or a previousId of an alias); which ones belong to a userId is"
    " not kept.",
)
@click.option(
    "--workspace", "workspace", metavar="W", help="Only in this workspace, by id or name."
)
@settings_options("data", "hash_key", "memory")
@as_json_option
def forget(
    settings: Settings,
    user_id: str | None,
    anonymous_id: str | None,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Forget a person: put random keys in the place of theirs, in all months that hold any.

    Works while the server runs, and while it is stopped; messages that wait to be counted are
    counted first. No total falls, and if the person comes again they count anew. Closed months hold
    no ids. Backups hold what they held until they are deleted.

    In a cluster, on any node whose server runs: all partitions forget, whatever nodes count them.
    `headcount cluster status` says how far that is.
    """
    from headcount.catalog import Catalog
    from headcount.cli.lookup import found_workspace
    from headcount.cluster.catalogs import membership_of, require_running_node
    from headcount.datafolder import load_key_ring, open_data_folder
    from headcount.integrity import refuse_faults
    from headcount.wiring.forget_files import ask_to_forget

    ids = [_id(each) for each in (user_id, anonymous_id)]
    if not any(ids):
        raise click.UsageError("Say whom to forget: --user-id, --anonymous-id or both.")
    folder = open_data_folder(settings.data, create=False, write=True)
    membership = membership_of(folder)
    if membership is None:
        refuse_faults(folder.path)
    else:
        require_running_node(folder, membership, "asks the other nodes")
    with Catalog(folder.catalog) as catalog:
        only = None if workspace is None else {found_workspace(catalog, workspace).number}
        ring = load_key_ring(folder, catalog, settings.hash_key)
        names = {each.number: (each.id, each.name) for each in catalog.workspaces()}
        sources = {each.number: each.id for each in catalog.sources()}
        place = ask_to_forget(folder, ring, ids[0], ids[1], only)
    try:
        request = (
            _done(folder, settings, place)
            if membership is None
            else _done_in_cluster(folder, membership.node, place)
        )
    except KeyboardInterrupt:
        say("It is done all the same, as soon as a server runs on the data folder.")
        raise
    with contextlib.suppress(FileNotFoundError):
        place.unlink()
    left = _left_elsewhere(folder, settings.log_days if membership is not None else None)
    _print(left, request, names, sources, as_json=as_json)


def _id(given: str | None) -> str | None:
    from headcount.errors import UsageError
    from headcount.intake.admission import ID_CHARACTERS_MAX

    text = sys.stdin.readline().rstrip("\r\n") if given == "-" else given
    if text is not None and not 0 < len(text) <= ID_CHARACTERS_MAX:
        raise UsageError(
            f"An id has 1 to {ID_CHARACTERS_MAX:,} characters, this one {len(text):,}.",
            "No other was ever counted.",
        )
    return text


def _done(folder: DataFolder, settings: Settings, place: Path) -> ForgetRequest:
    """What became of a request, once the server's meter has seen to it, or we have."""
    import time

    from headcount.errors import OperatorError
    from headcount.wiring.forget_files import read_request
    from headcount.wiring.metered import metered_until

    began_s, is_said = time.monotonic(), False

    def waiting() -> None:
        nonlocal is_said
        if not is_said and time.monotonic() - began_s > _SAY_AFTER_S:
            is_said = True
            say("The server counts first what waits in the journals; see `headcount doctor`.")

    metered_until(
        lambda: read_request(place).state not in ("waiting", "begun"),
        folder, settings.dedup_window_days, settings.memory, "forget", waiting,
    )  # fmt: skip
    request = read_request(place)
    if request.state == "refused":
        place.unlink()
        raise OperatorError(request.problem, request.remedy)
    return request


def _done_in_cluster(folder: DataFolder, node: str, place: Path) -> ForgetRequest:
    """What became of a request, once all partitions of the cluster have seen to it."""
    import time

    from headcount.errors import OperatorError
    from headcount.folderlock import FolderLock
    from headcount.runfiles import read_whole
    from headcount.wiring.forget_files import read_request

    began_s, said = time.monotonic(), ""
    while (request := read_request(place)).state != "done":
        if not FolderLock.held(folder.serve_lock):
            raise OperatorError(
                f'The server of node "{node}" has stopped before every partition has forgotten.',
                "Start it: it goes on by itself, and headcount cluster status says how far it is.",
            )
        time.sleep(_LOOK_EVERY_S)
        if time.monotonic() - began_s > _SAY_CLUSTER_AFTER_S:
            waits = read_whole(folder.forget_waits, dict[str, list[str]]) or {}
            now = " ".join(waits.get(place.name, ["The cluster's registry has to be asked."]))
            # Seconds pass, and are no news.
            if now.translate(_NO_DIGITS) != said:
                said = now.translate(_NO_DIGITS)
                say(now)
    return request


def _print(
    left: list[str],
    request: ForgetRequest,
    names: Mapping[int, tuple[str, str]],
    sources: Mapping[int, str],
    *,
    as_json: bool,
) -> None:
    from headcount.counting.calendar import Period

    found: list[dict[str, Any]] = []
    for each in request.found:
        workspace_id, name = names.get(each.workspace, ("", f"workspace {each.workspace}"))
        found.append(
            {
                "period": str(Period(each.period)),
                "workspaceId": workspace_id,
                "workspace": name,
                "id": "anonymousId" if each.is_anonymous else "userId",
                "sourceIds": [sources.get(number, "") for number in each.sources],
                "waitingMessages": each.waiting,
            }
        )
    if as_json:
        print_json({"found": found, "leftElsewhere": left})
        return
    if found:
        print_table(
            ("month", "workspace", "id", "seen in", "not counted"),
            [
                (
                    each["period"][:7],
                    each["workspace"],
                    each["id"],
                    number_of(len(each["sourceIds"]), "source"),
                    number_of(each["waitingMessages"], "message")
                    if each["waitingMessages"]
                    else "",
                )
                for each in found
            ],
        )
        say(
            "Random keys of the same days stand in their place; no total has changed. If the"
            " person comes again, they count anew."
        )
    else:
        say("Nothing was found of these ids in any month that holds ids.")
    for each_left in left:
        say(each_left)


def _left_elsewhere(folder: DataFolder, log_days: int | None) -> list[str]:
    """Where hashes of ids, or messages, may be that this command does not reach, as sentences."""
    left = ["Backups of the data folder hold what they held until they are deleted."]
    if log_days is not None:
        left += [
            f"The cluster's log holds what was handed on for {number_of(log_days, 'day')} and the"
            " rest of one; until then partitions keep what stands for whom, and no longer.",
            "Backups of partitions hold what they held until two newer ones are taken.",
        ]
    trash = sorted(folder.trash.glob("*")) if folder.trash.is_dir() else []
    if trash:
        left.append("Ids of months that were closed lately are in the trash for 7 days.")
    if folder.repaired.is_dir() and any(folder.repaired.iterdir()):
        left.append(f"{folder.repaired} holds what repairs have set aside: delete it.")
    if folder.spool.is_dir() and any(folder.spool.iterdir()):
        left.append(
            "What waits to be forwarded, encrypted until then, still is, unless it is dropped with"
            " `headcount source forward SOURCE --drop`; and ask the vendor to forget as well."
        )
    return left
