"""Who is signed in: takes tokens that the API has accepted, gives session ids to put in cookies.

Sessions live in this process's memory, the only place where a token's secret is ever kept after
it was shown; a restart signs everybody out. A session ends when nobody used it for twelve hours,
when its last token stops working, or when somebody signs out; and the one that was used the longest
ago ends where one token opens more than a hundred, so that who has one cannot sign out all others,
nor fill the memory. Knows nothing of HTTP.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

__all__ = ["Grant", "Notice", "Session", "Sessions"]

_NODE = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
_IDLE_MS_MAX = 12 * 3_600_000
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
        id: the random text in the cookie.
        form_key: the random text that every form of this session carries.
        grants: by workspace id, the one used last at the end.
        notices: what is still to be shown, by the random text that the page's address names it by.
    """

    id: str = field(repr=False)
    form_key: str = field(repr=False)
    used_at_ms: int
    grants: dict[str, Grant] = field(default_factory=dict)
    notices: dict[str, Notice] = field(default_factory=dict)

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
        return name


class Sessions:
    """All sessions.

    Args:
        clock: the time, in milliseconds since 1970.
        name_of: what the workspace of an id is called now; None where nobody can say.
        node: what this node of a cluster is called, which ids of its sessions begin with; empty for
            a single machine.
    """

    def __init__(
        self,
        clock: Callable[[], int],
        name_of: Callable[[str], str | None] = lambda _: None,
        node: str = "",
    ) -> None:
        self.node = node
        self._clock = clock
        self._name_of = name_of
        self._sessions: dict[str, Session] = {}

    def find(self, session_id: str | None) -> Session | None:
        """The session of a cookie, which thereby is used; None when there is none or it ended."""
        session = self._sessions.get(session_id or "")
        if session is None:
            return None
        now_ms = self._clock()
        if now_ms - session.used_at_ms > _IDLE_MS_MAX:
            self.end(session)
            return None
        session.used_at_ms = now_ms
        for workspace_id, grant in session.grants.items():
            name = self._name_of(workspace_id)
            if name not in (None, grant.workspace_name):
                session.grants[workspace_id] = replace(grant, workspace_name=name or "")
        return session

    def elsewhere(self, session_id: str | None) -> str | None:
        """The other node of the cluster that began the session of a cookie; None for none."""
        node, dot, _ = (session_id or "").partition(".")
        is_other = bool(dot and self.node and node != self.node and _NODE.fullmatch(node))
        return node if is_other else None

    def look_at(self, session_id: str | None) -> Session | None:
        """The session of a cookie, which is not used thereby, and may have ended."""
        return self._sessions.get(session_id or "")

    def sign_in(self, former: Session | None, grant: Grant) -> Session:
        """A session under a fresh id with one more grant.

        Args:
            former: the session that the browser had, whose grants it keeps and which ends.
            grant: takes the place of an earlier one of the same workspace.
        """
        session_id = secrets.token_urlsafe(32)
        if self.node:
            session_id = f"{self.node}.{session_id}"
        session = Session(session_id, secrets.token_urlsafe(32), self._clock())
        if former is not None:
            session.grants = {
                key: kept for key, kept in former.grants.items() if key != grant.workspace_id
            }
            self.end(former)
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
        self.end(min(sessions, key=lambda each: each.used_at_ms))

    def drop(self, session: Session, grant: Grant) -> None:
        """Forget a grant whose token no longer works; the session ends with its last one."""
        if session.grants.get(grant.workspace_id) == grant:
            del session.grants[grant.workspace_id]
        if not session.grants:
            self.end(session)

    def end(self, session: Session) -> None:
        """Sign out."""
        self._sessions.pop(session.id, None)
