"""Whose a request to the API address is, before anybody looks at it, and who is turned away.

Takes heads of requests; gives the workspace whose token or session they show, or what kind of
stranger asks. Nothing is let through by this, and nothing refused: it only says who waits behind
whom, and whose bodies make room for whose.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from headcount import telemetry, tracing
from headcount.api import bearer_secret, link_secret
from headcount.catalog import Catalog
from headcount.errors import HeadcountError
from headcount.http.entrance import HEALTH_PATH, Owner
from headcount.http.pace import is_large
from headcount.page import Sessions, is_of_page, workspace_seen
from headcount.wiring.whole_bodies import send_problem

__all__ = ["HEALTH_PATHS", "Callers", "turning_away"]

# How many requests may wait: of a workspace, for what says whether the server lives, which nobody
# shall be able to make say that it does not, and of strangers for anything else.
_WAITING_OF_WORKSPACE = 1024
_WAITING_FOR_HEALTH = 4096
_WAITING_OF_STRANGERS = 128
# Each is asked for by somebody who should not wait behind a flood of another.
_STRANGERS = {
    HEALTH_PATH: Owner("health", _WAITING_FOR_HEALTH),
    "/readyz": Owner("readiness", _WAITING_FOR_HEALTH),
    "/metrics": Owner("metrics", _WAITING_OF_STRANGERS),
    "/docs": Owner("documents", _WAITING_OF_STRANGERS),
    "/openapi.json": Owner("documents", _WAITING_OF_STRANGERS),
}
HEALTH_PATHS = (HEALTH_PATH, "/readyz")
"""What says whether the server lives and is ready."""

_OF_PAGE = Owner("page", _WAITING_OF_STRANGERS)
_OTHER = Owner("other", _WAITING_OF_STRANGERS)
# Whoever asks again at once, though there was no place, shall not keep the process busy with that.
_TURNED_AWAY_AFTER_S = 0.3
_COME_AGAIN_AFTER_S = (1, 5)


class Callers:
    """Tells callers apart.

    Args:
        catalog: knows tokens.
        sessions: who is signed in on the page.
        clock: the time, in milliseconds since 1970.
    """

    def __init__(self, catalog: Catalog, sessions: Sessions, clock: Callable[[], int]) -> None:
        self._catalog = catalog
        self._sessions = sessions
        self._clock = clock

    def owner_of(self, scope: Mapping[str, Any]) -> Owner:
        """The workspace of a request, or else the kind of what a stranger asks for."""
        path: str = scope["path"]
        if (workspace := self._workspace(path, scope)) is not None:
            return Owner(workspace, _WAITING_OF_WORKSPACE)
        return _STRANGERS.get(path, _OF_PAGE if is_of_page(path) else _OTHER)

    def is_known(self, scope: Mapping[str, Any]) -> bool:
        """Whether a request shows a token or a session that is valid."""
        return self._workspace(scope["path"], scope) is not None

    def _workspace(self, path: str, scope: Mapping[str, Any]) -> tuple[str, object] | None:
        if (secret := link_secret(path)) is not None:
            return self._link(secret)
        if is_of_page(path):
            cookies = [value for name, value in scope["headers"] if name == b"cookie"]
            try:
                seen = workspace_seen(self._sessions, b";".join(cookies)) if cookies else None
            except HeadcountError:
                return None  # which is said where the request is answered
            return None if seen is None else ("page of", seen)
        if (secret := bearer_secret(scope)) is None:
            return None
        try:
            token = self._catalog.token_by_secret(secret)
        except HeadcountError:
            return None  # which is said where the request is answered
        if token is None or not token.valid_at(self._clock()):
            return None
        return "workspace", token.workspace

    def _link(self, secret: str) -> tuple[str, object] | None:
        try:
            link = self._catalog.link_by_secret(secret)
        except HeadcountError:
            return None
        # Those who look by one link wait behind one another, and nobody else does.
        return ("link", link.id) if link is not None and link.valid_at(self._clock()) else None


def turning_away(delay_s: Callable[[Mapping[str, Any]], float]) -> Any:
    """The ASGI application for requests that find no place to wait.

    Args:
        delay_s: for how long the answer to a request is put off at present, in seconds.
    """

    async def turn_away(scope: MutableMapping[str, Any], _receive: object, send: Any) -> None:
        tracing.begin(scope)
        tracing.tell_outcome(scope, "", "too many wait")
        telemetry.REQUESTS_SHED.inc()
        if not is_large(scope):
            await asyncio.sleep(max(_TURNED_AWAY_AFTER_S, delay_s(scope)))
        again = random.randint(*_COME_AGAIN_AFTER_S)  # noqa: S311 to spread clients
        await send_problem(
            send,
            503,
            "Too many requests like this one are waiting; try again in a moment.",
            (b"retry-after", b"%d" % again),
        )

    return turn_away
