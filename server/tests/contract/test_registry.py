"""What every registry of a cluster promises while nothing breaks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from headcount.engines.registry import REGISTRY_VALUE_BYTES_MAX, Registry, RegistryEntry
from headcount.errors import RegistryConflictError
from support.engines import REGISTRIES, OpenRegistry


@pytest.fixture(params=REGISTRIES)
def open_registry(request: pytest.FixtureRequest) -> Iterator[OpenRegistry]:
    opened: list[Registry] = []
    opener = REGISTRIES[request.param]()

    def open_one() -> Registry:
        opened.append(opener())
        return opened[-1]

    yield open_one
    for registry in opened:
        registry.close()


@pytest.fixture
def registry(open_registry: OpenRegistry) -> Registry:
    return open_registry()


def test_one_that_knows_nothing(registry: Registry) -> None:
    assert registry.get("node.n1") is None
    assert registry.list() == {}
    assert registry.version() == 0
    registry.delete("node.n1")
    registry.delete("node.n1", 7)
    assert registry.version() == 0


def test_what_is_put_is_read_by_all(registry: Registry, open_registry: OpenRegistry) -> None:
    values = {"node.n1": b"", "node.n2": bytes(range(256)), "catalog": b"x" * 400_000}
    revisions = {key: registry.put(key, value, 0) for key, value in values.items()}
    other = open_registry()
    for key, value in values.items():
        assert other.get(key) == RegistryEntry(value, revisions[key])
    assert other.version() == registry.version() == revisions["catalog"]
    assert list(revisions.values()) == sorted(set(revisions.values()))
    registry.put("large", b"\0" * REGISTRY_VALUE_BYTES_MAX, None)


def test_who_saw_the_latest_revision_may_change_it_and_nobody_else(registry: Registry) -> None:
    first = registry.put("lease.0", b"n1", 0)
    with pytest.raises(RegistryConflictError, match=r"lease\.0"):
        registry.put("lease.0", b"n2", 0)
    second = registry.put("lease.0", b"n2", first)
    assert second > first
    with pytest.raises(RegistryConflictError):
        registry.put("lease.0", b"n1", first)
    with pytest.raises(RegistryConflictError):
        registry.delete("lease.0", first)
    assert registry.get("lease.0") == RegistryEntry(b"n2", second)
    third = registry.put("lease.0", b"n3", None)
    assert registry.get("lease.0") == RegistryEntry(b"n3", third)


def test_what_was_removed_is_not_there_and_can_be_put_anew(registry: Registry) -> None:
    first = registry.put("node.n1", b"one", 0)
    registry.put("node.n2", b"two", 0)
    before = registry.version()
    registry.delete("node.n1", first)
    assert registry.get("node.n1") is None
    assert list(registry.list()) == ["node.n2"]
    assert registry.version() > before
    with pytest.raises(RegistryConflictError):
        registry.put("node.n1", b"late", first)
    assert registry.put("node.n1", b"again", 0) > before
    registry.delete("node.n1")
    registry.delete("node.n1")
    assert registry.get("node.n1") is None


def test_values_are_listed_by_how_their_keys_begin(registry: Registry) -> None:
    for key in ("node.n2", "node.n1", "node_x", "nodes.a", "place.0"):
        registry.put(key, key.encode(), 0)
    assert list(registry.list("node.")) == ["node.n1", "node.n2"]
    assert list(registry.list("node")) == ["node.n1", "node.n2", "node_x", "nodes.a"]
    assert list(registry.list()) == ["node.n1", "node.n2", "node_x", "nodes.a", "place.0"]
    assert registry.list("place.0")["place.0"].value == b"place.0"
    assert registry.list("lease.") == {}


def test_only_one_of_many_who_compare_wins(registry: Registry, open_registry: OpenRegistry) -> None:
    """Each adds to a number that all share: none of their additions is lost."""
    registry.put("number", b"0", 0)

    def add(mine: Registry) -> None:
        done = 0
        while done < 10:
            seen = mine.get("number")
            assert seen is not None
            with contextlib.suppress(RegistryConflictError):
                mine.put("number", b"%d" % (int(seen.value) + 1), seen.revision)
                done += 1

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, [open_registry() for _ in range(4)]))
    latest = registry.get("number")
    assert latest is not None
    assert latest.value == b"40"


def test_one_who_waits_sees_a_change(registry: Registry, open_registry: OpenRegistry) -> None:
    seen = registry.version()
    assert registry.wait(seen, 0) == seen
    other = open_registry()
    revision = other.put("catalog", b"1", 0)
    assert registry.wait(seen, 30) == revision
    assert registry.wait(seen, 30) == revision
    other.delete("catalog")
    assert registry.wait(revision, 30) > revision
