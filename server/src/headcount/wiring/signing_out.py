"""Who has signed out of the page of a cluster, as one node's api process tells and reads it.

Takes sessions that are over, has the cluster's catalog say so to all nodes, in one change for
several; gives whether a session is. While the registry cannot be reached this process alone knows,
and tells the others as soon as it can; what waits for that lies in a file, so that the process that
comes after this one knows it too. Anybody with a token can sign in and out all the time: the
catalog is made anew for it once in a second at most, and what waits is bounded.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path

from headcount.catalog import Catalog, SignedOutRow, SignedOutSessions
from headcount.errors import CatalogOvertakenError, HeadcountError
from headcount.page import SESSION_MS_MAX, EndedSession
from headcount.troubles import Troubles
from headcount.wiring.duties import Duty
from headcount.wiring.kept_sign_outs import KeptSignOuts

__all__ = ["SignedOutEverywhere"]

_log = logging.getLogger(__name__)

_EVERY_S, _AGAIN_S = 0.05, 1.0
_APART_S = 1.0
_TOLD_WITHIN_S = 3.0
_PENDING_MAX = 10_000
_FAILING = "Other nodes do not know yet that somebody signed out of the page here"


class SignedOutEverywhere:
    """As `headcount.page.sealed_sessions.EndedSessions` says, for one event loop.

    Args:
        catalog: this node's copy.
        opened: opens it for changes, which are made for all nodes.
        troubles: where it is said that other nodes do not know.
        clock: the time, in milliseconds since 1970.
        file: where lies what other nodes do not know yet.
    """

    def __init__(
        self,
        catalog: Catalog,
        opened: Callable[[], Catalog],
        troubles: Troubles,
        clock: Callable[[], int],
        file: Path,
    ) -> None:
        self._catalog = catalog
        self._opened = opened
        self._troubles = troubles
        self._clock = clock
        self._version = -1
        self._known = SignedOutSessions((), {})
        self._kept = KeptSignOuts(file)
        self._pending = {_name(each): each for each in self._kept.read(clock())}
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._duty: Duty | None = None
        self._not_before_s = 0.0
        self._has_joined = False

    def begin(self) -> None:
        """Tell what nobody could be told yet, if there is any; within the event loop."""
        if self._pending and self._duty is None:
            self._duty = Duty(self._tell_all, _EVERY_S, self._troubles, "signed_out", _FAILING)

    def is_over(self, session: str, tokens: Collection[str], began_at_ms: int) -> bool:
        """Whether a session was ended, on this node or any other."""
        if session in self._pending:
            return True
        for token in tokens:
            latest = self._pending.get(_all_of(token))
            if latest is not None and began_at_ms <= latest.until_ms - SESSION_MS_MAX:
                return True
        version = self._catalog.version()
        if version != self._version:
            self._known = self._catalog.signed_out()
            self._version = version
        return self._known.is_over(session, tokens, began_at_ms)

    async def tell(self, ended: EndedSession) -> bool:
        """Let all nodes know that a session is over; whether they do, or will a moment later."""
        if ended.session not in self._pending:
            if len(self._pending) >= _PENDING_MAX:
                self._join()
            self._pending[ended.session] = ended
            self._kept.add(ended)
        loop = asyncio.get_running_loop()
        told = self._waiting.setdefault(ended.session, loop.create_future())
        self.begin()
        done, _ = await asyncio.wait([told], timeout=_TOLD_WITHIN_S)
        return bool(done)

    def _join(self) -> None:
        """Make one of all that wait of the token that has the most, as the catalog would."""
        held = Counter(each.token for each in self._pending.values() if each.session)
        if not held:
            return
        [(token, _)] = held.most_common(1)
        of_token = {name: each for name, each in self._pending.items() if each.token == token}
        for name in of_token:
            del self._pending[name]
            self._waiting.pop(name, None)
        latest = EndedSession("", token, max(each.until_ms for each in of_token.values()))
        self._pending[_name(latest)] = latest
        self._kept.replace(self._pending.values())
        if not self._has_joined:
            self._has_joined = True
            _log.warning(
                "%d wait to be signed out on other nodes: of the token with the most, all that"
                " signed in before are signed out",
                _PENDING_MAX,
            )

    async def _tell_all(self) -> bool:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._not_before_s - loop.time())
        waiting = dict(self._pending)
        try:
            # In a thread, by a connection of its own: a registry that does not answer must keep
            # nobody from reading the catalog.
            rows = [SignedOutRow(*each) for each in waiting.values()]
            await asyncio.to_thread(self._write, rows)
        except CatalogOvertakenError:
            return False
        except HeadcountError:
            await asyncio.sleep(_AGAIN_S)  # an engine that is away refuses at once
            raise
        self._not_before_s = loop.time() + _APART_S
        for name, each in waiting.items():
            if self._pending.get(name) == each:
                del self._pending[name]
            if (told := self._waiting.pop(name, None)) is not None:
                told.set_result(None)
        self._kept.replace(self._pending.values())
        if self._pending:
            return False
        self._duty = None
        return True

    def _write(self, ended: list[SignedOutRow]) -> None:
        with closing(self._opened()) as catalog:
            catalog.sign_out(ended, self._clock(), SESSION_MS_MAX)


def _name(ended: EndedSession) -> str:
    return ended.session or _all_of(ended.token)


def _all_of(token: str) -> str:
    return f"all of {token}"
