"""Who has signed out of the page of a cluster, as one node's api process tells and reads it.

Takes sessions that are over, has the cluster's catalog say so to all nodes, in one change for
several; gives whether a session is. While the registry cannot be reached this process alone knows,
and tells the others as soon as it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import closing

from headcount.catalog import Catalog, SignedOutRow, SignedOutSessions
from headcount.errors import CatalogOvertakenError, HeadcountError
from headcount.page import SESSION_MS_MAX, EndedSession
from headcount.troubles import Troubles
from headcount.wiring.duties import Duty

__all__ = ["SignedOutEverywhere"]

_EVERY_S, _AGAIN_S = 0.05, 1.0
_TOLD_WITHIN_S = 3.0
_FAILING = "Other nodes do not know yet that somebody signed out of the page here"


class SignedOutEverywhere:
    """As `headcount.page.sealed_sessions.EndedSessions` says, for one event loop.

    Args:
        catalog: this node's copy.
        opened: opens it for changes, which are made for all nodes.
        troubles: where it is said that other nodes do not know.
        clock: the time, in milliseconds since 1970.
    """

    def __init__(
        self,
        catalog: Catalog,
        opened: Callable[[], Catalog],
        troubles: Troubles,
        clock: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._opened = opened
        self._troubles = troubles
        self._clock = clock
        self._version = -1
        self._known = SignedOutSessions((), {})
        self._pending: dict[str, tuple[EndedSession, asyncio.Future[None]]] = {}
        self._duty: Duty | None = None

    def is_over(self, session: str, tokens: Collection[str], began_at_ms: int) -> bool:
        """Whether a session was ended, on this node or any other."""
        if session in self._pending:
            return True
        version = self._catalog.version()
        if version != self._version:
            self._known = self._catalog.signed_out()
            self._version = version
        return self._known.is_over(session, tokens, began_at_ms)

    async def tell(self, ended: EndedSession) -> bool:
        """Let all nodes know that a session is over; whether they do, or will a moment later."""
        if ended.session not in self._pending:
            told = asyncio.get_running_loop().create_future()
            self._pending[ended.session] = ended, told
        _, told = self._pending[ended.session]
        if self._duty is None:
            self._duty = Duty(self._tell_all, _EVERY_S, self._troubles, "signed_out", _FAILING)
        done, _ = await asyncio.wait([told], timeout=_TOLD_WITHIN_S)
        return bool(done)

    async def _tell_all(self) -> bool:
        waiting = list(self._pending.values())
        try:
            # In a thread, by a connection of its own: a registry that does not answer must keep
            # nobody from reading the catalog.
            await asyncio.to_thread(self._write, [SignedOutRow(*each) for each, _ in waiting])
        except CatalogOvertakenError:
            return False
        except HeadcountError:
            await asyncio.sleep(_AGAIN_S)  # an engine that is away refuses at once
            raise
        for each, told in waiting:
            del self._pending[each.session]
            told.set_result(None)
        if self._pending:
            return False
        self._duty = None
        return True

    def _write(self, ended: list[SignedOutRow]) -> None:
        with closing(self._opened()) as catalog:
            catalog.sign_out(ended, self._clock(), SESSION_MS_MAX)
