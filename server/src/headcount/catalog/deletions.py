"""Renaming and deleting sources and workspaces: takes numbers and names, keeps numbers for ever.

A deleted source is a row whose write key nobody has and whose name says that it is deleted, so that
it is called so wherever its usage is shown. A deleted workspace is passed over by whatever asks for
workspaces, tokens, links or write keys; it can be taken back until it is erased.
"""

from __future__ import annotations

from headcount.catalog.base import CatalogFile
from headcount.catalog.entities import Deletion, clean_name, fresh_write_key
from headcount.catalog.schema import (
    ALERT_RULE,
    BOT_REFUSAL,
    CHANNEL,
    DELETION,
    DELIVERY,
    FORWARDING,
    LINK,
    META,
    PLAN_LIMIT,
    PLAN_PRICE,
    QUOTA,
    SOURCE,
    TOKEN,
    WORKSPACE,
)
from headcount.errors import UsageError

__all__ = ["LIVING_WORKSPACE", "DeletingCatalog"]

LIVING_WORKSPACE = "NOT IN (SELECT number FROM deletion WHERE kind = 'workspace')"
"""To be put behind the column that holds a workspace's number."""

_OF_A_WORKSPACE = (TOKEN, LINK, PLAN_LIMIT, PLAN_PRICE, ALERT_RULE, CHANNEL, DELIVERY)
_TOLD_BY_A_CLUSTER = ("told", "quota_reached")
_OF_A_SOURCE = (FORWARDING, QUOTA, BOT_REFUSAL)
_REVOKED = LINK.columns.index("revoked_at_ms")


class DeletingCatalog(CatalogFile):
    """What is renamed, deleted, taken back and erased."""

    def rename_workspace(self, number: int, name: str) -> None:
        """Call a workspace by another name from now on.

        Raises:
            UsageError: the name is taken or cannot be used, or there is no such workspace.
        """
        name = clean_name("workspace", name)
        with self._transaction():
            row = self._ledger.get(WORKSPACE, number)
            if row is None or self._ledger.get(DELETION, "workspace", number) is not None:
                raise UsageError("There is no such workspace.", "See `headcount workspace list`.")
            others = self._ledger.read(
                WORKSPACE, "WHERE name = ?1 AND number <> ?2", (name, number)
            )
            if others:
                raise UsageError(
                    f'There is already a workspace named "{name}".',
                    "Choose another name, or see `headcount workspace list`.",
                )
            self._ledger.put(WORKSPACE, *row[:2], name, *row[3:])

    def rename_source(self, number: int, name: str) -> None:
        """Call a source by another name from now on.

        Raises:
            UsageError: the name is taken in its workspace or cannot be used, or there is no such
                source, or it is deleted.
        """
        name = clean_name("source", name)
        with self._transaction():
            row = self._living_source(number)
            clause = "WHERE workspace = ?1 AND name = ?2 AND number <> ?3"
            if self._ledger.read(SOURCE, clause, (row[3], name, number)):
                raise UsageError(
                    f'This workspace already has a source named "{name}".',
                    "Choose another name, or see `headcount source list`.",
                )
            self._ledger.put(SOURCE, *row[:2], name, *row[3:])

    def delete_source(self, number: int, now_ms: int) -> None:
        """Refuse its messages for good; what was counted stays, under a name that says so.

        Raises:
            UsageError: there is no such source, it is deleted already, or it forwards messages.
        """
        with self._transaction():
            row = self._living_source(number)
            self._end_source(row, self._deleted_name(row[3], row[2]), now_ms)

    def _living_source(self, number: int) -> tuple[object, ...]:
        row = self._ledger.get(SOURCE, number)
        if row is None or self._ledger.get(DELETION, "source", number) is not None:
            raise UsageError("There is no such source.", "See `headcount source list`.")
        return row

    def _end_source(self, row: tuple[object, ...], name: str, now_ms: int) -> None:
        number, source_id, _, workspace, _, _, created_at_ms = row
        forwarding = self._ledger.get(FORWARDING, number)
        if forwarding is not None and forwarding[FORWARDING.columns.index("state")] != "off":
            raise UsageError(
                "The source forwards its messages, and some may wait for that.",
                "End it first: headcount source forward SOURCE --stop; delete it once it is off.",
            )
        self._ledger.put(
            SOURCE, *(number, source_id, name, workspace, fresh_write_key(), 0, created_at_ms)
        )
        self._ledger.put(DELETION, "source", number, now_ms, None, None)
        for link in self._ledger.read(LINK, "WHERE source = ?1", (number,)):
            if link[_REVOKED] is None:
                self._ledger.put(LINK, *link[:_REVOKED], now_ms, *link[_REVOKED + 1 :])

    def _deleted_name(self, workspace: object, name: object) -> str:
        """The name of a deleted source, which leaves its own to others."""
        wanted, copies = f"{name} (deleted)", 1
        while self._ledger.read(SOURCE, "WHERE workspace = ?1 AND name = ?2", (workspace, wanted)):
            copies += 1
            wanted = f"{name} (deleted {copies})"
        return wanted

    def deleted_at(self, kind: str) -> dict[int, int]:
        """The moments at which sources or workspaces were deleted, by their numbers."""
        return {row[1]: row[2] for row in self._read(DELETION, "WHERE kind = ?", kind)}

    # Workspaces

    def deletions(self) -> list[Deletion]:
        """The workspaces that were deleted, erased ones too."""
        found = self._read(DELETION, "WHERE kind = 'workspace' ORDER BY number")
        return [Deletion(*row[1:]) for row in found]

    def deleted_workspace(self, id_or_name: str) -> int | None:
        """The number of a workspace that is deleted, and not erased yet; None for no such."""
        found = self._read(
            WORKSPACE,
            "WHERE (id = ?1 OR name = ?1) AND number IN (SELECT number FROM deletion"
            " WHERE kind = 'workspace' AND erased_at_ms IS NULL) LIMIT 1",
            id_or_name.encode("utf-8", "replace").decode(),
        )
        return found[0][0] if found else None

    def delete_workspace(self, number: int, now_ms: int, erase_from_ms: int) -> None:
        """Refuse its write keys, tokens and links; deleting again sets when it is to be erased.

        Raises:
            UsageError: one of its sources forwards messages.
        """
        with self._transaction():
            for source in self._ledger.read(SOURCE, "WHERE workspace = ?1", (number,)):
                forwarding = self._ledger.get(FORWARDING, source[0])
                if forwarding and forwarding[FORWARDING.columns.index("state")] != "off":
                    raise UsageError(
                        f'Its source "{source[2]}" forwards messages, and some may wait for that.',
                        "End it first: headcount source forward SOURCE --stop.",
                    )
            held = self._ledger.get(DELETION, "workspace", number)
            deleted_at_ms = now_ms if held is None else held[2]
            if held is None or held[4] is None:
                row = ("workspace", number, deleted_at_ms, erase_from_ms, None)
                self._ledger.put(DELETION, *row)

    def undelete_workspace(self, number: int) -> None:
        """Take a deletion back: keys, tokens and links work as before.

        Raises:
            UsageError: it is not deleted, or erased already.
        """
        with self._transaction():
            held = self._ledger.get(DELETION, "workspace", number)
            if held is None or held[4] is not None:
                raise UsageError(
                    "There is no such deleted workspace, or it is erased already.",
                    "What is erased is in backups alone.",
                )
            self._ledger.drop(DELETION, "WHERE kind = 'workspace' AND number = ?1", (number,))

    def erase_workspace(self, number: int, now_ms: int) -> None:
        """Erase its names, keys, tokens, links, limits, alerts and channels; numbers stay taken."""
        with self._transaction():
            held = self._ledger.get(DELETION, "workspace", number)
            row = self._ledger.get(WORKSPACE, number)
            if held is None or row is None or held[4] is not None:
                return
            for table in _OF_A_WORKSPACE:
                self._ledger.drop(table, "WHERE workspace = ?1", (number,))
            for kind in _TOLD_BY_A_CLUSTER:
                begin = f"{kind} {number} "
                self._ledger.drop(META, "WHERE substr(name, 1, length(?1)) = ?1", (begin,))
            for source in self._ledger.read(SOURCE, "WHERE workspace = ?1", (number,)):
                for table in _OF_A_SOURCE:
                    self._ledger.drop(table, "WHERE source = ?1", (source[0],))
                self._end_source(source, f"deleted source {source[0]}", now_ms)
            self._ledger.put(WORKSPACE, *row[:2], f"deleted workspace {number}", *row[3:])
            self._ledger.put(DELETION, *held[:4], now_ms)
