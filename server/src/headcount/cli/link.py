"""`headcount link`: makes, lists and revokes links to views of the page that need no token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headcount.cli.addresses import api_url
from headcount.cli.expiry import EXPIRES_HELP, expiry_ms
from headcount.cli.lookup import (
    found_source,
    found_workspace,
    listed,
    opened_catalog,
    selected_workspaces,
)
from headcount.cli.options import as_json_option, settings_options, workspace_option
from headcount.clock import now_ms
from headcount.errors import UsageError
from headcount.terminal import moment_text, print_json, print_record, print_table, say

if TYPE_CHECKING:
    from headcount.catalog import Link, View, Workspace
    from headcount.config import Settings

__all__ = ["link"]

_BESIDE_MAX = 120


@click.group()
def link() -> None:
    """Make and revoke read-only links.

    Whoever has a link sees one view of the page without a token, and can change nothing. It is no
    API token.
    """


@link.command(
    epilog="""\b
Examples:
  headcount link add --workspace Shop --name Board
  headcount link add --workspace Shop --all-sources --beside 12 --expires 90d
  headcount link add --workspace Shop --source web --period 2026-10 --url https://usage.example.com"""
)
@workspace_option()
@click.option("--name", default="", help="What people call it.")
@click.option("--source", metavar="S", help="Only the page of this source, by id or name.")
@click.option("--all-sources", is_flag=True, help="The pages of all sources as well.")
@click.option(
    "--period", metavar="MONTH", help="Month such as 2026-10. Default: always the one that runs."
)
@click.option(
    "--beside",
    type=click.IntRange(1, _BESIDE_MAX),
    default=1,
    show_default=True,
    metavar="N",
    help="Held against the month so many months before: 12 is the same month a year ago.",
)
@click.option("--expires", metavar="WHEN", help=EXPIRES_HELP.format("link"))
@click.option("--url", metavar="URL", help="Where people reach the page. Default: the API address.")
@settings_options("data")
@as_json_option
def add(
    settings: Settings,
    workspace: str,
    name: str,
    source: str | None,
    all_sources: bool,
    period: str | None,
    beside: int,
    expires: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Make a link and print it, once: only its hash is kept."""
    from headcount.cli.reading.usage_rows import period_named

    if source is not None and all_sources:
        raise UsageError("--source and --all-sources are given.", "Give one of them, or neither.")
    view: View = "source" if source is not None else "all" if all_sources else "workspace"
    made_at_ms = now_ms()
    with opened_catalog(settings) as catalog:
        owner = found_workspace(catalog, workspace)
        made, secret = catalog.add_link(
            owner.number,
            made_at_ms,
            name=name.strip(),
            view=view,
            source=None if source is None else found_source(catalog, source, owner.id).number,
            period=None if period is None else period_named(period, "--period").number,
            against=beside,
            expires_at_ms=None if expires is None else expiry_ms(expires, made_at_ms),
        )
    address = f"{(url or api_url(settings)).rstrip('/')}/page/view/{secret}"
    if as_json:
        print_json({"id": made.id, "link": address})
        return
    print_record(
        {
            "id": made.id,
            "link": address,
            "shows": _shows(made, source),
            "expires": moment_text(made.expires_at_ms) or "never",
        }
    )
    say("", "Keep the link now: it cannot be shown again. Whoever has it sees that view.")


@link.command(
    name="list",
    epilog="""\b
Example:
  headcount link list --workspace Shop --json""",
)
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def list_(settings: Settings, workspace: str | None, as_json: bool) -> None:
    """List links and when each was last used, without their secrets."""
    with opened_catalog(settings) as catalog:
        names = {each.number: each.name for each in catalog.sources()}
    found = listed(settings, workspace, lambda catalog, number: catalog.links(number))
    if as_json:
        print_json([_as_data(owner, each, names) for owner, each in found])
    elif found:
        print_table(
            ("id", "workspace", "name", "shows", "expires", "last used", "state"),
            [
                (
                    each.id,
                    owner.name,
                    each.name,
                    _shows(each, names.get(each.source or 0)),
                    moment_text(each.expires_at_ms) or "never",
                    moment_text(each.used_at_ms) or "never",
                    _state(each),
                )
                for owner, each in found
            ],
        )
    else:
        say("There is no link yet. Make one with: headcount link add --workspace W")


@link.command(
    epilog="""\b
Example:
  headcount link revoke 4tTYPSxYMXbmpRjOGrFdhe"""
)
@click.argument("link_id", metavar="ID")
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def revoke(settings: Settings, link_id: str, workspace: str | None, as_json: bool) -> None:
    """Revoke the link of that ID, for ever."""
    with opened_catalog(settings) as catalog:
        names = {each.number: each.name for each in catalog.sources()}
        for owner in selected_workspaces(catalog, workspace):
            revoked = catalog.revoke_link(owner.number, link_id, now_ms())
            if revoked is not None:
                break
        else:
            raise UsageError(f'There is no link "{link_id}".', "See `headcount link list`.")
    if as_json:
        print_json(_as_data(owner, revoked, names))
    else:
        print_record({"id": revoked.id, "revoked": moment_text(revoked.revoked_at_ms) or ""})


def _month(link: Link) -> str | None:
    from headcount.counting.calendar import Period

    return None if link.period is None else str(Period(link.period))[: len("2026-11")]


def _shows(link: Link, source: str | None) -> str:
    what = {"workspace": "the workspace", "source": f"source {source}", "all": "all"}[link.view]
    beside = f", beside {link.against} months before" if link.against != 1 else ""
    return f"{what}, {_month(link) or 'the month that runs'}{beside}"


def _as_data(owner: Workspace, link: Link, names: dict[int, str]) -> dict[str, str | int | None]:
    return {
        "id": link.id,
        "workspaceId": owner.id,
        "name": link.name,
        "view": link.view,
        "sourceName": None if link.source is None else names.get(link.source),
        "period": _month(link),
        "against": link.against,
        "state": _state(link),
        "createdAt": moment_text(link.created_at_ms),
        "expiresAt": moment_text(link.expires_at_ms),
        "revokedAt": moment_text(link.revoked_at_ms),
        "lastUsedAt": moment_text(link.used_at_ms),
    }


def _state(link: Link) -> str:
    if link.revoked_at_ms is not None:
        return "revoked"
    return "valid" if link.valid_at(now_ms()) else "expired"
