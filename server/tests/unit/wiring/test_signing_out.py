"""Signing out of the page of a cluster: at once here, and everywhere as soon as all can be told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from headcount.catalog import Catalog
from headcount.cluster.one_catalog import OneCatalog, begin
from headcount.page import EndedSession
from headcount.troubles import Troubles
from headcount.wiring import signing_out
from headcount.wiring.signing_out import SignedOutEverywhere
from support.memory_registry import MemoryRegistryServer

NOW_MS = 1_700_000_000_000


class Node:
    """One node's copy of the catalog, and what its api process knows."""

    def __init__(self, server: MemoryRegistryServer, path: Path) -> None:
        self.catalog = Catalog(path, shared=OneCatalog(server.open))
        self.troubles = Troubles(None, "api", lambda: NOW_MS)
        opened = partial(Catalog, path, shared=OneCatalog(server.open))
        self.signed_out = SignedOutEverywhere(self.catalog, opened, self.troubles, lambda: NOW_MS)

    def is_over(self, session: str) -> bool:
        return self.signed_out.is_over(session, ["token"], NOW_MS - 1_000)


class Cluster:
    def __init__(self, folder: Path) -> None:
        self.server = MemoryRegistryServer()
        with Catalog(folder / "first.sqlite") as first:
            begin(self.server.open(), first.begin_sharing())
        self.a, self.b = (Node(self.server, folder / f"{name}.sqlite") for name in "ab")
        for node in (self.a, self.b):
            node.catalog.catch_up()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    for node in (made.a, made.b):
        node.catalog.close()


async def until(look: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if look():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come")


def ended(session: str) -> EndedSession:
    return EndedSession(session, "token", NOW_MS + 1_000_000)


def test_several_are_told_in_one_change_and_known_to_all(cluster: Cluster) -> None:
    async def sign_out() -> list[bool]:
        return await asyncio.gather(*(cluster.a.signed_out.tell(ended(s)) for s in "xyz"))

    before = cluster.a.catalog.shared_version().number
    assert asyncio.run(sign_out()) == [True] * 3
    assert cluster.a.catalog.shared_version().number == before + 1
    assert cluster.a.is_over("x")
    assert not cluster.b.is_over("x")
    cluster.b.catalog.catch_up()
    assert all(map(cluster.b.is_over, "xyz"))
    assert not cluster.b.is_over("w")


def test_while_the_registry_is_away_this_node_knows_and_the_others_hear_later(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_out, "_TOLD_WITHIN_S", 0.0)
    monkeypatch.setattr(signing_out, "_AGAIN_S", 0.01)

    async def sign_out() -> None:
        cluster.server.away = True
        assert not await cluster.a.signed_out.tell(ended("x"))
        assert cluster.a.is_over("x"), "at once"
        await until(lambda: bool(cluster.a.troubles.now()))
        assert not await cluster.a.signed_out.tell(ended("x")), "asked again"
        cluster.server.away = False
        await until(lambda: not cluster.a.troubles.now())

    asyncio.run(sign_out())
    assert cluster.a.is_over("x")
    cluster.b.catalog.catch_up()
    assert cluster.b.is_over("x")
