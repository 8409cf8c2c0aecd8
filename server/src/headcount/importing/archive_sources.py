"""Whose a record of an archive is: takes the names that it and its file carry, gives a source.

A vendor's archive names sources as the vendor does: by `projectId`, or by a folder. Such a name
stands for what a map says, else for the source that has it as its name or id, else, where sources
may be made, for a new one of that name. So a mapping that was made once holds for every later
import.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from headcount.catalog import Catalog, Source, Workspace
from headcount.counting.calendar import MS_PER_DAY
from headcount.errors import UsageError
from headcount.intake import SourceRef
from headcount.wiring.sources import CatalogSources

__all__ = ["ArchiveSources", "vendors_source"]

_NAMED_MAX = 20

# segment-logs/{source}/{day}/file, the day in milliseconds; and copies of what is below.
_SEGMENT_FOLDER = re.compile(r"(?:^|/)segment-logs/([^/]+)/")
_SEGMENT_DAY = re.compile(r"(?:^|/)([^/]+)/(\d{13})/[^/]+$")
# rudder-logs/{source}/{day}/file, and {source}/gw/{day}/{hour}/{instance}/file.
_RUDDER_FOLDER = re.compile(r"(?:^|/)rudder-logs/([^/]+)/")
_RUDDER_ARCHIVE = re.compile(r"(?:^|/)([^/]+)/gw/\d{4}-\d\d-\d\d/\d{1,2}/[^/]+/[^/]+$")


def vendors_source(path: str) -> str | None:
    """The source that a vendor's layout of folders names; None where it is no such layout.

    Args:
        path: of a file or object, whole, its parts separated by "/".
    """
    for layout in (_SEGMENT_FOLDER, _RUDDER_FOLDER, _RUDDER_ARCHIVE):
        if found := layout.search(path):
            return found[1]
    found = _SEGMENT_DAY.search(path)
    return found[1] if found and int(found[2]) % MS_PER_DAY == 0 else None


class ArchiveSources:
    """The sources of one workspace, as archives name them.

    Args:
        catalog: where they are.
        workspace: whose they are.
        mapped: which source a name stands for.
        make: makes a source of a name; None where none is to be made.

    Attributes:
        of_file: what the folder of the file that is read calls its source; None for nothing.
        made: the names of the sources that were made.
        unknown: some of the names that stood for no source.
    """

    def __init__(
        self,
        catalog: Catalog,
        workspace: Workspace,
        mapped: Mapping[str, Source],
        make: Callable[[str], Source] | None = None,
    ) -> None:
        self._catalog = catalog
        self._workspace = workspace
        self._sources = CatalogSources(catalog)
        self._mapped = {name: _ref(source) for name, source in mapped.items()}
        self._named: dict[str, SourceRef | None] = {}
        self._names = {each.number: each.name for each in catalog.sources(workspace.number)}
        self._make = make
        self.of_file: str | None = None
        self.made: list[str] = []
        self.unknown: list[str] = []

    def find(
        self, write_key: str | None, source_id: str | None, project_id: str | None
    ) -> SourceRef | None:
        """The source of a record by its `writeKey`, `sourceId` and `projectId`; None for none."""
        foreign = self.of_file if project_id is None else project_id
        for name in (foreign, source_id, write_key):
            if name is not None and name in self._mapped:
                return self._mapped[name]
        found = self._sources.of_workspace(self._workspace.number, write_key, source_id)
        if found is None and foreign is not None:
            if foreign not in self._named:
                self._named[foreign] = self._of_name(foreign)
            found = self._named[foreign]
        if found is None:
            self._miss(foreign or source_id)
        return found

    def _of_name(self, name: str) -> SourceRef | None:
        source = self._catalog.source(self._workspace.number, name)
        if source is None and self._make is not None:
            try:
                source = self._make(name)
                self.made.append(name)
            except UsageError:
                # Another import has made it meanwhile; or it can be no source's name.
                source = self._catalog.source(self._workspace.number, name)
        if source is None:
            return None
        self._names[source.number] = source.name
        return _ref(source)

    def name_of(self, source: SourceRef) -> str:
        """What a source is called that was found."""
        return self._names.get(source.source, "")

    def _miss(self, name: str | None) -> None:
        # Write keys are secrets, also those of others, and are not shown.
        if name and name not in self.unknown and len(self.unknown) < _NAMED_MAX:
            self.unknown.append(name)


def _ref(source: Source) -> SourceRef:
    return SourceRef(source.workspace, source.number, source.enabled)
