"""Who has signed out of the page of a cluster: takes hashes of sessions, gives them to every node.

A session is in its cookie, so that it is over is all that has to be known, and only for as long as
the cookie could be used. Of one token a bounded number is remembered: where there are more, every
session that it began no later than the latest of those is over, and no other token's. Such a row
holds no secret: nothing that opens anything follows from a hash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from headcount.catalog.base import CatalogFile
from headcount.catalog.schema import META

__all__ = ["OF_TOKEN_MAX", "SignedOutCatalog", "SignedOutRow", "SignedOutSessions"]

OF_TOKEN_MAX = 1_000
"""How many sessions of one token are remembered, each by itself."""

_ALL_MAX = 10_000
_SESSION, _TOKEN = "signed_out", "signed_out_before"
_BEGINS = "WHERE substr(name, 1, length(?1)) = ?1"


class SignedOutRow(NamedTuple):
    """A session that is over.

    Attributes:
        session, token: hashes of its id, and of the token that it was begun with last. Without an
            id all sessions of that token are over that began no later than this one.
        until_ms: from when on nobody could use it anyway, milliseconds since 1970.
    """

    session: str
    token: str
    until_ms: int


class SignedOutSessions:
    """What a catalog says.

    Args:
        sessions: hashes of ids of sessions that are over.
        before_ms: hash of a token to the moment before which all its sessions are over.
    """

    def __init__(self, sessions: Collection[str], before_ms: dict[str, int]) -> None:
        self._sessions = frozenset(sessions)
        self._before_ms = before_ms

    def is_over(self, session: str, tokens: Iterable[str], began_at_ms: int) -> bool:
        """Whether a session is, by hashes of its id and its tokens."""
        return session in self._sessions or any(
            began_at_ms < self._before_ms.get(token, 0) for token in tokens
        )


class SignedOutCatalog(CatalogFile):
    """Sessions that are over."""

    def signed_out(self) -> SignedOutSessions:
        """All of them."""
        sessions = [name.split()[2] for name, _ in self._read(META, _BEGINS, f"{_SESSION} ")]
        before = self._read(META, _BEGINS, f"{_TOKEN} ")
        return SignedOutSessions(
            sessions, {name.split()[1]: int(text.split()[0]) for name, text in before}
        )

    def sign_out(self, ended: Iterable[SignedOutRow], now_ms: int, lasts_ms: int) -> None:
        """Remember that sessions are over; what nobody could use any more is forgotten.

        Args:
            ended: which.
            now_ms: milliseconds since 1970, UTC.
            lasts_ms: how long a session lasts at most.

        Raises:
            CatalogUnchangedError: nothing was written down, here or anywhere.
        """
        with self._transaction():
            for each in ended:
                if each.session:
                    name = f"{_SESSION} {each.token or '-'} {each.session}"
                    self._ledger.put(META, name, str(each.until_ms))
                else:
                    self._end_all(each.token or "-", each.until_ms, lasts_ms)
            held: Counter[str] = Counter()
            latest_ms: dict[str, int] = {}
            for name, text in self._ledger.read(META, _BEGINS, (f"{_SESSION} ",)):
                if int(text) <= now_ms:
                    self._ledger.drop(META, "WHERE name = ?1", (name,))
                else:
                    token = name.split()[1]
                    held[token] += 1
                    latest_ms[token] = max(int(text), latest_ms.get(token, 0))
            for name, text in self._ledger.read(META, _BEGINS, (f"{_TOKEN} ",)):
                if int(text.split()[1]) <= now_ms:
                    self._ledger.drop(META, "WHERE name = ?1", (name,))
            for token, count in held.most_common():
                if count <= OF_TOKEN_MAX and held.total() <= _ALL_MAX:
                    break
                del held[token]
                self._end_all(token, latest_ms[token], lasts_ms)

    def _end_all(self, token: str, until_ms: int, lasts_ms: int) -> None:
        """Remember all at once that began no later than one that could be used until a moment."""
        name, before_ms = f"{_TOKEN} {token}", until_ms - lasts_ms + 1
        for _, text in self._ledger.read(META, "WHERE name = ?1", (name,)):
            before_ms = max(before_ms, int(text.split()[0]))
        self._ledger.put(META, name, f"{before_ms} {before_ms + lasts_ms}")
        self._ledger.drop(META, _BEGINS, (f"{_SESSION} {token} ",))
