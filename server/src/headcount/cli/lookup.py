"""The data folder and the catalog as commands use them: opened, searched, closed.

Takes settings and what a person typed, gives records; refuses names that stand for nothing, or for
several things, with the command that lists what there is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from headcount.errors import UsageError

if TYPE_CHECKING:
    from headcount.catalog import AlertRuleRecord, Catalog, Channel, Source, Workspace
    from headcount.config import Settings

__all__ = [
    "found_channel",
    "found_rule",
    "found_source",
    "found_workspace",
    "listed",
    "opened_catalog",
    "selected_workspaces",
]

T = TypeVar("T")


@contextmanager
def opened_catalog(settings: Settings, *, create: bool = False) -> Iterator[Catalog]:
    """The catalog of the data folder in the settings.

    Args:
        settings: names the data folder.
        create: make the folder when there is none.

    Raises:
        DataFolderError: the folder or its catalog cannot be used as it is.
    """
    from headcount.cluster.catalogs import catalog_for_changes
    from headcount.datafolder import open_data_folder
    from headcount.integrity import refuse_unknown_workspaces

    folder = open_data_folder(settings.data, create=create, write=True)
    refuse_unknown_workspaces(folder.path)
    with catalog_for_changes(folder, settings.cluster) as catalog:
        yield catalog


def found_workspace(catalog: Catalog, id_or_name: str) -> Workspace:
    """The workspace of that id or name.

    Raises:
        UsageError: there is none.
    """
    workspace = catalog.workspace(id_or_name)
    if workspace is None:
        raise UsageError(
            f'There is no workspace "{id_or_name}".',
            "See `headcount workspace list`, or make it with `headcount workspace add`.",
        )
    return workspace


def confirmed(question: str) -> None:
    """Go on only if somebody agrees.

    Raises:
        UsageError: nobody is there to be asked.
        click.Abort: they do not.
    """
    if not sys.stdin.isatty():
        raise UsageError("Nobody is there to agree.", "Say --yes.")
    click.confirm(question, abort=True, err=True)


def selected_workspaces(catalog: Catalog, id_or_name: str | None) -> list[Workspace]:
    """The one workspace that was asked for, else all.

    Raises:
        UsageError: there is no workspace of that id or name.
    """
    return catalog.workspaces() if id_or_name is None else [found_workspace(catalog, id_or_name)]


def listed(
    settings: Settings, workspace: str | None, of: Callable[[Catalog, int], Iterable[T]]
) -> list[tuple[Workspace, T]]:
    """What the selected workspaces have, each with its workspace.

    Args:
        settings: name the data folder.
        workspace: id or name of the only one; all when None.
        of: what the one of a number has.

    Raises:
        UsageError: there is no workspace of that id or name.
        DataFolderError: the folder or its catalog cannot be used as it is.
    """
    with opened_catalog(settings) as catalog:
        return [
            (owner, each)
            for owner in selected_workspaces(catalog, workspace)
            for each in of(catalog, owner.number)
        ]


def found_source(catalog: Catalog, id_or_name: str, workspace: str | None) -> Source:
    """The source of that id or name.

    Args:
        catalog: where to look.
        id_or_name: what a person typed.
        workspace: id or name of the only workspace to look in; all when None.

    Raises:
        UsageError: there is none, or several workspaces have one of that name.
    """
    found = [
        source
        for each in selected_workspaces(catalog, workspace)
        if (source := catalog.source(each.number, id_or_name)) is not None
    ]
    by_id = [source for source in found if source.id == id_or_name]
    if len(by_id or found) > 1:
        raise UsageError(
            f'{len(found)} workspaces have a source named "{id_or_name}".',
            "Say which with --workspace, or give the source's id.",
        )
    if not found:
        place = "" if workspace is None else f' in workspace "{workspace}"'
        raise UsageError(
            f'There is no source "{id_or_name}"{place}.', "See `headcount source list`."
        )
    return (by_id or found)[0]


def found_channel(
    catalog: Catalog, id_or_name: str, workspace: str | None
) -> tuple[Workspace, Channel]:
    """The channel of that id or name, and its workspace.

    Raises:
        UsageError: there is none, or several workspaces have one of that name.
    """
    return _one_of(catalog, workspace, catalog.channel, "channel", id_or_name)


def found_rule(
    catalog: Catalog, id_or_name: str, workspace: str | None
) -> tuple[Workspace, AlertRuleRecord]:
    """The rule of alerts of that id or name, and its workspace.

    Raises:
        UsageError: there is none, or several have that name.
    """
    owner, found = _one_of(catalog, workspace, catalog.alert_rule, "alert", id_or_name)
    named = [each for each in catalog.alert_rules(owner.number) if each.name == found.name]
    if found.id != id_or_name and len(named) > 1:
        raise UsageError(
            f'{len(named)} alerts are named "{found.name}".',
            "Give the id of one: `headcount alert list` has them.",
        )
    return owner, found


def _one_of(
    catalog: Catalog,
    workspace: str | None,
    of: Callable[[int, str], T | None],
    what: str,
    id_or_name: str,
) -> tuple[Workspace, T]:
    found = [
        (owner, each)
        for owner in selected_workspaces(catalog, workspace)
        if (each := of(owner.number, id_or_name)) is not None
    ]
    if len(found) > 1:
        raise UsageError(
            f'{len(found)} workspaces have a {what} named "{id_or_name}".',
            f"Say which with --workspace, or give the {what}'s id.",
        )
    if not found:
        raise UsageError(f'There is no {what} "{id_or_name}".', f"See `headcount {what} list`.")
    return found[0]
