"""Where sources deliver on to, as the catalog keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.catalog import Catalog
from headcount.errors import UsageError


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / "catalog.sqlite") as catalog:
        workspace = catalog.add_workspace("Acme", 0)
        catalog.add_source(workspace.number, "web", 0)
        yield catalog


def test_what_is_set_stays_and_each_change_is_counted(catalog: Catalog) -> None:
    assert catalog.forwardings() == []
    first = catalog.set_forwarding(1, "https://v", "key", "refuse", 7, by_token=False)
    again = catalog.set_forwarding(1, "https://w", "other", "stop", 8, by_token=True)
    assert (first.changes, again.changes) == (1, 2)
    assert catalog.forwarding(1) == again
    stopped = catalog.set_forwarding_state(1, "ending", 9)
    assert (stopped.state, stopped.changes, stopped.url) == ("ending", 3, "https://w")
    catalog.check()


def test_its_key_is_not_in_what_is_printed_of_it(catalog: Catalog) -> None:
    made = catalog.set_forwarding(1, "https://v", "secret-key", "refuse", 7, by_token=False)
    assert "secret-key" not in repr(made)


def test_a_source_that_never_forwarded_has_nothing_to_change(catalog: Catalog) -> None:
    with pytest.raises(UsageError, match="never forwarded"):
        catalog.set_forwarding_state(1, "on", 7)


def test_it_is_off_once_all_is_delivered_unless_somebody_has_changed_it_since(
    catalog: Catalog,
) -> None:
    catalog.set_forwarding(1, "https://v", "key", "refuse", 7, by_token=False)
    ending = catalog.set_forwarding_state(1, "ending", 8)
    on_again = catalog.set_forwarding_state(1, "on", 9)
    catalog.note_forwarding_ended(1, ending.changes, 10)
    assert catalog.forwarding(1) == on_again
    ending = catalog.set_forwarding_state(1, "ending", 11)
    catalog.note_forwarding_ended(1, ending.changes, 12)
    ended = catalog.forwarding(1)
    assert ended is not None
    assert (ended.state, ended.changed_at_ms) == ("off", 12)
    catalog.note_forwarding_ended(2, 1, 13)
