"""`headcount doctor`: checks a data folder, and accepts the clock when asked to."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import click

from headcount.cli.options import as_json_option, settings_options
from headcount.cli.output import moment_text, print_json, say, write_text
from headcount.clock import now_ms
from headcount.shown import shown

if TYPE_CHECKING:
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
  headcount doctor --confirm-clock"""
)
@click.option(
    "--confirm-clock",
    is_flag=True,
    help="Accept today's date first: after days without messages, or a jump of the clock, no month"
    " is closed until somebody says that the date is right.",
)
@settings_options("data", "hash_key")
@as_json_option
def doctor(settings: Settings, confirm_clock: bool, as_json: bool) -> int:
    """Check the data folder: recount it, read every file whole, and say what to do.

    Works while the server runs, and while it is stopped; changes nothing, unless the clock is
    confirmed. The status is 1 if there is a problem, else 0; a warning alone is 0.
    """
    from headcount.datafolder import open_data_folder
    from headcount.doctor import Level, examine, worst

    folder = open_data_folder(settings.data, create=False)
    now = now_ms()
    if confirm_clock:
        _confirm(folder, now)
    findings: list[Finding] = []
    for finding in examine(folder, settings.hash_key, now):
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
    return 1 if level == Level.PROBLEM else 0


def _confirm(folder: DataFolder, now: int) -> None:
    import time
    from contextlib import closing

    from headcount.datafolder import FolderLock
    from headcount.metering.calendar import day_of_ms, day_text
    from headcount.store.sqlite import SqliteStore

    today = day_of_ms(now)
    with closing(SqliteStore(folder.store)) as store:
        store.trust_day(today)
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


def _print(finding: Finding) -> None:
    level = finding.level.value if finding.level == "ok" else finding.level.value.upper()
    line = f"{level:<{_LEVEL_WIDTH}}{finding.check:<{_CHECK_WIDTH}}{shown(finding.message)}\n"
    if finding.remedy:
        line += textwrap.indent(
            f"Remedy: {shown(finding.remedy)}\n", " " * (_LEVEL_WIDTH + _CHECK_WIDTH)
        )
    write_text(line)
    sys.stdout.flush()
