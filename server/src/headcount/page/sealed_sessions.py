"""Sessions of a cluster: the cookie is the session, sealed, so that every node can open it.

Takes tokens that the API has accepted, gives cookies; nothing of a session is kept anywhere else,
and nobody can read or make one without the key that nodes have in common. So a browser may come to
another node with each request, and a registry that is away ends no session. What a cookie cannot
say is that somebody signed out: who did is known by a hash, to all nodes, until that cookie could
not be used any more anyway (`EndedSessions`).

A cookie holds when it was used last, and is given anew every few minutes; it is over when nobody
used it for twelve hours, and seven days after somebody signed in. Knows nothing of HTTP.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

import msgspec

from headcount.page.sessions import IDLE_MS_MAX, Grant, Notice, Session, name_anew

__all__ = ["SESSION_MS_MAX", "EndedSession", "EndedSessions", "SealedSessions", "session_key"]

SESSION_MS_MAX = 7 * 24 * 3_600_000
"""For so long a session lasts at most: for as long it is remembered that it was ended."""

_RENEWED_AFTER_MS = 300_000
# A browser keeps cookies of some 4,000 characters.
_GRANTS_MAX = 16
_NOTICE_BYTES_MAX = (600, 200, 60, 0)
_COOKIE_CHARACTERS_MAX = 4_000
_NONCE_BYTES = 12
_SAID = b"a session of the page"


class EndedSession(NamedTuple):
    """What is told of a session that somebody ended.

    Attributes:
        session: a hash of its id.
        token: a hash of the token that was used last to sign in.
        until_ms: from when on nobody could use it anyway, milliseconds since 1970.
    """

    session: str
    token: str
    until_ms: int


class EndedSessions(Protocol):
    """Which sessions were ended, as all nodes know it."""

    def is_over(self, session: str, tokens: Collection[str], began_at_ms: int) -> bool:
        """Whether a session was ended.

        Args:
            session: a hash of its id.
            tokens: hashes of the tokens that it holds.
            began_at_ms: when it began, milliseconds since 1970.
        """
        ...

    async def tell(self, ended: EndedSession) -> bool:
        """Let all nodes know that a session is over, at once on this one; whether they do."""
        ...


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    """What a cookie holds."""

    id: str
    form_key: str
    began_at_ms: int
    used_at_ms: int
    secure: bool
    grants: list[tuple[str, str]]
    notices: list[tuple[str, str, str, str | None]] = []


def session_key(hash_key: bytes) -> bytes:
    """The key that sessions are sealed under, out of the one that all nodes have."""
    return hashlib.blake2b(key=hash_key, digest_size=32, person=b"hc page sessions").digest()


def _hash_of(text: str, person: bytes) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16, person=person).hexdigest()


class SealedSessions:
    """The sessions of a cluster; the methods are those of `Sessions`.

    Args:
        key: see `session_key`.
        signed_out: who has signed out.
        clock: the time, in milliseconds since 1970.
        name_of: what the workspace of an id is called now; None where nobody can say.
    """

    def __init__(
        self,
        key: bytes,
        signed_out: EndedSessions,
        clock: Callable[[], int],
        name_of: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(key)
        self._signed_out = signed_out
        self._clock = clock
        self._name_of = name_of

    def find(self, cookie: str | None) -> Session | None:
        """As `Sessions`."""
        session = self.look_at(cookie)
        if session is None:
            return None
        now_ms = self._clock()
        if now_ms - session.used_at_ms > _RENEWED_AFTER_MS:
            session.used_at_ms, session.changed = now_ms, True
        name_anew(session, self._name_of)
        return session

    def look_at(self, cookie: str | None) -> Session | None:
        """As `Sessions`."""
        sealed = self._opened(cookie or "")
        session = None if sealed is None else _session_of(sealed)
        now_ms = self._clock()
        if session is None or now_ms - session.used_at_ms > IDLE_MS_MAX:
            return None
        if now_ms - session.began_at_ms > SESSION_MS_MAX or not session.grants:
            return None
        tokens = [_token_hash(each) for each in session.grants.values()]
        is_over = self._signed_out.is_over(_session_hash(session), tokens, session.began_at_ms)
        return None if is_over else session

    def _opened(self, cookie: str) -> _Sealed | None:
        from cryptography.exceptions import InvalidTag

        if not cookie or len(cookie) > _COOKIE_CHARACTERS_MAX or not cookie.isascii():
            return None
        try:
            data = urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
            text = self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _SAID)
            return msgspec.json.decode(text, type=_Sealed)
        except (InvalidTag, ValueError, msgspec.DecodeError):
            return None

    def cookie_of(self, session: Session) -> str:
        """All of it, sealed."""
        grants = [(each.workspace_id, each.secret) for each in session.grants.values()]
        session.changed = False
        cookie = ""
        # Some characters are written as six. What a notice says goes before its secret does, which
        # cannot be had again, and before the session.
        for text_bytes_max in _NOTICE_BYTES_MAX:
            # Of several changes at once the latest is shown; what it says is cut before it is lost.
            notices = [
                (name, _cut(notice.text, text_bytes_max), notice.kind, notice.secret)
                for name, notice in [*session.notices.items()][-1:]
            ]
            sealed = _Sealed(
                *(session.id, session.form_key, session.began_at_ms, session.used_at_ms),
                *(session.secure, grants, notices),
            )
            nonce = secrets.token_bytes(_NONCE_BYTES)
            data = nonce + self._cipher.encrypt(nonce, msgspec.json.encode(sealed), _SAID)
            cookie = urlsafe_b64encode(data).rstrip(b"=").decode()
            if len(cookie) <= _COOKIE_CHARACTERS_MAX:
                break
        return cookie

    def renewed_cookie(self, session: Session) -> str | None:
        """As `Sessions`."""
        return self.cookie_of(session) if session.changed else None

    def sign_in(self, former: Session | None, grant: Grant) -> Session:
        """As `Sessions`; the former one is over once `end` says so."""
        now_ms = self._clock()
        session = Session(
            *(secrets.token_urlsafe(32), secrets.token_urlsafe(32), now_ms), began_at_ms=now_ms
        )
        if former is not None:
            session.grants = {
                key: kept for key, kept in former.grants.items() if key != grant.workspace_id
            }
        session.grants[grant.workspace_id] = grant
        while len(session.grants) > _GRANTS_MAX:
            del session.grants[next(iter(session.grants))]
        return session

    def drop(self, session: Session, grant: Grant) -> None:
        """Let others be shown first, if there are any: it opens nothing as long as it is refused.

        It is kept, because a node that is a moment behind refuses a token that is new.
        """
        if session.grants.get(grant.workspace_id) == grant and len(session.grants) > 1:
            del session.grants[grant.workspace_id]
            session.grants = {grant.workspace_id: grant, **session.grants}
            session.changed = True

    async def end(self, session: Session) -> bool:
        """As `Sessions`; False where other nodes cannot be told now, which is done later."""
        latest = session.grant(None)
        ended = EndedSession(
            _session_hash(session),
            "" if latest is None else _token_hash(latest),
            session.began_at_ms + SESSION_MS_MAX,
        )
        return await self._signed_out.tell(ended)


def _session_of(sealed: _Sealed) -> Session:
    grants = {workspace: Grant(workspace, workspace, secret) for workspace, secret in sealed.grants}
    notices = {name: Notice(text, kind, secret) for name, text, kind, secret in sealed.notices}
    return Session(
        *(sealed.id, sealed.form_key, sealed.used_at_ms, grants, notices),
        began_at_ms=sealed.began_at_ms,
        secure=sealed.secure,
    )


def _session_hash(session: Session) -> str:
    return _hash_of(session.id, b"hc session")


def _token_hash(grant: Grant) -> str:
    return _hash_of(grant.secret, b"hc session token")


def _cut(text: str, bytes_max: int) -> str:
    encoded = text.encode()
    if len(encoded) <= bytes_max:
        return text
    return encoded[:bytes_max].decode(errors="ignore") + "\N{HORIZONTAL ELLIPSIS}"
