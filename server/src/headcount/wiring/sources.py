"""The catalog's sources in memory: takes a catalog, answers every look-up at once.

Asks the catalog a few times a second whether it has changed, which costs microseconds, and reads
it anew when it has; a change reaches intake within that time.
"""

from __future__ import annotations

from headcount.catalog import Catalog
from headcount.intake import SourceRef

__all__ = ["CatalogSources"]


class CatalogSources:
    """All sources, as of the last refresh.

    Args:
        catalog: where they are read from.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._version = -1
        self._by_key: dict[str, SourceRef] = {}
        self._by_id: dict[str, SourceRef] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the catalog anew if it has changed.

        Raises:
            DataFolderError: it cannot be read; all stays as it was read last.
        """
        version = self._catalog.version()
        if version != self._version:
            # Whole before it takes the place of what was read last: that holds while this fails.
            by_key, by_id = {}, {}
            for source in self._catalog.sources():
                if source.deleted_at_ms is not None:
                    continue
                ref = SourceRef(
                    source.workspace,
                    source.number,
                    source.enabled,
                    source.id,
                    source.refuses_bots,
                )
                by_key[source.write_key] = by_id[source.id] = ref
            self._by_key, self._by_id, self._version = by_key, by_id, version

    def lookup(self, write_key: str) -> SourceRef | None:
        """The source with that write key, disabled ones too; None when there is none."""
        return self._by_key.get(write_key)

    def of_workspace(
        self, workspace: int, write_key: str | None, source_id: str | None
    ) -> SourceRef | None:
        """A workspace's source by write key, or, where that is None, by id; None for no such."""
        if write_key is not None:
            source = self._by_key.get(write_key)
        else:
            source = None if source_id is None else self._by_id.get(source_id)
        return source if source is not None and source.workspace == workspace else None
