"""The catalog's write keys in memory: takes a catalog, answers every look-up at once.

Asks the catalog a few times a second whether it has changed, which costs microseconds, and reads
it anew when it has; a change reaches intake within that time.
"""

from __future__ import annotations

from headcount.catalog import Catalog
from headcount.intake import SourceRef

__all__ = ["CatalogWriteKeys"]


class CatalogWriteKeys:
    """Write keys of all sources, as of the last refresh.

    Args:
        catalog: where they are read from.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._version = -1
        self._sources: dict[str, SourceRef] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the catalog anew if it has changed."""
        version = self._catalog.version()
        if version != self._version:
            self._sources = {
                source.write_key: SourceRef(source.workspace, source.number, source.enabled)
                for source in self._catalog.sources()
            }
            self._version = version

    def lookup(self, write_key: str) -> SourceRef | None:
        """The source with that write key, disabled ones too; None when there is none."""
        return self._sources.get(write_key)
