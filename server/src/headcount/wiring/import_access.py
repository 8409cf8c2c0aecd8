"""Who may import over HTTP, and what into: takes the catalog and the store's file, gives answers.

Imports are few, and each brings many records, so tokens and closed months are looked up when they
are asked for: a token that is revoked is refused at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from headcount.catalog import Catalog
from headcount.counting.calendar import Period
from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.intake import SourceRef, TokenRef
from headcount.store.sealed import SealedMonths
from headcount.troubles import Troubles
from headcount.wiring.errors_explained import explained
from headcount.wiring.sources import CatalogSources

__all__ = ["CatalogHistory"]


class CatalogHistory:
    """Tokens, sources and closed months of one data folder.

    Args:
        catalog: knows the tokens.
        sources: its sources.
        months: its closed months.
        troubles: is told while tokens or months cannot be read.
    """

    def __init__(
        self, catalog: Catalog, sources: CatalogSources, months: SealedMonths, troubles: Troubles
    ) -> None:
        self._catalog = catalog
        self._sources = sources
        self._months = months
        self._troubles = troubles

    def token(self, secret: str, now_ms: int) -> TokenRef | None:
        """The token of that secret; None when there is none, or it is expired or revoked.

        Raises:
            StorageUnavailableError: the catalog could not be read.
        """
        with self._faults_told("tokens"):
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
        with self._faults_told("months"):
            return self._months.of(workspace)

    @contextmanager
    def _faults_told(self, what: str) -> Iterator[None]:
        """Say that imports are refused, and let clients come again: it may be well in a moment."""
        kind = f"imports_{what}"
        try:
            yield
        except (DataFolderError, StorageUnavailableError) as error:
            said, remedy = explained(error)
            message = f"Imports over HTTP are refused: {said}"
            self._troubles.begin(kind, message, remedy, hinders=False)
            raise StorageUnavailableError(said.rstrip(".")) from error
        self._troubles.end(kind)
