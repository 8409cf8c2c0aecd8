"""`headcount workspace`: makes, lists, renames and deletes workspaces."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from headcount.cli.lookup import found_workspace, opened_catalog
from headcount.cli.options import as_json_option, settings_options
from headcount.clock import now_ms
from headcount.counting.calendar import MS_PER_DAY
from headcount.terminal import moment_text, print_json, print_record, print_table, say

if TYPE_CHECKING:
    from headcount.config import Settings

__all__ = ["workspace"]


@click.group()
def workspace() -> None:
    """Make and manage workspaces.

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


@workspace.command(
    epilog="""\b
Example:
  headcount workspace rename Shop "Web shop" """
)
@click.argument("workspace")
@click.argument("name")
@settings_options("data")
@as_json_option
def rename(settings: Settings, workspace: str, name: str, as_json: bool) -> None:
    """Call WORKSPACE (an id or a name) NAME from now on, wherever it is shown."""
    with opened_catalog(settings) as catalog:
        found = found_workspace(catalog, workspace)
        catalog.rename_workspace(found.number, name)
        changed = found_workspace(catalog, found.id)
    record = {"id": changed.id, "name": changed.name}
    if as_json:
        print_json(record)
        return
    print_record(record)


@workspace.command(
    epilog="""\b
Examples:
  headcount workspace delete Shop
  headcount workspace delete Shop --confirm Shop --now"""
)
@click.argument("workspace")
@click.option("--confirm", metavar="NAME", help="The workspace's name once more, to be sure.")
@click.option("--now", "at_once", is_flag=True, help="Erase it now, not in 30 days.")
@settings_options("data", "memory")
@as_json_option
def delete(
    settings: Settings, workspace: str, confirm: str | None, at_once: bool, as_json: bool
) -> None:
    """Delete WORKSPACE (an id or a name): refuse its write keys, tokens and links within a second.

    In 30 days it is erased, with all that is known of it: usage, outcomes, keys, tokens, links,
    limits and names; until then `workspace undelete` takes that back. What months that are still
    open have counted is kept, shown to nobody, until their ids go: a recount needs it. Backups hold
    it until they are deleted.
    """
    from headcount.datafolder import DataFolder
    from headcount.errors import UsageError
    from headcount.wiring.erasing import ERASED_AFTER_DAYS

    moment = now_ms()
    erase_from_ms = moment if at_once else moment + ERASED_AFTER_DAYS * MS_PER_DAY
    with opened_catalog(settings) as catalog:
        number = catalog.deleted_workspace(workspace)
        name = workspace
        if number is None:
            found = found_workspace(catalog, workspace)
            number, name = found.number, found.name
        if confirm is None and sys.stdin.isatty():
            confirm = click.prompt(
                f'Type the name of the workspace "{name}" to delete it', err=True
            )
        if confirm != name:
            raise UsageError(
                f'"{name}" was to be deleted, and its name was not confirmed.',
                "Say it once more with --confirm NAME.",
            )
        catalog.delete_workspace(number, moment, erase_from_ms)
    in_a_cluster = DataFolder(settings.data).cluster.exists()
    if at_once and not in_a_cluster:
        _await_erasure(settings, number)
    when = moment_text(erase_from_ms)
    if as_json:
        print_json({"name": name, "deletedAt": moment_text(moment), "eraseFrom": when})
        return
    if at_once and in_a_cluster:
        say(
            f'"{name}" is deleted. Nodes erase it within some minutes of having counted all that'
            " was taken before; see docs/cluster.md for where it stays longer."
        )
    elif at_once:
        say(f'"{name}" is deleted and erased.')
    else:
        say(
            f'"{name}" is deleted, and is erased on {when}. Until then:',
            f"  headcount workspace undelete {shlex.quote(name)}",
        )


def _await_erasure(settings: Settings, number: int) -> None:
    """Wait until the server has erased a workspace, or do it where none runs."""
    from headcount.catalog import Catalog
    from headcount.datafolder import DataFolder
    from headcount.wiring.metered import metered_until

    folder = DataFolder(settings.data)
    with Catalog(folder.catalog, read_only=True) as catalog:
        metered_until(
            lambda: any(
                each.number == number and each.erased_at_ms is not None
                for each in catalog.deletions()
            ),
            folder, settings.dedup_window_days, settings.memory, "workspace delete",
        )  # fmt: skip


@workspace.command(
    epilog="""\b
Example:
  headcount workspace undelete Shop"""
)
@click.argument("workspace")
@settings_options("data")
@as_json_option
def undelete(settings: Settings, workspace: str, as_json: bool) -> None:
    """Take the deletion of WORKSPACE (an id or a name) back, as long as it is not erased."""
    from headcount.errors import UsageError

    with opened_catalog(settings) as catalog:
        number = catalog.deleted_workspace(workspace)
        if number is None:
            raise UsageError(
                f'There is no deleted workspace "{workspace}" that is not erased.',
                "What is erased is in backups alone.",
            )
        catalog.undelete_workspace(number)
        found = found_workspace(catalog, workspace)
    record = {"id": found.id, "name": found.name}
    if as_json:
        print_json(record)
        return
    print_record(record)
