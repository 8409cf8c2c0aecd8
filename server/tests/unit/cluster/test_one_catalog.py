"""One catalog for all nodes: changed by comparison, copied, put right where it was forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headcount.alerting.written_down import written_down
from headcount.catalog import Attempt, Catalog, NewDelivery
from headcount.catalog.entities import fresh_id, fresh_write_key
from headcount.catalog.schema import BOT_REFUSAL, META, SOURCE
from headcount.catalog.shared_contents import NO_VERSION
from headcount.cluster.one_catalog import CATALOG_KEY, OneCatalog, begin, newer, restore
from headcount.counting.alerts import AlertEvent, Crossing, QuotaReached
from headcount.counting.calendar import Period
from headcount.errors import (
    CatalogOvertakenError,
    CatalogUnchangedError,
    DamagedDataError,
    EngineAwayError,
    UsageError,
)
from support.closed import everything_closed
from support.memory_registry import MemoryRegistry, MemoryRegistryServer


class Nodes:
    """Two nodes' copies of one catalog."""

    def __init__(self, folder: Path) -> None:
        self.server = MemoryRegistryServer()
        first = Catalog(folder / "first.sqlite")
        begin(self.server.open(), first.begin_sharing())
        first.close()
        self.a, self.b = (
            Catalog(folder / name, shared=OneCatalog(self.server.open))
            for name in ("a.sqlite", "b.sqlite")
        )


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    with everything_closed(Catalog):
        yield Nodes(tmp_path)


def test_a_change_on_one_node_is_seen_on_the_other_once_it_has_looked(nodes: Nodes) -> None:
    shop = nodes.a.add_workspace("Shop", 1)
    web = nodes.a.add_source(shop.number, "web", 2)
    token, secret = nodes.a.add_token(shop.number, "read", 3)
    nodes.a.add_link(shop.number, 4, view="source", source=web.number)
    assert nodes.b.workspaces() == []
    version = nodes.b.version()
    assert nodes.b.catch_up()
    assert nodes.b.version() != version, "those who cache by it look anew"
    assert nodes.b.workspaces() == [shop]
    assert nodes.b.sources() == [web]
    assert nodes.b.token_by_secret(secret) == token
    assert not nodes.b.catch_up()
    nodes.b.check()


def test_a_change_begins_with_what_others_have_changed(nodes: Nodes) -> None:
    shop = nodes.a.add_workspace("Shop", 1)
    with pytest.raises(UsageError, match="already a workspace"):
        nodes.b.add_workspace("Shop", 1)
    bar = nodes.b.add_workspace("Bar", 2)
    assert bar.number == shop.number + 1
    nodes.b.rename_workspace(shop.number, "Baz")
    nodes.b.rename_workspace(bar.number, "Shop")
    nodes.b.rename_workspace(shop.number, "Bar")
    nodes.a.catch_up()
    assert [each.name for each in nodes.a.workspaces()] == ["Bar", "Shop"]
    nodes.a.check()


def test_of_two_changes_at_one_moment_one_is_refused_and_leaves_nothing(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = nodes.a.shared_contents()
    nodes.b.add_workspace("Bar", 1)
    monkeypatch.setattr(OneCatalog, "newer", lambda *_: None)  # it has looked just before
    with pytest.raises(CatalogUnchangedError, match="on another node of the cluster"):
        nodes.a.add_workspace("Foo", 1)
    assert nodes.a.shared_contents() == held
    monkeypatch.undo()
    nodes.a.add_workspace("Foo", 1)
    assert [each.name for each in nodes.a.workspaces()] == ["Bar", "Foo"]


def test_while_the_registry_is_away_nothing_changes_and_everything_is_read(nodes: Nodes) -> None:
    shop = nodes.a.add_workspace("Shop", 1)
    web = nodes.a.add_source(shop.number, "web", 2)
    nodes.server.away = True
    with pytest.raises(CatalogUnchangedError, match="Known write keys are taken meanwhile"):
        nodes.a.set_source_enabled(web.number, False)
    assert nodes.a.sources() == [web]
    nodes.a.note_link_use("a link", 3)


def test_a_change_whose_answer_is_lost_is_known_by_looking_again(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = MemoryRegistry.put

    def forgetful(registry: MemoryRegistry, key: str, value: bytes, expected: int | None) -> int:
        revision = put(registry, key, value, expected)
        if key == CATALOG_KEY:
            raise EngineAwayError("No answer.")
        return revision

    monkeypatch.setattr(MemoryRegistry, "put", forgetful)
    shop = nodes.a.add_workspace("Shop", 1)
    nodes.b.catch_up()
    assert nodes.b.workspaces() == [shop]


def test_a_change_that_changes_nothing_is_no_version(nodes: Nodes) -> None:
    nodes.a.add_workspace("Shop", 1)
    before = nodes.server.version
    nodes.a.retire_hash_key()
    assert nodes.server.version == before


def test_hash_keys_are_the_clusters_and_numbers_of_versions_the_files_own(nodes: Nodes) -> None:
    nodes.a.set_hash_key_fingerprint("first")
    nodes.a.begin_hash_key("second", Period(700), lambda: None)
    nodes.b.catch_up()
    assert nodes.b.hash_keys() == nodes.a.hash_keys()
    assert nodes.b.hash_keys().next_fingerprint == "second"


def test_large_catalogs_lie_in_several_parts_and_former_ones_go(nodes: Nodes) -> None:
    shop = nodes.a.add_workspace("Shop", 1)
    with nodes.a._transaction():
        for number in range(1, 16_001):
            row = (number, fresh_id(), f"source {number}", shop.number, fresh_write_key(), 1, 1)
            nodes.a._ledger.add(SOURCE, *row)
    for name in ("x", "y", "z"):
        nodes.a.add_workspace(name, 2)
    parts = [key for key in nodes.server.values if key.startswith("catalog.")]
    assert len(parts) > 2
    assert len({key.split(".")[1] for key in parts}) == 2
    nodes.b.catch_up()
    assert nodes.b.sources() == nodes.a.sources()


def test_a_registry_that_forgot_a_change_is_put_right_by_who_has_it(nodes: Nodes) -> None:
    shop = nodes.a.add_workspace("Shop", 1)
    token, secret = nodes.a.add_token(shop.number, "admin", 1)
    nodes.b.catch_up()
    older = dict(nodes.server.values)
    nodes.a.revoke_token(shop.number, token.id, 2)
    nodes.server.values = older
    registry = nodes.server.open()
    assert newer(registry, nodes.a.shared_contents().version) is None, "an older one is no newer"
    assert restore(registry, nodes.a.shared_contents())
    assert not restore(registry, nodes.a.shared_contents())
    nodes.b.catch_up()
    found = nodes.b.token_by_secret(secret)
    assert found is not None
    assert found.revoked_at_ms == 2


def test_what_a_registry_forgot_and_others_changed_is_known_to_be_lost(nodes: Nodes) -> None:
    nodes.b.catch_up()
    older = dict(nodes.server.values)
    nodes.a.add_workspace("Lost", 1)
    lost = nodes.a.shared_contents()
    nodes.server.values = older
    nodes.b.add_workspace("Kept", 1)
    nodes.b.add_workspace("Kept too", 1)
    assert not restore(nodes.server.open(), lost)
    found = newer(nodes.server.open(), lost.version)
    assert found is not None
    assert not found.came_from(lost.version)
    assert found.came_from(NO_VERSION)
    nodes.a.catch_up()
    assert [each.name for each in nodes.a.workspaces()] == ["Kept", "Kept too"]


def test_a_damaged_catalog_is_not_copied(nodes: Nodes) -> None:
    nodes.a.add_workspace("Shop", 1)
    part = max(key for key in nodes.server.values if key.startswith("catalog."))
    nodes.server.open().put(part, b"x", None)
    with pytest.raises(CatalogUnchangedError, match="is damaged"):
        nodes.b.catch_up()


def test_a_wiped_registry_changes_no_copy(nodes: Nodes) -> None:
    nodes.a.add_workspace("Shop", 1)
    nodes.server.wipe()
    with pytest.raises(CatalogUnchangedError, match="holds no catalog"):
        nodes.a.catch_up()
    begin(nodes.server.open(), nodes.a.shared_contents())
    nodes.b.catch_up()
    assert len(nodes.b.workspaces()) == 1


def test_what_another_version_wrote_is_refused(nodes: Nodes) -> None:
    one = OneCatalog(nodes.server.open)
    nodes.a.add_workspace("Shop", 1)
    held = nodes.a.shared_contents()
    one.publish(held.version, b"\x80")
    with pytest.raises(DamagedDataError, match="other nodes run"):
        nodes.a.catch_up()


def test_what_two_nodes_have_found_is_told_by_who_was_first(nodes: Nodes) -> None:
    """Each has judged what it shows; the marks in the one catalog are what makes it once."""
    shop = nodes.a.add_workspace("Shop", 1).number

    def deliveries_of(event: AlertEvent) -> list[NewDelivery]:
        return [NewDelivery(shop, 1, event.uid, "alert", ",".join(_marks(event)))]

    nodes.a.take_own_events([_event("80%", "100%")], deliveries_of, 1, 2)
    nodes.b.take_own_events([_event("80%"), _event("100%", "120%")], deliveries_of, 7, 3)
    nodes.a.take_own_events([_event("120%")], deliveries_of, 2, 4)
    nodes.a.catch_up()
    for node in (nodes.a, nodes.b):
        assert [each.body for each in node.deliveries(shop)] == ["120%", "80%,100%"]
    assert (nodes.a.events_read_here(), nodes.b.events_read_here()) == (2, 7)


def test_nothing_is_told_where_another_node_changes_the_catalog_at_that_moment(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = nodes.a.add_workspace("Shop", 1).number
    deliveries_of: Any = lambda event: [NewDelivery(shop, 1, event.uid, "alert", "{}")]  # noqa: E731
    nodes.b.take_own_events([_event("80%")], deliveries_of, 1, 2)
    newer_one, found = OneCatalog.newer, [None]
    monkeypatch.setattr(
        OneCatalog, "newer", lambda *given: found.pop() if found else newer_one(*given)
    )
    with pytest.raises(CatalogOvertakenError):
        nodes.a.take_own_events([_event("80%")], deliveries_of, 1, 3)
    assert nodes.a.events_read_here() == 0
    found.append(None)
    written_down(lambda: nodes.a.take_own_events([_event("80%")], deliveries_of, 1, 3))
    assert nodes.a.events_read_here() == 1
    assert len(nodes.a.deliveries(shop)) == 1


def test_the_moment_at_which_a_quota_was_reached_is_one_for_all_nodes(nodes: Nodes) -> None:
    november = Period.of_day(20_770)
    first = QuotaReached(1, november, 3, "api_calls", 5, 1_000, "refuse")
    nodes.a.note_quotas_reached([first])
    nodes.b.note_quotas_reached([replace(first, reached_at_ms=900)])
    assert nodes.a.quotas_reached(1, november) == nodes.b.quotas_reached(1, november) == [first]
    assert (
        nodes.b.quotas_reached(1, november.shifted(1)) == nodes.b.quotas_reached(11, november) == []
    )


def test_only_the_latest_of_what_was_told_is_copied_with_every_change(nodes: Nodes) -> None:
    shop, day_ms = nodes.a.add_workspace("Shop", 1).number, 86_400_000
    for number in range(4):
        tried = Attempt(number, 204, "204", 1)
        nodes.a.add_tried(NewDelivery(shop, 1, f"e{number}", "alert", "{}"), tried, "delivered")
    nodes.a.forget_told(3 * day_ms)
    assert len(nodes.a.deliveries(shop)) == 4, "they are few"
    nodes.a.forget_told(3 * day_ms, kept=2)
    assert [each.event for each in nodes.a.deliveries(shop)] == ["e3", "e2"]
    nodes.a.check()


def test_a_catalog_of_before_a_table_came_is_read(nodes: Nodes) -> None:
    """Nodes are brought to a new version one by one."""
    nodes.a.add_workspace("Shop", 1)
    held = nodes.a.shared_contents()
    tables = msgspec.msgpack.decode(held.data)
    del tables[BOT_REFUSAL.name]
    data = msgspec.msgpack.encode(tables)
    one = OneCatalog(nodes.server.open)
    one.publish(held.version, data)
    assert nodes.b.catch_up()
    assert [each.name for each in nodes.b.workspaces()] == ["Shop"]


def _event(*marks: str) -> AlertEvent:
    crossings = tuple(
        Crossing(
            rule="r1", name="MTU", kind="count", metric="mtu", rule_number=1, source=0,
            period="2026-11-01", mark=mark, threshold=mark,
        )
        for mark in marks
    )  # fmt: skip
    return AlertEvent(f"evt_{marks}", 1, 5, (1,), crossings)


def _marks(event: AlertEvent) -> list[str]:
    return [each.mark for each in event.crossings]


def test_what_was_told_of_a_workspace_is_erased_with_it_and_no_others(nodes: Nodes) -> None:
    november = Period.of_day(20_770)
    numbers = [nodes.a.add_workspace(name, 1).number for name in ("Shop", "Bar")]
    for number in numbers:
        event = replace(_event("80%"), workspace=number)
        nodes.a.take_own_events([event], lambda _: [], number, 2)
        reached = QuotaReached(number, november, 3, "api_calls", 5, 1_000, "mark")
        nodes.a.note_quotas_reached([reached])
    nodes.a.delete_workspace(numbers[0], 3, 4)
    nodes.a.erase_workspace(numbers[0], 5)
    nodes.b.catch_up()
    assert [bool(nodes.b.quotas_reached(n, november)) for n in numbers] == [False, True]
    told = [name for name in dict(nodes.b._read(META, "")) if name.startswith("told ")]
    assert told == [f"told {numbers[1]} 1 {Period.of_day(20_770).number} 80%"]
