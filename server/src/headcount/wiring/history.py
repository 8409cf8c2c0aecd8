"""Who may import over HTTP, and what into: takes the catalog and the store's file, gives answers.

Imports are few, and each brings many records, so tokens and closed months are looked up when they
are asked for: a token that is revoked is refused at once.
"""

from __future__ import annotations

from collections.abc import Collection

from headcount.catalog import Catalog
from headcount.counting.calendar import Period
from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.intake import SourceRef, TokenRef
from headcount.store.sealed import SealedMonths
from headcount.wiring.sources import CatalogSources

__all__ = ["CatalogHistory"]


class CatalogHistory:
    """Tokens, sources and closed months of one data folder.

    Args:
        catalog: knows the tokens.
        sources: its sources.
        months: its closed months.
    """

    def __init__(self, catalog: Catalog, sources: CatalogSources, months: SealedMonths) -> None:
        self._catalog = catalog
        self._sources = sources
        self._months = months

    def token(self, secret: str, now_ms: int) -> TokenRef | None:
        """The token of that secret; None when there is none, or it is expired or revoked."""
        token = self._catalog.token_by_secret(secret)
        if token is None or not token.valid_at(now_ms):
            return None
        return TokenRef(token.workspace, token.scope == "admin")

    def source(
        self, workspace: int, write_key: str | None, source_id: str | None
    ) -> SourceRef | None:
        """A workspace's source by write key, or, where that is None, by id; None for no such."""
        return self._sources.of_workspace(workspace, write_key, source_id)

    def sealed(self, workspace: int) -> Collection[Period]:
        """The months of a workspace that are closed for good.

        Raises:
            StorageUnavailableError: the store could not be opened or read.
        """
        try:
            return self._months.of(workspace)
        except DataFolderError as error:
            # A store that cannot be opened at this moment may be in the next, so the client is to
            # come again.
            raise StorageUnavailableError(error.problem) from error
