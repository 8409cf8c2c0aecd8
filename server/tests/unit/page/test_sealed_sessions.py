"""Sessions of a cluster: any node opens what another has sealed, nobody else, and not for ever."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Collection

import pytest

from headcount.page.sealed_sessions import EndedSession, SealedSessions, session_key
from headcount.page.sessions import Grant, Notice, Session
from headcount.page.visits import workspace_seen

HOUR_MS = 3_600_000
KEY = session_key(b"k" * 32)


class Clock:
    now_ms = 1_000

    def __call__(self) -> int:
        return self.now_ms


class Ended:
    """What nodes know of sessions that were ended, all at once."""

    def __init__(self) -> None:
        self.told: dict[str, EndedSession] = {}
        self.before_ms: dict[str, int] = {}

    def is_over(self, session: str, tokens: Collection[str], began_at_ms: int) -> bool:
        before = any(began_at_ms < self.before_ms.get(each, 0) for each in tokens)
        return session in self.told or before

    async def tell(self, ended: EndedSession) -> bool:
        self.told[ended.session] = ended
        return True


class Nodes:
    def __init__(self) -> None:
        self.clock, self.ended = Clock(), Ended()
        self.names = {"a": "Shop", "b": "Kiosk"}
        self.one, self.other = (
            SealedSessions(KEY, self.ended, self.clock, self.names.get) for _ in range(2)
        )

    def browsed(self, cookie: str) -> tuple[Session | None, str]:
        """A request at the other node; the session, and the cookie that the browser has then."""
        session = self.other.find(cookie)
        renewed = None if session is None else self.other.renewed_cookie(session)
        return session, cookie if renewed is None else renewed


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


def grant(workspace: str, secret: str = "hct_s") -> Grant:
    return Grant(workspace, workspace.title(), secret)


def test_every_node_knows_a_session_and_its_forms(nodes: Nodes) -> None:
    first = nodes.one.sign_in(None, grant("a"))
    second = nodes.one.sign_in(first, grant("b", "hct_t"))
    assert len({first.id, second.id, first.form_key, second.form_key}) == 4
    found, _ = nodes.browsed(nodes.one.cookie_of(second))
    assert found is not None
    assert found.form_key == second.form_key
    assert [each.workspace_name for each in found.grants.values()] == ["Shop", "Kiosk"]
    assert found.grant(None) == Grant("b", "Kiosk", "hct_t")


def test_a_cookie_tells_nothing_and_cannot_be_made_or_changed(nodes: Nodes) -> None:
    cookie = nodes.one.cookie_of(nodes.one.sign_in(None, grant("a")))
    data = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
    assert b"hct_" not in data
    for at in (0, 11, 12, len(data) // 2, len(data) - 1):
        changed = bytearray(data)
        changed[at] ^= 1
        forged = base64.urlsafe_b64encode(bytes(changed)).decode()
        assert nodes.other.find(forged) is None
    stranger = SealedSessions(session_key(b"x" * 32), nodes.ended, nodes.clock)
    assert stranger.find(cookie) is None
    for nobody in (None, "", "abc", "\N{EURO SIGN}", "A" * 5_000, cookie[:-4], "====", "!" * 80):
        assert nodes.other.find(nobody) is None
        assert nodes.other.look_at(nobody) is None


def seen(nodes: Nodes, cookie: str) -> str | None:
    return workspace_seen(nodes.other, b"a=b; headcount_session=" + cookie.encode())


def test_a_session_that_is_over_is_no_visitors_any_more(nodes: Nodes) -> None:
    session = nodes.one.sign_in(None, grant("a"))
    cookie = nodes.one.cookie_of(session)
    assert seen(nodes, cookie) == "a"
    nodes.clock.now_ms += 12 * HOUR_MS
    assert seen(nodes, cookie) == "a"
    nodes.clock.now_ms += 1
    assert seen(nodes, cookie) is None, "nobody used it for too long"
    session.used_at_ms = nodes.clock.now_ms
    cookie = nodes.one.cookie_of(session)
    assert seen(nodes, cookie) == "a"
    asyncio.run(nodes.one.end(session))
    assert seen(nodes, cookie) is None, "signed out"
    session = nodes.one.sign_in(None, grant("a"))
    nodes.clock.now_ms += 7 * 24 * HOUR_MS + 1
    session.used_at_ms = nodes.clock.now_ms
    assert seen(nodes, nodes.one.cookie_of(session)) is None, "older than a week"


def test_who_signs_out_is_signed_out_everywhere(nodes: Nodes) -> None:
    session = nodes.one.sign_in(None, grant("a"))
    cookie, copy = nodes.one.cookie_of(session), nodes.one.cookie_of(session)
    another = nodes.one.cookie_of(nodes.one.sign_in(None, grant("a")))
    found, _ = nodes.browsed(cookie)
    assert found is not None
    assert asyncio.run(nodes.other.end(found))
    for each in (cookie, copy):
        assert nodes.one.find(each) is nodes.other.find(each) is None
    assert nodes.one.find(another) is not None
    [told] = nodes.ended.told.values()
    assert session.id not in repr(told)
    assert "hct_" not in repr(told)
    # It is remembered for as long as any copy of it could be used.
    assert told.until_ms == nodes.clock.now_ms + 7 * 24 * HOUR_MS


def test_a_session_is_over_when_unused_and_after_a_week(nodes: Nodes) -> None:
    cookie = nodes.one.cookie_of(nodes.one.sign_in(None, grant("a")))
    for _ in range(14):
        nodes.clock.now_ms += 12 * HOUR_MS
        found, renewed = nodes.browsed(cookie)
        assert found is not None
        assert renewed != cookie, "it says anew when it was used"
        cookie = renewed
    nodes.clock.now_ms += 1
    assert nodes.browsed(cookie)[0] is None
    cookie = nodes.one.cookie_of(nodes.one.sign_in(None, grant("a")))
    assert nodes.browsed(cookie)[1] == cookie, "not with every request"
    nodes.clock.now_ms += 12 * HOUR_MS + 1
    assert nodes.browsed(cookie)[0] is None


def test_all_sessions_of_a_token_may_be_over(nodes: Nodes) -> None:
    session = nodes.one.sign_in(nodes.one.sign_in(None, grant("a")), grant("b", "hct_t"))
    cookie = nodes.one.cookie_of(session)
    asyncio.run(nodes.one.end(nodes.one.sign_in(None, grant("a"))))
    [told] = nodes.ended.told.values()
    nodes.ended.before_ms[told.token] = nodes.clock.now_ms + 1
    assert nodes.other.find(cookie) is None
    nodes.clock.now_ms += 1
    assert nodes.other.find(nodes.one.cookie_of(nodes.one.sign_in(None, grant("a")))) is not None


def test_a_grant_that_is_refused_is_shown_last_and_kept(nodes: Nodes) -> None:
    session = nodes.one.sign_in(nodes.one.sign_in(None, grant("a")), grant("b"))
    found = nodes.other.find(nodes.one.cookie_of(session))
    assert found is not None
    nodes.other.drop(found, found.grants["b"])
    found = nodes.one.find(nodes.other.renewed_cookie(found))
    assert found is not None
    assert list(found.grants) == ["b", "a"]
    assert found.grant(None) == Grant("a", "Shop", "hct_s")
    # By a node that has not heard of a new token yet, nobody is signed out for good.
    alone = nodes.other.find(nodes.one.cookie_of(nodes.one.sign_in(None, grant("a"))))
    assert alone is not None
    nodes.other.drop(alone, alone.grants["a"])
    assert nodes.other.renewed_cookie(alone) is None


def test_what_a_change_did_is_shown_once_whatever_node_shows_it(nodes: Nodes) -> None:
    session = nodes.one.sign_in(None, grant("a"))
    name = session.leave_notice(Notice("A token was made.", secret="hct_new"))
    found, cookie = nodes.browsed(nodes.one.cookie_of(session))
    assert found is not None
    assert found.take_notice(name) == Notice("A token was made.", secret="hct_new")
    cookie = nodes.other.renewed_cookie(found) or ""
    found, _ = nodes.browsed(cookie)
    assert found is not None
    assert found.take_notice(name) is None
    assert nodes.other.renewed_cookie(found) is None


@pytest.mark.parametrize("said", ["\N{SNOWMAN}", "\x01", '"'])
def test_a_cookie_stays_small_enough_for_browsers(nodes: Nodes, said: str) -> None:
    session = None
    for number in range(60):
        workspace, secret = f"{number:022}", "hct_" + f"{number:043}"
        session = nodes.one.sign_in(session, Grant(workspace, "x" * 200, secret))
    assert session is not None
    for _ in range(30):
        name = session.leave_notice(Notice(said * 2_000, secret="hct_" + "s" * 43))
    cookie = nodes.one.cookie_of(session)
    assert len(cookie) < 4_000
    found = nodes.other.find(cookie)
    assert found is not None
    assert list(found.grants) == [f"{number:022}" for number in range(44, 60)]
    shown = found.take_notice(name)
    assert shown is not None
    assert shown.secret == "hct_" + "s" * 43
