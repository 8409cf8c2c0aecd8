"""`headcount source`: makes, lists, renames, disables, enables and deletes sources, and rotates
their write keys."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from headcount.cli.addresses import tracking_url
from headcount.cli.forward import forward
from headcount.cli.lookup import (
    confirmed,
    found_source,
    found_workspace,
    listed,
    opened_catalog,
)
from headcount.cli.options import as_json_option, settings_options, workspace_option
from headcount.cli.quota import quota
from headcount.clock import now_ms
from headcount.terminal import moment_text, print_json, print_record, print_table, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from headcount.catalog import Catalog, Source
    from headcount.config import Settings

__all__ = ["source"]


@click.group()
def source() -> None:
    """Make and manage sources: the streams of messages inside a workspace.

    Each source has a write key, which its tracking SDK sends. Changes reach a running server within
    a second.
    """


@source.command(
    epilog="""\b
Examples:
  headcount source add web --workspace Shop
  headcount source add "iPhone app" --workspace Shop --json"""
)
@click.argument("name")
@workspace_option()
@settings_options("data")
@as_json_option
def add(settings: Settings, name: str, workspace: str, as_json: bool) -> None:
    """Make a source named NAME, with a fresh write key."""
    with opened_catalog(settings) as catalog:
        owner = found_workspace(catalog, workspace)
        made = catalog.add_source(owner.number, name, now_ms())
    _print_source(made, as_json)
    if not as_json:
        say(
            "",
            f"Post messages to {tracking_url(settings)}/v1/track with this write key.",
            f"Next: headcount token add --workspace {shlex.quote(owner.name)}",
        )


@source.command(
    name="list",
    epilog="""\b
Example:
  headcount source list --workspace Shop --json""",
)
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def list_(settings: Settings, workspace: str | None, as_json: bool) -> None:
    """List sources with their write keys."""
    found = listed(settings, workspace, lambda catalog, number: catalog.sources(number))
    if as_json:
        print_json(
            [
                {
                    "id": each.id,
                    "name": each.name,
                    "workspaceId": owner.id,
                    "writeKey": None if each.deleted_at_ms is not None else each.write_key,
                    "enabled": each.enabled,
                    "refusesBots": each.refuses_bots,
                    "createdAt": moment_text(each.created_at_ms),
                    "deletedAt": moment_text(each.deleted_at_ms),
                }
                for owner, each in found
            ]
        )
    elif found:
        print_table(
            ("id", "workspace", "name", "write key", "state"),
            [
                (
                    each.id,
                    owner.name,
                    each.name,
                    "" if each.deleted_at_ms is not None else each.write_key,
                    _state(each),
                )
                for owner, each in found
            ],
        )
    else:
        say("There is no source yet. Make one with: headcount source add NAME --workspace W")


@source.command(
    epilog="""\b
Examples:
  headcount source disable web --workspace Shop
  headcount source disable 4tTYPSxYMXbmpRjOGrFdhe"""
)
@click.argument("source")
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def disable(settings: Settings, source: str, workspace: str | None, as_json: bool) -> None:
    """Refuse messages with the write key of SOURCE (an id or a name) from now on.

    What was counted stays.
    """
    _change(settings, source, workspace, as_json, lambda c, n: c.set_source_enabled(n, False))


@source.command(
    epilog="""\b
Example:
  headcount source enable web --workspace Shop"""
)
@click.argument("source")
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def enable(settings: Settings, source: str, workspace: str | None, as_json: bool) -> None:
    """Admit messages of SOURCE (an id or a name) again."""
    _change(settings, source, workspace, as_json, lambda c, n: c.set_source_enabled(n, True))


@source.command(
    epilog="""\b
Examples:
  headcount source bots web --workspace Shop --refuse
  headcount source bots web --workspace Shop --count"""
)
@click.argument("source")
@click.option("--refuse/--count", "refused", required=True, help="Refuse them, or count them.")
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def bots(
    settings: Settings, source: str, refused: bool, workspace: str | None, as_json: bool
) -> None:
    """Refuse messages of known bots to SOURCE (an id or a name), or count them like others.

    A bot is who calls itself so: a User-Agent that stands on the list that comes with Headcount.
    What is refused is told as outcome "bot".
    """
    _change(
        settings, source, workspace, as_json, lambda c, n: c.set_bots_refused(n, refused, now_ms())
    )


@source.command(
    name="rotate-key",
    epilog="""\b
Example:
  headcount source rotate-key web --workspace Shop --json""",
)
@click.argument("source")
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def rotate_key(settings: Settings, source: str, workspace: str | None, as_json: bool) -> None:
    """Give SOURCE (an id or a name) a fresh write key; the former one stops working."""
    _change(settings, source, workspace, as_json, lambda c, n: c.rotate_write_key(n))


source.add_command(forward)
source.add_command(quota)


@source.command(
    epilog="""\b
Example:
  headcount source rename web "Web shop" --workspace Shop"""
)
@click.argument("source")
@click.argument("name")
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def rename(
    settings: Settings, source: str, name: str, workspace: str | None, as_json: bool
) -> None:
    """Call SOURCE (an id or a name) NAME from now on, wherever it is shown.

    Its id, its write key and what it has used stay the same.
    """
    with opened_catalog(settings) as catalog:
        found = found_source(catalog, source, workspace)
        catalog.rename_source(found.number, name)
        changed = catalog.source(found.workspace, found.id)
    assert changed is not None
    _print_source(changed, as_json)


@source.command(
    epilog="""\b
Example:
  headcount source delete web --workspace Shop --yes"""
)
@click.argument("source")
@click.option("--yes", is_flag=True, help="Delete without asking first.")
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def delete(
    settings: Settings, source: str, yes: bool, workspace: str | None, as_json: bool
) -> None:
    """Refuse messages of SOURCE (an id or a name) for good; this cannot be taken back.

    What it has used stays in its workspace's counts, and is shown as "(deleted)". Its id is never
    used again, its name may be.
    """
    with opened_catalog(settings) as catalog:
        found = found_source(catalog, source, workspace)
        if not yes:
            confirmed(f'Delete the source "{found.name}"?')
        catalog.delete_source(found.number, now_ms())
        changed = next(
            each for each in catalog.sources(found.workspace) if each.number == found.number
        )
    if as_json:
        deleted_at = moment_text(changed.deleted_at_ms)
        print_json({"id": changed.id, "name": changed.name, "deletedAt": deleted_at})
        return
    print_record({"id": changed.id, "name": changed.name, "state": "deleted"})


def _change(
    settings: Settings,
    source: str,
    workspace: str | None,
    as_json: bool,
    change: Callable[[Catalog, int], Source],
) -> None:
    with opened_catalog(settings) as catalog:
        changed = change(catalog, found_source(catalog, source, workspace).number)
    _print_source(changed, as_json)


def _state(source: Source) -> str:
    if source.deleted_at_ms is not None:
        return "deleted"
    return _enabled(source)


def _enabled(source: Source) -> str:
    state = "enabled" if source.enabled else "disabled"
    return f"{state}, refuses bots" if source.refuses_bots else state


def _print_source(source: Source, as_json: bool) -> None:
    if as_json:
        print_json({"id": source.id, "name": source.name, "writeKey": source.write_key})
        return
    print_record(
        {
            "id": source.id,
            "name": source.name,
            "write key": source.write_key,
            "state": _enabled(source),
        }
    )
