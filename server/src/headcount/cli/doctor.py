"""`headcount doctor`: checks a data folder, and accepts the clock when asked to."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import click

from headcount.cli.options import as_json_option, settings_options
from headcount.clock import now_ms
from headcount.shown import shown
from headcount.terminal import moment_text, print_json, say, write_text

if TYPE_CHECKING:
    from headcount.cluster.membership import Membership
    from headcount.config import Settings
    from headcount.datafolder import DataFolder
    from headcount.doctor import Finding

__all__ = ["doctor"]

_LEVEL_WIDTH = 9
_CHECK_WIDTH = 15
_COUNTED_WITHIN_S, _LOOK_EVERY_S = 10.0, 0.05


@click.command(
    epilog="""\b
Examples:
  headcount doctor
  headcount doctor --data /var/lib/headcount --json
  headcount doctor --confirm-clock
  headcount doctor --repair"""
)
@click.option(
    "--confirm-clock",
    is_flag=True,
    help="Accept today's date first: after days without messages, or a jump of the clock, no month"
    " is closed until somebody says that the date is right.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="Repair what is damaged, as far as checksums and other counts prove how it was, and say"
    " what is lost; the server must be stopped. What is taken out is kept in the folder"
    " `repaired`.",
)
@click.option("--yes", is_flag=True, help="Repair without asking first.")
@settings_options("data", "hash_key", "backups")
@as_json_option
def doctor(settings: Settings, confirm_clock: bool, repair: bool, yes: bool, as_json: bool) -> int:
    """Check the data folder: recount it, read every file whole, and say what to do.

    Works while the server runs, and while it is stopped; changes nothing, unless the clock is
    confirmed or a repair is asked for. The status is 1 if there is a problem, else 0; a warning
    alone is 0.
    """
    from headcount.cluster.catalogs import membership_of
    from headcount.datafolder import open_data_folder
    from headcount.doctor import Level, examine, worst

    now = now_ms()
    acts = _repair(settings, now, yes=yes, as_json=as_json) if repair else []
    folder = open_data_folder(settings.data, create=False)
    if confirm_clock and (membership := membership_of(folder)) is not None:
        _confirm_in_cluster(folder, settings, membership, now)
    elif confirm_clock:
        _confirm(folder, now)
    findings: list[Finding] = []
    for finding in examine(folder, settings.hash_key, now, settings.backups):
        findings.append(finding)
        if not as_json:
            _print(finding)
    level = worst(findings)
    if as_json:
        print_json(
            {
                "status": level.value,
                "data": str(folder.path),
                "checkedAt": moment_text(now),
                **({"repair": acts} if repair else {}),
                "findings": [
                    {
                        "check": each.check,
                        "level": each.level.value,
                        "message": each.message,
                        "remedy": each.remedy or None,
                        "details": dict(each.details),
                    }
                    for each in findings
                ],
            }
        )
    refused = any(act["remedy"] for act in acts)
    return 1 if level == Level.PROBLEM or refused else 0


def _repair(settings: Settings, now: int, *, yes: bool, as_json: bool) -> list[dict[str, str]]:
    """Repair the folder; what was done and what could not be, for programs."""
    from headcount.datafolder import DataFolder, open_data_folder
    from headcount.doctor.repair import repair
    from headcount.errors import DataFolderError, UsageError
    from headcount.folderlock import FolderLock
    from headcount.wiring.storage import refusal_to_write

    folder = DataFolder(settings.data)
    if not any(path.exists() for path in (folder.store, folder.catalog, folder.journals)):
        open_data_folder(settings.data, create=False)  # says that there is nothing
    if (refusal := refusal_to_write(folder)) is not None:
        raise DataFolderError(
            f"A repair writes to the data folder: {refusal}",
            "Make room on the disk, or let it be written, then repair again; nothing was changed.",
        )
    with FolderLock(folder.serve_lock, "doctor"), FolderLock(folder.meter_lock, "doctor"):
        question = f"Repair {folder.path}? What is taken out is kept in {folder.repaired}"
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(
                    "A repair changes the data folder, and nobody is there to agree.",
                    "Take a copy of the folder first, then say --yes.",
                )
            click.confirm(question, abort=True, err=True)
        done = []
        for act in repair(folder, settings.hash_key, (moment_text(now) or "").replace(":", "")):
            done.append({"what": act.what, "lost": act.lost, "remedy": act.remedy})
            if not as_json:
                line = " ".join(filter(None, (act.what, act.lost and f"LOST: {act.lost}")))
                say(f"{line} Remedy: {act.remedy}" if act.remedy else line)
        if not done and not as_json:
            say("There is nothing to repair.")
    return done


def _confirm(folder: DataFolder, now: int) -> None:
    import time
    from contextlib import closing

    from headcount.counting.calendar import day_of_ms, day_text
    from headcount.datafolder import FolderLock
    from headcount.store.opening import open_store
    from headcount.store.protocol import Change

    today = day_of_ms(now)
    with closing(open_store(folder.store)) as store:
        store.commit(Change(confirmed_day=today))
        say(f"The clock is confirmed: today is {day_text(today)}.")
        if not store.confirmed_aside(1):
            return
        # A running meter counts at once what has waited, and the report should show it so.
        give_up_at_s = time.monotonic() + _COUNTED_WITHIN_S
        while FolderLock.held(folder.meter_lock) and time.monotonic() < give_up_at_s:
            if not store.confirmed_aside(1):
                say("What waited for its day is counted.")
                return
            time.sleep(_LOOK_EVERY_S)
    say("What waited for its day is counted once the server runs.")


def _confirm_in_cluster(
    folder: DataFolder, settings: Settings, membership: Membership, now: int
) -> None:
    """Have every partition accept the date, each where its log has it."""
    import time
    from contextlib import closing

    from headcount.cluster.address import address_of
    from headcount.cluster.placement import partitions_of
    from headcount.counting.calendar import day_of_ms, day_text
    from headcount.engines.opening import open_log
    from headcount.errors import ClusterError, EngineAwayError, SettingError
    from headcount.stages.sealing_orders import publish_confirmation
    from headcount.store.opening import open_store

    if settings.cluster is None:
        raise SettingError(
            f'This data folder is node "{membership.node}" of a cluster, whose partitions have to'
            " be told.",
            "Name the cluster with HEADCOUNT_CLUSTER, or in the settings file.",
        )
    today = day_of_ms(now)
    cluster = membership.cluster
    names = [str(each) for each in partitions_of(cluster.facts, cluster.keys)]
    with closing(open_log(address_of(settings.cluster), days=settings.log_days)) as log:
        try:
            publish_confirmation(log, names, today)
        except EngineAwayError as error:
            raise ClusterError(
                f"The cluster's log is away, and not all partitions are told: {error.problem}",
                "Run the same command again once its engine is back.",
            ) from error
    say(f"All partitions are told that today is {day_text(today)}.")
    with closing(open_store(folder.store)) as store:
        give_up_at_s = time.monotonic() + _COUNTED_WITHIN_S
        while time.monotonic() < give_up_at_s:
            state = store.state()
            if state.trusted_day == today and (state.last_metered_day or 0) <= today:
                say("The clock is confirmed. Partitions count what waited for its day.")
                return
            time.sleep(_LOOK_EVERY_S)
    say("They confirm it as they come to it; see headcount cluster status.")


def _print(finding: Finding) -> None:
    level = finding.level.value if finding.level == "ok" else finding.level.value.upper()
    line = f"{level:<{_LEVEL_WIDTH}}{finding.check:<{_CHECK_WIDTH}}{shown(finding.message)}\n"
    if finding.remedy:
        line += textwrap.indent(
            f"Remedy: {shown(finding.remedy)}\n", " " * (_LEVEL_WIDTH + _CHECK_WIDTH)
        )
    write_text(line)
    sys.stdout.flush()
