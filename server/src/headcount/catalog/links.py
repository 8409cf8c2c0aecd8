"""Links to a view that need no token: takes what each shows, gives its record, and its secret once.

Only a hash of the secret is kept. A link can be revoked, and is never valid again then.
"""

from __future__ import annotations

from typing import Any

from headcount.catalog.base import CatalogFile
from headcount.catalog.deletions import LIVING_WORKSPACE
from headcount.catalog.entities import (
    Link,
    View,
    clean_name,
    fresh_id,
    fresh_link_secret,
    secret_hash,
)
from headcount.catalog.schema import LINK

__all__ = ["LinkedCatalog"]

_HASH = LINK.columns.index("secret_hash")
_USED = LINK.columns.index("used_at_ms")
_REVOKED = LINK.columns.index("revoked_at_ms")


class LinkedCatalog(CatalogFile):
    """The links of a catalog."""

    def add_link(
        self,
        workspace_number: int,
        now_ms: int,
        *,
        name: str = "",
        view: View = "workspace",
        source: int | None = None,
        period: int | None = None,
        against: int = 1,
        expires_at_ms: int | None = None,
    ) -> tuple[Link, str]:
        """Make a link.

        Args:
            workspace_number: whose usage it shows; must exist.
            now_ms: milliseconds since 1970, UTC.
            name: what people call it.
            view: which pages it shows.
            source: the number of the source whose page it shows, of this workspace; None where it
                shows another view.
            period: the number of the month that it shows; None for the one that runs.
            against: how many months before lies the month that this one is held against.
            expires_at_ms: first moment at which it is no longer valid; None for never.

        Returns:
            The link, and its secret, which cannot be had again.

        Raises:
            UsageError: the name cannot be used.
        """
        name = clean_name("link", name) if name.strip() else ""
        secret = fresh_link_secret()
        assert (view == "source") == (source is not None), "a page of a source is of one"
        shown = (workspace_number, view, source, period, against, name)
        link = Link(fresh_id(), *shown, now_ms, expires_at_ms, None, None)
        with self._transaction():
            self._ledger.add(
                LINK,
                *(link.id, *shown, secret_hash(secret)),
                *(now_ms, expires_at_ms, None, None),
            )
        return link, secret

    def links(self, workspace_number: int) -> list[Link]:
        """The links of a workspace, revoked and expired ones too, oldest first."""
        clause = "WHERE workspace = ? ORDER BY created_at_ms, rowid"
        return [_link(row) for row in self._read(LINK, clause, workspace_number)]

    def link_by_secret(self, secret: str) -> Link | None:
        """The link of that secret, valid or not (see `Link.valid_at`); None if unknown."""
        clause = f"WHERE secret_hash = ? AND workspace {LIVING_WORKSPACE}"
        rows = self._read(LINK, clause, secret_hash(secret))
        return _link(rows[0]) if rows else None

    def revoke_link(self, workspace_number: int, link_id: str, now_ms: int) -> Link | None:
        """Revoke a link of a workspace, for ever; revoking again keeps the first moment.

        Returns:
            The revoked link, or None when the workspace has no link of that id.
        """
        with self._transaction():
            row = self._ledger.get(LINK, link_id)
            if row is None or row[1] != workspace_number:
                return None
            if row[_REVOKED] is None:
                row = (*row[:_REVOKED], now_ms, *row[_REVOKED + 1 :])
                self._ledger.put(LINK, *row)
        return _link(row)

    def note_link_use(self, link_id: str, now_ms: int) -> None:
        """Write down that somebody looked at what a link shows; a link that is gone stays gone.

        In a cluster each node notes it for itself: it is of no matter to the others.
        """
        with self._transaction(own=True):
            row = self._ledger.get(LINK, link_id)
            if row is not None:
                self._ledger.put(LINK, *row[:_USED], now_ms)


def _link(row: tuple[Any, ...]) -> Link:
    return Link(*row[:_HASH], *row[_HASH + 1 :])
