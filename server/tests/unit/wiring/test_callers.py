"""Whose a request to the API address is, before anybody looks at it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headcount.catalog import Catalog
from headcount.page.sessions import Grant, MemorySessions
from headcount.wiring.callers import Callers

NOW_MS = 1_000_000


class Place:
    """Two workspaces, one of which somebody is signed in to on the page."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.sessions = MemorySessions(lambda: NOW_MS)
        self.callers = Callers(catalog, self.sessions, lambda: NOW_MS)
        self.shop = catalog.add_workspace("Shop", 0)
        self.other = catalog.add_workspace("Other", 0)

    def token(self, number: int, expires_at_ms: int | None = None) -> str:
        return self.catalog.add_token(number, "read", 0, expires_at_ms)[1]

    def owner(self, path: str, **headers: str) -> Any:
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = {"path": path, "headers": pairs}
        owner = self.callers.owner_of(scope)
        assert self.callers.is_known(scope) == isinstance(owner.name, tuple)
        return owner


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Catalog(tmp_path / "catalog.sqlite") as catalog:
        yield Place(catalog)


def test_tokens_of_a_workspace_are_one_owner_and_those_of_others_are_others(place: Place) -> None:
    first, second = place.token(place.shop.number), place.token(place.shop.number)
    third = place.token(place.other.number)
    owners = [
        place.owner("/headcount/v1/summary", authorization=f"Bearer {secret}")
        for secret in (first, second, third)
    ]
    assert owners[0] == owners[1] != owners[2]


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer ", "Bearer hct_nobody", "Basic aGN0Og==", "\xff\xfe", "Bearer a b"],
)
def test_whoever_shows_no_token_is_a_stranger(place: Place, authorization: str) -> None:
    stranger = place.owner("/headcount/v1/summary")
    assert place.owner("/usage/api-calls/daily", authorization=authorization) == stranger


def test_a_token_that_is_over_is_a_stranger_s(place: Place) -> None:
    late = place.token(place.shop.number, expires_at_ms=NOW_MS - 1)
    revoked, secret = place.catalog.add_token(place.shop.number, "read", 0)
    place.catalog.revoke_token(place.shop.number, revoked.id, 1)
    stranger = place.owner("/headcount/v1/summary")
    for each in (late, secret):
        owner = place.owner("/headcount/v1/summary", authorization=f"Bearer {each}")
        assert owner == stranger


def test_strangers_wait_behind_those_who_ask_for_the_same_kind_of_thing(place: Place) -> None:
    paths = ("/healthz", "/readyz", "/metrics", "/docs", "/page/sign-in", "/nothing")
    owners = [place.owner(path) for path in paths]
    assert len({owner.name for owner in owners}) == len(paths)
    assert place.owner("/page/assets/page.css") == place.owner("/")
    # Nobody shall be able to make a server look dead by asking whether it lives.
    assert min(owner.waiting_max for owner in owners[:2]) > 1000
    assert max(owner.waiting_max for owner in owners[2:]) < 200


def test_whoever_is_signed_in_is_known_on_the_page_and_nowhere_else(place: Place) -> None:
    session = place.sessions.sign_in(None, Grant(place.shop.id, "Shop", "s"))
    cookie = f"theme=dark; headcount_session={session.id}"
    assert place.owner("/", cookie=cookie) != place.owner("/")
    assert place.owner("/", cookie="headcount_session=x; headcount_session") == place.owner("/")
    assert place.owner("/usage/mtu/daily", cookie=cookie) == place.owner("/usage/mtu/daily")
    asyncio.run(place.sessions.end(session))
    assert place.owner("/", cookie=cookie) == place.owner("/")


def test_a_catalog_that_cannot_be_read_makes_strangers_of_all(tmp_path: Path) -> None:
    with Catalog(tmp_path / "catalog.sqlite") as catalog:
        place = Place(catalog)
        secret = place.token(place.shop.number)
    stranger = place.owner("/usage/mtu/daily")
    assert place.owner("/usage/mtu/daily", authorization=f"Bearer {secret}") == stranger
