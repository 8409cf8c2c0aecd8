"""Signing out of the page of a cluster: at once here, and everywhere as soon as all can be told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from headcount.catalog import Catalog
from headcount.cluster.one_catalog import OneCatalog, begin
from headcount.page import SESSION_MS_MAX, EndedSession
from headcount.troubles import Troubles
from headcount.wiring import signing_out
from headcount.wiring.signing_out import SignedOutEverywhere
from support.memory_registry import MemoryRegistryServer

NOW_MS = 1_700_000_000_000
BEGAN_MS = NOW_MS - 1_000


class Node:
    """One node's copy of the catalog, and what its api process knows."""

    def __init__(self, server: MemoryRegistryServer, path: Path) -> None:
        self.catalog = Catalog(path, shared=OneCatalog(server.open))
        self.troubles = Troubles(None, "api", lambda: NOW_MS)
        self.opened = partial(Catalog, path, shared=OneCatalog(server.open))
        self.file = path.with_suffix(".lines")
        self.begin_anew()

    def begin_anew(self) -> None:
        """As after the api process has ended."""
        self.signed_out = SignedOutEverywhere(
            *(self.catalog, self.opened, self.troubles, lambda: NOW_MS, self.file)
        )

    def is_over(self, session: str, token: str = "token", began_at_ms: int = BEGAN_MS) -> bool:
        return self.signed_out.is_over(session, [token], began_at_ms)


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


def ended(session: str, token: str = "token", began_at_ms: int = BEGAN_MS) -> EndedSession:
    return EndedSession(session, token, began_at_ms + SESSION_MS_MAX)


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


def test_who_signs_in_and_out_all_the_time_makes_the_catalog_anew_once_in_a_while(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_out, "_APART_S", 86_400.0)

    async def sign_out() -> None:
        assert await cluster.a.signed_out.tell(ended("first")), "at once"
        monkeypatch.setattr(signing_out, "_TOLD_WITHIN_S", 0.2)
        for each in "xyz":
            assert not await cluster.a.signed_out.tell(ended(each))

    before = cluster.a.catalog.shared_version().number
    asyncio.run(sign_out())
    assert all(map(cluster.a.is_over, "xyz"))
    cluster.b.catalog.catch_up()
    assert cluster.b.catalog.shared_version().number == before + 1


def test_what_nobody_could_be_told_is_told_by_the_process_that_comes_next(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_out, "_TOLD_WITHIN_S", 0.0)
    cluster.server.away = True
    for each in "xy":
        assert not asyncio.run(cluster.a.signed_out.tell(ended(each)))
    with cluster.a.file.open("ab") as file:
        file.write(b'["half')  # a process that was killed
    cluster.a.begin_anew()
    assert cluster.a.is_over("x")
    assert not cluster.a.is_over("z")
    cluster.server.away = False

    async def begin() -> None:
        cluster.a.signed_out.begin()
        await until(lambda: not cluster.a.file.exists())

    asyncio.run(begin())
    cluster.b.catalog.catch_up()
    assert all(map(cluster.b.is_over, "xy"))
    cluster.a.begin_anew()
    assert cluster.a.is_over("x"), "by the catalog"


def test_what_waits_is_bounded_and_nobody_who_signed_out_is_let_in_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(signing_out, "_TOLD_WITHIN_S", 0.0)
    monkeypatch.setattr(signing_out, "_PENDING_MAX", 5)
    cluster.server.away = True

    async def sign_out() -> None:
        await cluster.a.signed_out.tell(ended("other", "others"))
        for number in range(20):
            await cluster.a.signed_out.tell(ended(f"s{number}", began_at_ms=BEGAN_MS + number))

    asyncio.run(sign_out())
    assert len(cluster.a.file.read_bytes().splitlines()) <= 5
    assert len([each for each in caplog.messages if "wait to be signed out" in each]) == 1
    cluster.server.away = False
    cluster.a.begin_anew()

    async def begin() -> None:
        cluster.a.signed_out.begin()
        await until(lambda: not cluster.a.file.exists())

    def is_right(node: Node) -> bool:
        ends = all(node.is_over(f"s{number}", "token", BEGAN_MS + number) for number in range(20))
        goes_on = not node.is_over("new", "token", BEGAN_MS + 20)
        return ends and goes_on and node.is_over("other", "others")

    assert is_right(cluster.a)
    assert not cluster.a.is_over("not ended", "others")
    asyncio.run(begin())
    cluster.b.catalog.catch_up()
    assert is_right(cluster.b)
    assert not cluster.b.is_over("not ended", "others")
