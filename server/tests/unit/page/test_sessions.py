"""Sessions: fresh ids at every sign-in, and an end."""

from __future__ import annotations

import pytest

from headcount.page.sessions import Grant, MemorySessions, Notice

HOUR_MS = 3_600_000


class Clock:
    now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


def grant(workspace: str, secret: str = "s") -> Grant:
    return Grant(workspace, workspace.title(), secret)


def test_every_sign_in_has_a_fresh_id_and_keeps_the_grants() -> None:
    sessions = MemorySessions(Clock())
    first = sessions.sign_in(None, grant("a"))
    second = sessions.sign_in(first, grant("b"))
    third = sessions.sign_in(second, grant("a", "newer"))
    assert len({first.id, second.id, third.id, first.form_key, third.form_key}) == 5
    assert sessions.find(first.id) is None
    assert sessions.find(second.id) is None
    assert list(third.grants) == ["b", "a"]
    assert third.grant(None) == grant("a", "newer")
    assert third.grant("c") is None


def test_a_session_ends_with_its_last_grant_or_when_unused() -> None:
    clock = Clock()
    sessions = MemorySessions(clock)
    session = sessions.sign_in(sessions.sign_in(None, grant("a")), grant("b"))
    sessions.drop(session, grant("a"))
    assert sessions.find(session.id) is session
    sessions.drop(session, grant("b", "another token of it"))
    assert sessions.find(session.id) is session
    sessions.drop(session, grant("b"))
    assert sessions.find(session.id) is None

    session = sessions.sign_in(None, grant("a"))
    for _ in range(3):
        clock.now_ms += 12 * HOUR_MS
        assert sessions.find(session.id) is session
    clock.now_ms += 12 * HOUR_MS + 1
    assert sessions.find(session.id) is None
    assert sessions.find(None) is None


def test_one_token_opens_a_hundred_sessions_and_ends_none_of_others() -> None:
    clock = Clock()
    sessions = MemorySessions(clock)
    other = sessions.sign_in(None, grant("a", "another token"))
    opened = []
    for _ in range(150):
        clock.now_ms += 1
        opened.append(sessions.sign_in(None, grant("a")))
    assert sessions.find(other.id) is other
    assert [sessions.find(each.id) is each for each in opened] == [False] * 50 + [True] * 100
    # The one that goes is the one that was used the longest ago, not the one that came first.
    clock.now_ms += 1
    assert sessions.find(opened[50].id)
    sessions.sign_in(None, grant("a"))
    assert sessions.find(opened[50].id)
    assert not sessions.find(opened[51].id)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headcount.page.sessions._SESSIONS_MAX", 30)
    clock = Clock()
    sessions = MemorySessions(clock)
    opened = []
    for number in range(40):
        clock.now_ms += 1
        opened.append(sessions.sign_in(None, grant("a", f"token {number}")))
    assert [sessions.find(each.id) is each for each in opened] == [False] * 10 + [True] * 30
    session = opened[-1]
    for _ in range(100):
        name = session.leave_notice(Notice("done"))
    assert len(session.notices) <= 20
    assert name in session.notices


def test_secrets_do_not_print() -> None:
    session = MemorySessions(Clock()).sign_in(None, grant("a", "hct_secret"))
    session.leave_notice(Notice("made", secret="hct_other"))
    assert "hct_" not in repr(session)
    assert session.id not in repr(session)


def test_a_workspace_is_called_what_it_is_called_now() -> None:
    names = {"a": "Kiosk"}
    sessions = MemorySessions(Clock(), names.get)
    session = sessions.sign_in(sessions.sign_in(None, grant("a")), grant("b"))
    assert sessions.find(session.id) is session
    assert [each.workspace_name for each in session.grants.values()] == ["Kiosk", "B"]
    names["a"] = "Corner shop"
    sessions.find(session.id)
    assert session.grants["a"] == Grant("a", "Corner shop", "s")
    assert list(session.grants) == ["a", "b"]
