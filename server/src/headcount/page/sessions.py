"""Who is signed in: takes tokens that the API has accepted, gives session ids to put in cookies.

On a single machine sessions live in this process's memory, the only place where a token's secret is
ever kept after it was shown; a restart signs everybody out. In a cluster the cookie is the session
(`headcount.page.sealed_sessions`). A session ends when nobody used it for twelve hours, when its
last token stops working, or when somebody signs out; and in memory the one that was used the
longest ago ends where one token opens more than a hundred, so that who has one cannot sign out all
others, nor fill the memory. Knows nothing of HTTP.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

__all__ = ["IDLE_MS_MAX", "Grant", "MemorySessions", "Notice", "Session", "Sessions", "name_anew"]

IDLE_MS_MAX = 12 * 3_600_000
"""A session that nobody used for so long is over."""

_SESSIONS_MAX = 10_000
_SESSIONS_OF_TOKEN_MAX = 100
_GRANTS_MAX = 50
_NOTICES_MAX = 20


@dataclass(frozen=True, slots=True)
class Grant:
    """A token somebody signed in with.

    Attributes:
        workspace_id, workspace_name: the workspace that it opens.
        secret: what the API takes as the bearer.
    """

    workspace_id: str
    workspace_name: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Notice:
    """What a change has done, to be shown once.

    Attributes:
        text: a sentence.
        kind: `"done"` or `"failed"`.
        secret: a text that cannot be had again, to be copied now; or None.
    """

    text: str
    kind: str = "done"
    secret: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class Session:
    """Somebody who is signed in.

    Attributes:
        id: a random text, by which it is known.
        form_key: the random text that every form of this session carries.
        used_at_ms: when it was used last, milliseconds since 1970.
        grants: by workspace id, the one used last at the end.
        notices: what is still to be shown, by the random text that the page's address names it by.
        began_at_ms: when somebody signed in.
        secure: whether its cookie goes over TLS alone.
        changed: whether the browser's cookie does not hold all of it yet, where that is what holds
            it.
    """

    id: str = field(repr=False)
    form_key: str = field(repr=False)
    used_at_ms: int
    grants: dict[str, Grant] = field(default_factory=dict)
    notices: dict[str, Notice] = field(default_factory=dict)
    began_at_ms: int = 0
    secure: bool = False
    changed: bool = False

    def grant(self, workspace_id: str | None) -> Grant | None:
        """The grant of a workspace; of the one signed in to last when None."""
        if workspace_id is None:
            return next(reversed(self.grants.values()), None)
        return self.grants.get(workspace_id)

    def leave_notice(self, notice: Notice) -> str:
        """Keep a notice until it is shown; gives its name."""
        while len(self.notices) >= _NOTICES_MAX:
            del self.notices[next(iter(self.notices))]
        name = secrets.token_urlsafe(9)
        self.notices[name] = notice
        self.changed = True
        return name

    def take_notice(self, name: str) -> Notice | None:
        """What is to be shown now, and not again; None where there is nothing of that name."""
        found = self.notices.pop(name, None)
        self.changed |= found is not None
        return found


class Sessions(Protocol):
    """All sessions, as pages use them."""

    def find(self, cookie: str | None) -> Session | None:
        """The session of a cookie, which thereby is used; None when there is none or it ended."""
        ...

    def look_at(self, cookie: str | None) -> Session | None:
        """The session of a cookie, which is not used thereby; None when there is none any more."""
        ...

    def sign_in(self, former: Session | None, grant: Grant) -> Session:
        """A session under a fresh id with one more grant.

        Args:
            former: the session that the browser had, whose grants it keeps and which is to be
                ended then.
            grant: takes the place of an earlier one of the same workspace.
        """
        ...

    def cookie_of(self, session: Session) -> str:
        """What a browser's cookie is to hold."""
        ...

    def renewed_cookie(self, session: Session, /) -> str | None:
        """The same, where a request has changed it; None where the browser has it already."""
        ...

    def drop(self, session: Session, grant: Grant) -> None:
        """Show nothing more by a grant whose token does not work."""
        ...

    async def end(self, session: Session) -> bool:
        """Sign out; whether it is over wherever its cookie could be used."""
        ...


def name_anew(session: Session, name_of: Callable[[str], str | None]) -> None:
    """Call a session's workspaces what they are called now."""
    for workspace_id, grant in session.grants.items():
        name = name_of(workspace_id)
        if name not in (None, grant.workspace_name):
            session.grants[workspace_id] = replace(grant, workspace_name=name or "")


class MemorySessions:
    """The sessions of a single machine; the methods are those of `Sessions`.

    Args:
        clock: the time, in milliseconds since 1970.
        name_of: what the workspace of an id is called now; None where nobody can say.
    """

    def __init__(
        self,
        clock: Callable[[], int],
        name_of: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._name_of = name_of
        self._sessions: dict[str, Session] = {}

    def find(self, cookie: str | None) -> Session | None:
        """As `Sessions`."""
        session = self.look_at(cookie)
        if session is None:
            self._sessions.pop(cookie or "", None)
            return None
        session.used_at_ms = self._clock()
        name_anew(session, self._name_of)
        return session

    def look_at(self, cookie: str | None) -> Session | None:
        """As `Sessions`."""
        session = self._sessions.get(cookie or "")
        if session is None or self._clock() - session.used_at_ms > IDLE_MS_MAX:
            return None
        return session

    def cookie_of(self, session: Session) -> str:
        """Its id, from which nothing can be told."""
        return session.id

    def renewed_cookie(self, _session: Session, /) -> str | None:
        """None: the id stays."""
        return None

    def sign_in(self, former: Session | None, grant: Grant) -> Session:
        """As `Sessions`."""
        now_ms = self._clock()
        session = Session(
            *(secrets.token_urlsafe(32), secrets.token_urlsafe(32), now_ms), began_at_ms=now_ms
        )
        if former is not None:
            session.grants = {
                key: kept for key, kept in former.grants.items() if key != grant.workspace_id
            }
            self._sessions.pop(former.id, None)
        session.grants[grant.workspace_id] = grant
        while len(session.grants) > _GRANTS_MAX:
            del session.grants[next(iter(session.grants))]
        of_token = [each for each in self._sessions.values() if grant in each.grants.values()]
        if len(of_token) >= _SESSIONS_OF_TOKEN_MAX:
            self._end_oldest(of_token)
        elif len(self._sessions) >= _SESSIONS_MAX:
            self._end_oldest(self._sessions.values())
        self._sessions[session.id] = session
        return session

    def _end_oldest(self, sessions: Iterable[Session]) -> None:
        oldest = min(sessions, key=lambda each: each.used_at_ms)
        self._sessions.pop(oldest.id, None)

    def drop(self, session: Session, grant: Grant) -> None:
        """Forget a grant whose token no longer works; the session ends with its last one."""
        if session.grants.get(grant.workspace_id) == grant:
            del session.grants[grant.workspace_id]
        if not session.grants:
            self._sessions.pop(session.id, None)

    async def end(self, session: Session) -> bool:
        """As `Sessions`; at once."""
        self._sessions.pop(session.id, None)
        return True
