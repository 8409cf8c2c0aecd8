"""The catalog: takes names and numbers, gives workspaces, sources and tokens, and what stands in
`plans`, `links`, `forwardings` and `hash_keys`. Refuses duplicate names, and what `base` refuses.
"""

from __future__ import annotations

import unicodedata
from dataclasses import astuple, replace
from typing import Any

from headcount.catalog.deletions import LIVING_WORKSPACE, DeletingCatalog
from headcount.catalog.entities import (
    Scope,
    Source,
    Token,
    Workspace,
    clean_name,
    fresh_id,
    fresh_token_secret,
    fresh_write_key,
    secret_hash,
)
from headcount.catalog.forwardings import ForwardedCatalog
from headcount.catalog.hash_keys import KeyedCatalog
from headcount.catalog.links import LinkedCatalog
from headcount.catalog.plans import LimitedCatalog
from headcount.catalog.schema import BOT_REFUSAL, DELETION, SOURCE, TOKEN, WORKSPACE
from headcount.catalog.signed_out import SignedOutCatalog
from headcount.catalog.told import ToldCatalog
from headcount.errors import UsageError

__all__ = ["Catalog"]


class Catalog(
    DeletingCatalog,
    KeyedCatalog,
    LimitedCatalog,
    LinkedCatalog,
    ForwardedCatalog,
    ToldCatalog,
    SignedOutCatalog,
):
    """Workspaces, sources, tokens, plan limits, links and forwardings, in one SQLite file.

    Safe to share between threads; every process opens its own.

    Args:
        path: the file; made when missing, unless read_only.
        read_only: never write, not even to make the file.
        shared: where the cluster has its catalog, of which this file is a copy.

    Raises:
        DataFolderError: the file is missing (read_only), unreadable, not a catalog, or newer than
            this version of Headcount.
    """

    # Workspaces

    def add_workspace(self, name: str, now_ms: int) -> Workspace:
        """Make a workspace.

        Args:
            name: unique among workspaces.
            now_ms: milliseconds since 1970, UTC.

        Raises:
            UsageError: the name is taken or cannot be used.
        """
        name = clean_name("workspace", name)
        with self._transaction():
            if self._ledger.read(WORKSPACE, "WHERE name = ?", (name,)):
                raise UsageError(
                    f'There is already a workspace named "{name}".',
                    "Choose another name, or see `headcount workspace list`.",
                )
            made = Workspace(self._ledger.next_id(WORKSPACE), fresh_id(), name, now_ms)
            self._ledger.add(WORKSPACE, *astuple(made))
        return made

    def workspaces(self) -> list[Workspace]:
        """All workspaces, in the order in which they were made."""
        clause = f"WHERE number {LIVING_WORKSPACE} ORDER BY number"
        return [Workspace(*row) for row in self._read(WORKSPACE, clause)]

    def workspace(self, id_or_name: str) -> Workspace | None:
        """The workspace of that id, else the one of that name."""
        rows = self._read(
            WORKSPACE,
            f"WHERE (id = ?1 OR name = ?1) AND number {LIVING_WORKSPACE}"
            " ORDER BY id = ?1 DESC LIMIT 1",
            _comparable(id_or_name),
        )
        return Workspace(*rows[0]) if rows else None

    def workspace_by_number(self, number: int) -> Workspace | None:
        """The workspace that facts and counts call by that number."""
        rows = self._read(WORKSPACE, f"WHERE number = ? AND number {LIVING_WORKSPACE}", number)
        return Workspace(*rows[0]) if rows else None

    # Sources

    def add_source(self, workspace_number: int, name: str, now_ms: int) -> Source:
        """Make a source with a fresh write key, enabled.

        Args:
            workspace_number: its workspace, which must exist.
            name: unique within the workspace.
            now_ms: milliseconds since 1970, UTC.

        Raises:
            UsageError: the name is taken in this workspace or cannot be used.
        """
        name = clean_name("source", name)
        with self._transaction():
            clause = "WHERE workspace = ? AND name = ?"
            if self._ledger.read(SOURCE, clause, (workspace_number, name)):
                raise UsageError(
                    f'This workspace already has a source named "{name}".',
                    "Choose another name, or see `headcount source list`.",
                )
            row = (
                *(self._ledger.next_id(SOURCE), fresh_id(), name, workspace_number),
                *(fresh_write_key(), 1, now_ms),
            )
            self._ledger.add(SOURCE, *row)
        return _source(row)

    def sources(self, workspace_number: int | None = None) -> list[Source]:
        """The sources of one workspace, or of all, in the order in which they were made.

        Deleted ones too: what they have used is still shown.
        """
        rows = self._read(
            SOURCE, "WHERE ?1 IS NULL OR workspace = ?1 ORDER BY number", workspace_number
        )
        deleted, of = self.deleted_at("source"), self.deleted_at("workspace")
        refusing = {number for number, _ in self._read(BOT_REFUSAL, "")}
        return [
            replace(
                source,
                deleted_at_ms=deleted.get(source.number, of.get(source.workspace)),
                refuses_bots=source.number in refusing,
            )
            for source in map(_source, rows)
        ]

    def source(self, workspace_number: int, id_or_name: str) -> Source | None:
        """The workspace's source of that id, else the one of that name; no deleted one."""
        rows = self._read(
            SOURCE,
            "WHERE workspace = ?2 AND (id = ?1 OR name = ?1) AND number NOT IN"
            " (SELECT number FROM deletion WHERE kind = 'source') ORDER BY id = ?1 DESC LIMIT 1",
            *(_comparable(id_or_name), workspace_number),
        )
        return self._with_bots(_source(rows[0])) if rows else None

    def _with_bots(self, source: Source) -> Source:
        refusing = self._read(BOT_REFUSAL, "WHERE source = ?", source.number)
        return replace(source, refuses_bots=bool(refusing))

    def set_bots_refused(self, number: int, refused: bool, now_ms: int) -> Source:
        """Refuse messages of known bots, or count them like others, from now on.

        Raises:
            UsageError: there is no source of that number.
        """
        source = self._update_source(number)
        with self._transaction():
            if refused:
                self._ledger.put(BOT_REFUSAL, number, now_ms)
            else:
                self._ledger.drop(BOT_REFUSAL, "WHERE source = ?1", (number,))
        return replace(source, refuses_bots=refused)

    def set_source_enabled(self, number: int, enabled: bool) -> Source:
        """Admit, or refuse, messages with this source's write key from now on.

        Raises:
            UsageError: there is no source of that number.
        """
        return self._update_source(number, enabled=enabled)

    def rotate_write_key(self, number: int) -> Source:
        """Give a source a fresh write key; the former one stops working.

        Raises:
            UsageError: there is no source of that number.
        """
        return self._update_source(number, write_key=fresh_write_key())

    def _update_source(self, number: int, **changes: Any) -> Source:
        with self._transaction():
            row = self._ledger.get(SOURCE, number)
            if row is None or self._ledger.get(DELETION, "source", number) is not None:
                raise UsageError(
                    f"There is no source number {number}.", "See `headcount source list`."
                )
            changed = replace(_source(row), **changes)
            *most, enabled, created_at_ms, _, _ = astuple(changed)
            self._ledger.put(SOURCE, *most, int(enabled), created_at_ms)
        return self._with_bots(changed)

    # Tokens

    def add_token(
        self,
        workspace_number: int,
        scope: Scope,
        now_ms: int,
        expires_at_ms: int | None = None,
    ) -> tuple[Token, str]:
        """Make an API token.

        Args:
            workspace_number: the workspace that it may see, which must exist.
            scope: `"read"` or `"admin"`.
            now_ms: milliseconds since 1970, UTC.
            expires_at_ms: first moment at which it is no longer valid; None for never.

        Returns:
            The token, and its secret, which cannot be had again.
        """
        secret = fresh_token_secret()
        token = Token(fresh_id(), workspace_number, scope, now_ms, expires_at_ms, None)
        with self._transaction():
            hashed = secret_hash(secret)
            self._ledger.add(
                TOKEN,
                *(token.id, workspace_number, scope, hashed, now_ms, expires_at_ms, None),
            )
        return token, secret

    def tokens(self, workspace_number: int) -> list[Token]:
        """The tokens of a workspace, revoked and expired ones too, oldest first."""
        clause = "WHERE workspace = ? ORDER BY created_at_ms, rowid"
        return [_token(row) for row in self._read(TOKEN, clause, workspace_number)]

    def revoke_token(self, workspace_number: int, token_id: str, now_ms: int) -> Token | None:
        """Revoke a token of a workspace, for ever; revoking again keeps the first moment.

        Returns:
            The revoked token, or None when the workspace has no token of that id.
        """
        with self._transaction():
            row = self._ledger.get(TOKEN, token_id)
            if row is None or row[1] != workspace_number:
                return None
            if row[-1] is None:
                row = (*row[:-1], now_ms)
                self._ledger.put(TOKEN, *row)
        return _token(row)

    def token_by_secret(self, secret: str) -> Token | None:
        """The token of that secret, valid or not (see `Token.valid_at`); None if unknown."""
        clause = f"WHERE secret_hash = ? AND workspace {LIVING_WORKSPACE}"
        rows = self._read(TOKEN, clause, secret_hash(secret))
        return _token(rows[0]) if rows else None


def _source(row: tuple[Any, ...]) -> Source:
    number, source_id, name, workspace, write_key, enabled, created_at_ms = row
    return Source(number, source_id, name, workspace, write_key, bool(enabled), created_at_ms)


def _token(row: tuple[Any, ...]) -> Token:
    token_id, workspace, scope, _, created_at_ms, expires_at_ms, revoked_at_ms = row
    return Token(token_id, workspace, scope, created_at_ms, expires_at_ms, revoked_at_ms)


def _comparable(id_or_name: str) -> str:
    """What somebody typed, in the form in which names are kept; never raises."""
    # A lone surrogate cannot be in any kept name, and SQLite would refuse to compare it.
    text = id_or_name.encode("utf-8", "replace").decode()
    return unicodedata.normalize("NFC", text).strip()
