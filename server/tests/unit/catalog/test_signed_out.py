"""Sessions that are over, as a catalog remembers them: as long as needed, and not without end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.catalog import Catalog, SignedOutRow
from headcount.catalog.signed_out import OF_TOKEN_MAX

LASTS_MS = 7 * 86_400_000
NOW_MS = 1_700_000_000_000


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / "catalog.sqlite") as made:
        yield made


def ended(session: str, token: str = "t", at_ms: int = NOW_MS) -> SignedOutRow:
    return SignedOutRow(session, token, at_ms + LASTS_MS)


def test_who_signed_out_is_known_until_nobody_could_use_the_session(catalog: Catalog) -> None:
    catalog.sign_out([ended("one"), ended("two")], NOW_MS, LASTS_MS)
    known = catalog.signed_out()
    assert known.is_over("one", ["t"], NOW_MS - 5)
    assert known.is_over("two", [], NOW_MS - 5)
    assert not known.is_over("three", ["t"], NOW_MS - 5)
    catalog.sign_out([ended("four", at_ms=NOW_MS + LASTS_MS)], NOW_MS + LASTS_MS, LASTS_MS)
    known = catalog.signed_out()
    assert not known.is_over("one", ["t"], 0)
    assert known.is_over("four", ["t"], 0)


def test_of_one_token_so_many_are_remembered_and_then_all_of_it_are_over(catalog: Catalog) -> None:
    catalog.sign_out([ended("anothers", "other")], NOW_MS, LASTS_MS)
    many = [ended(f"s{number}") for number in range(OF_TOKEN_MAX)]
    catalog.sign_out(many, NOW_MS, LASTS_MS)
    assert not catalog.signed_out().is_over("new", ["t"], NOW_MS)
    catalog.sign_out([ended("more")], NOW_MS, LASTS_MS)
    known = catalog.signed_out()
    for session in ("s0", "more", "never-ended"):
        assert known.is_over(session, ["another", "t"], NOW_MS)
    # Later ones are not, not even by a moment, nor those of other tokens.
    assert not known.is_over("later", ["t"], NOW_MS + 1)
    assert not known.is_over("of nobody", ["other"], NOW_MS - 5)
    assert known.is_over("anothers", ["other"], NOW_MS - 5)
    later_ms = NOW_MS + LASTS_MS + 60_000
    catalog.sign_out([ended("last", "x", later_ms)], later_ms, LASTS_MS)
    assert not catalog.signed_out().is_over("s0", ["t"], 0), "nobody could use it by now"


def test_sessions_may_be_told_of_all_at_once_and_none_opens_again(catalog: Catalog) -> None:
    catalog.sign_out([ended("s"), SignedOutRow("", "t", NOW_MS + LASTS_MS)], NOW_MS, LASTS_MS)
    earlier = SignedOutRow("", "t", NOW_MS - 50 + LASTS_MS)
    catalog.sign_out([earlier], NOW_MS, LASTS_MS)
    known = catalog.signed_out()
    assert known.is_over("any", ["t"], NOW_MS)
    assert not known.is_over("any", ["t"], NOW_MS + 1)
    assert not known.is_over("any", ["other"], NOW_MS)


def test_a_catalog_is_not_changed_by_looking(catalog: Catalog) -> None:
    before = catalog.generation()
    assert not catalog.signed_out().is_over("s", ["t"], 0)
    assert catalog.generation() == before
