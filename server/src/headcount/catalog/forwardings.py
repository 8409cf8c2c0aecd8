"""Which sources forward, and where to: takes addresses and keys, gives records.

The vendor's key is a secret of somebody else: it is given to the process that delivers, and to
nobody who asks.
"""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Any

from headcount.catalog.base import CatalogFile
from headcount.catalog.entities import Forwarding, ForwardingState, WhenFull
from headcount.catalog.schema import FORWARDING
from headcount.errors import UsageError

__all__ = ["ForwardedCatalog"]


class ForwardedCatalog(CatalogFile):
    """The forwardings of a catalog."""

    def forwardings(self) -> list[Forwarding]:
        """Those of all sources that ever forwarded, in the order of the sources' numbers."""
        return [_forwarding(row) for row in self._read(FORWARDING, "ORDER BY source")]

    def forwarding(self, source: int) -> Forwarding | None:
        """That of one source, by its number; None where it never forwarded."""
        rows = self._read(FORWARDING, "WHERE source = ?", source)
        return _forwarding(rows[0]) if rows else None

    def set_forwarding(
        self,
        source: int,
        url: str,
        write_key: str,
        when_full: WhenFull,
        now_ms: int,
        *,
        by_token: bool,
    ) -> Forwarding:
        """Let a source forward what it sends from now on.

        Args:
            source: its number, which must exist.
            url: the beginning of the vendor's addresses.
            write_key: the vendor's key.
            when_full: what to do when there is no room.
            now_ms: milliseconds since 1970, UTC.
            by_token: whether somebody with a token named the address.
        """
        with self._transaction():
            row = self._ledger.get(FORWARDING, source)
            changes = 1 if row is None else _forwarding(row).changes + 1
            made = Forwarding(source, url, write_key, when_full, "on", by_token, changes, now_ms)
            self._ledger.put(FORWARDING, *_row(made))
        return made

    def set_forwarding_state(self, source: int, state: ForwardingState, now_ms: int) -> Forwarding:
        """Let a source forward again, only deliver what waits, or neither.

        Raises:
            UsageError: it never forwarded.
        """
        with self._transaction():
            row = self._ledger.get(FORWARDING, source)
            if row is None:
                raise UsageError(
                    "This source has never forwarded.",
                    "Say where to: headcount source forward SOURCE --to URL",
                )
            former = _forwarding(row)
            changed = replace(former, state=state, changes=former.changes + 1, changed_at_ms=now_ms)
            self._ledger.put(FORWARDING, *_row(changed))
        return changed

    def note_forwarding_ended(self, source: int, changes: int, now_ms: int) -> None:
        """Write down that all that waited is delivered of a source that forwards no more.

        Args:
            source: its number.
            changes: of the forwarding that this is said of; nothing happens where it was changed.
            now_ms: milliseconds since 1970, UTC.
        """
        with self._transaction():
            row = self._ledger.get(FORWARDING, source)
            if row is None:
                return
            former = _forwarding(row)
            if (former.state, former.changes) == ("ending", changes):
                ended = replace(former, state="off", changes=changes + 1, changed_at_ms=now_ms)
                self._ledger.put(FORWARDING, *_row(ended))


def _row(forwarding: Forwarding) -> tuple[Any, ...]:
    source, url, write_key, when_full, state, by_token, *rest = astuple(forwarding)
    return (source, url, write_key, when_full, state, int(by_token), *rest)


def _forwarding(row: tuple[Any, ...]) -> Forwarding:
    source, url, write_key, when_full, state, by_token, *rest = row
    return Forwarding(source, url, write_key, when_full, state, bool(by_token), *rest)
