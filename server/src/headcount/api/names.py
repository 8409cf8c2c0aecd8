"""Names of workspaces and sources, kept in memory for as long as the catalog is unchanged.

Takes numbers, which is what counts are kept by, gives the ids and names that clients see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headcount.catalog import Catalog, Source, Workspace

__all__ = ["Directory"]


class Directory:
    """A cache in front of the catalog.

    Args:
        catalog: asked for its version on every use, and for names when that has changed.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._version = catalog.version()
        self._workspaces: dict[int, Workspace | None] = {}
        self._sources: dict[int, dict[int, Source]] = {}

    def workspace(self, number: int) -> Workspace | None:
        """The workspace of a number."""
        self._refresh()
        if number not in self._workspaces:
            self._workspaces[number] = self._catalog.workspace_by_number(number)
        return self._workspaces[number]

    def sources(self, workspace: int) -> Mapping[int, Source]:
        """All sources of a workspace, by number."""
        self._refresh()
        if workspace not in self._sources:
            listed = self._catalog.sources(workspace)
            self._sources[workspace] = {source.number: source for source in listed}
        return self._sources[workspace]

    def source_ids(self, workspace: int, numbers: Iterable[int]) -> list[str]:
        """The ids of sources.

        A number that the catalog does not know (its file was replaced by an older one) gets an id
        made of the number, so that the rows of the sources still add up to the workspace.
        """
        known = self.sources(workspace)
        return [
            source.id if (source := known.get(number)) else f"unknown-{number}"
            for number in numbers
        ]

    def _refresh(self) -> None:
        version = self._catalog.version()
        if version != self._version:
            self._workspaces.clear()
            self._sources.clear()
            self._version = version
