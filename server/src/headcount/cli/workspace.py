"""`headcount workspace`: makes and lists workspaces."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from headcount.cli.lookup import opened_catalog
from headcount.cli.options import as_json_option, settings_options
from headcount.clock import now_ms
from headcount.terminal import moment_text, print_json, print_record, print_table, say

if TYPE_CHECKING:
    from headcount.config import Settings

__all__ = ["workspace"]


@click.group()
def workspace() -> None:
    """Make and list workspaces.

    A workspace is what usage is read for: it has sources, API tokens and a plan of its own.
    """


@workspace.command(
    epilog="""\b
Examples:
  headcount workspace add Shop
  headcount workspace add "Web and app" --data /var/lib/headcount --json"""
)
@click.argument("name")
@settings_options("data")
@as_json_option
def add(settings: Settings, name: str, as_json: bool) -> None:
    """Make a workspace named NAME, which no other workspace may have.

    Makes the data folder too, if there is none yet.
    """
    with opened_catalog(settings, create=True) as catalog:
        made = catalog.add_workspace(name, now_ms())
    if as_json:
        print_json({"id": made.id, "name": made.name})
        return
    print_record({"id": made.id, "name": made.name})
    say("", f"Next: headcount source add web --workspace {shlex.quote(made.name)}")


@workspace.command(
    name="list",
    epilog="""\b
Example:
  headcount workspace list --json""",
)
@settings_options("data")
@as_json_option
def list_(settings: Settings, as_json: bool) -> None:
    """List the workspaces of the data folder."""
    with opened_catalog(settings) as catalog:
        workspaces = catalog.workspaces()
    if as_json:
        print_json(
            [
                {"id": each.id, "name": each.name, "createdAt": moment_text(each.created_at_ms)}
                for each in workspaces
            ]
        )
    elif workspaces:
        print_table(
            ("id", "name", "created"),
            [(each.id, each.name, moment_text(each.created_at_ms) or "") for each in workspaces],
        )
    else:
        say("There is no workspace yet. Make one with: headcount workspace add NAME")
