"""What the demo suggests: takes addresses, keys and tokens that work, gives commands to paste.

Each command runs as it is printed, from any folder, in any shell.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from datetime import date
from pathlib import Path

import click

from headcount.demo.server import Addresses

__all__ = ["print_next", "typed_program"]


def typed_program() -> str:
    """What a person types to run this very program: its name where that finds it, or its path."""
    ours = Path(sys.executable).with_name("headcount")
    if not ours.exists():
        return f"{shlex.quote(sys.executable)} -m headcount"
    found = shutil.which("headcount")
    if found is not None and Path(found).samefile(ours):
        return "headcount"
    return shlex.quote(str(ours))


def print_next(folder: Path, addresses: Addresses, write_key: str, token: str, today: date) -> None:
    """Say what to try, and at the end where the page is and how to end the demo."""
    headcount, python = typed_program(), shlex.quote(sys.executable)
    click.secho("\nTry next, while this keeps running", bold=True)
    click.echo(
        f"""\
  Send a message and read the month again:
    curl -u {write_key}: {addresses.tracking}/v1/track \\
      -d '{{"userId": "you", "event": "Tried Headcount"}}'
    curl -H "Authorization: Bearer {token}" \\
      "{addresses.api}/usage/api-calls/daily?period={today.isoformat()}"

  Read it in Python:
    {python} -c "from segment_public_api import *; \\
      client = ApiClient(Configuration(host='{addresses.api}', access_token='{token}')); \\
      print(MonthlyTrackedUsersApi(client).get_daily_workspace_mtu_usage('{today.isoformat()}'))"

  Read it in a terminal, and see the sources:
    HEADCOUNT_TOKEN={token} {headcount} usage --by source --last --data {folder}
    {headcount} source list --data {folder}

  The whole API is described at {addresses.api}/docs

  When this has ended, a server of your own:
    {headcount} serve --data ./headcount-data
"""
    )
    click.secho("The page", bold=True)
    click.echo(
        f"""\
  address  {addresses.api}/
  token    {token}

Press Ctrl-C to end this; the demo's folder is then removed."""
    )
