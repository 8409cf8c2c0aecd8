"""The catalog keeps what it is told, refuses what cannot be, and shows changes to others."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from headcount.catalog import (
    FROM_THE_BEGINNING,
    LIMIT_MAX,
    Catalog,
    DatedLimit,
    DatedPrice,
    NewDelivery,
    PlanLimits,
    prices_on,
)
from headcount.catalog.schema import TABLES
from headcount.counting.cost import Price
from headcount.errors import DamagedDataError, DataFolderError, UsageError

NOW_MS = 1_795_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite"


@pytest.fixture
def catalog(path: Path) -> Iterator[Catalog]:
    with Catalog(path) as opened:
        yield opened


def test_a_workspace_is_found_by_id_by_name_and_by_number(catalog: Catalog) -> None:
    shop = catalog.add_workspace("  Web shop ", NOW_MS)
    other = catalog.add_workspace("Other", NOW_MS + 1)
    assert (shop.number, shop.name, shop.created_at_ms) == (1, "Web shop", NOW_MS)
    assert catalog.workspaces() == [shop, other]
    assert catalog.workspace(shop.id) == shop
    assert catalog.workspace("Web shop") == shop
    assert catalog.workspace_by_number(2) == other
    assert catalog.workspace("nobody") is None
    assert catalog.workspace("\udcff") is None
    assert catalog.workspace_by_number(3) is None


def test_an_id_goes_before_a_name_that_looks_like_it(catalog: Catalog) -> None:
    first = catalog.add_workspace("first", NOW_MS)
    second = catalog.add_workspace(first.id, NOW_MS)
    assert catalog.workspace(first.id) == first
    assert catalog.workspace(second.id) == second


def test_a_name_matches_however_its_accents_are_composed(catalog: Catalog) -> None:
    cafe = catalog.add_workspace("Cafe\u0301", NOW_MS)
    assert cafe.name == "Caf\u00e9"
    assert catalog.workspace("Cafe\u0301") == cafe
    with pytest.raises(UsageError, match="already"):
        catalog.add_workspace("Caf\u00e9", NOW_MS)


@pytest.mark.parametrize(
    "name", ["", "   ", "two\nlines", "\x00", "\x1b[31m", "\udcff", "\u2028 ", "x" * 201]
)
def test_names_that_nobody_could_read_are_refused(catalog: Catalog, name: str) -> None:
    workspace = catalog.add_workspace("shop", NOW_MS)
    if name != "\u2028 ":  # trimmed to nothing or refused: either way it is an error
        with pytest.raises(UsageError):
            catalog.add_source(workspace.number, name, NOW_MS)
    with pytest.raises(UsageError):
        catalog.add_workspace(name, NOW_MS)


@pytest.mark.parametrize("name", ["متجر", "می‌خواهم", "店", "<b>&amp;", "[red]", "x" * 200, "👩‍💻"])
def test_names_in_any_script_are_kept_as_they_are(catalog: Catalog, name: str) -> None:
    assert catalog.add_workspace(name, NOW_MS).name == name


def test_source_names_are_unique_within_their_workspace_only(catalog: Catalog) -> None:
    one, two = (catalog.add_workspace(name, NOW_MS) for name in ("one", "two"))
    web = catalog.add_source(one.number, "web", NOW_MS)
    with pytest.raises(UsageError, match=r'"web".*headcount source list'):
        catalog.add_source(one.number, "web", NOW_MS)
    elsewhere = catalog.add_source(two.number, "web", NOW_MS)
    assert catalog.sources() == [web, elsewhere]
    assert catalog.sources(two.number) == [elsewhere]
    assert catalog.source(one.number, "web") == web
    assert catalog.source(one.number, web.id) == web
    assert catalog.source(two.number, web.id) is None
    # The refused one used up no number, and every text that must be its own is.
    assert (web.number, elsewhere.number) == (1, 2)
    assert len({web.write_key, elsewhere.write_key, web.id, elsewhere.id}) == 4


def test_disabling_and_rotating_change_one_source_only(catalog: Catalog) -> None:
    workspace = catalog.add_workspace("shop", NOW_MS)
    web, app = (catalog.add_source(workspace.number, name, NOW_MS) for name in ("web", "app"))
    assert web.enabled
    assert not catalog.set_source_enabled(web.number, False).enabled
    rotated = catalog.rotate_write_key(web.number)
    assert rotated.write_key != web.write_key
    assert (rotated.id, rotated.number, rotated.enabled) == (web.id, web.number, False)
    assert catalog.set_source_enabled(web.number, True).write_key == rotated.write_key
    assert catalog.source(workspace.number, "app") == app
    with pytest.raises(UsageError, match="99"):
        catalog.rotate_write_key(99)


def test_a_token_opens_its_workspace_until_it_expires_or_is_revoked(catalog: Catalog) -> None:
    one, two = (catalog.add_workspace(name, NOW_MS) for name in ("one", "two"))
    token, secret = catalog.add_token(one.number, "read", NOW_MS, NOW_MS + 1000)
    assert catalog.token_by_secret(secret) == token
    assert catalog.token_by_secret(secret + "x") is None
    assert catalog.token_by_secret("\udcff") is None
    assert token.valid_at(NOW_MS + 999)
    assert not token.valid_at(NOW_MS + 1000)
    assert catalog.revoke_token(two.number, token.id, NOW_MS) is None
    revoked = catalog.revoke_token(one.number, token.id, NOW_MS + 5)
    assert revoked is not None
    assert not revoked.valid_at(NOW_MS)
    # Revoking again does not move the moment, and the clock set back does not undo it.
    assert catalog.revoke_token(one.number, token.id, NOW_MS + 9) == revoked
    assert catalog.tokens(one.number) == [revoked]
    assert catalog.tokens(two.number) == []


def test_the_secret_of_a_token_is_not_in_the_file(path: Path) -> None:
    with Catalog(path) as catalog:
        workspace = catalog.add_workspace("shop", NOW_MS)
        _, secret = catalog.add_token(workspace.number, "admin", NOW_MS)
    held = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert workspace.id.encode() in held
    assert secret.encode() not in held


def test_a_limit_is_in_force_from_its_day_until_the_next_one(catalog: Catalog) -> None:
    one, two = (catalog.add_workspace(name, NOW_MS).number for name in ("one", "two"))
    catalog.set_plan_limits(one, PlanLimits(mtu=12_000), from_day=100, now_ms=NOW_MS)
    catalog.set_plan_limits(one, PlanLimits(mtu=20_000, api_calls=5), from_day=200, now_ms=1)
    catalog.set_plan_limits(one, PlanLimits(mtu=None), from_day=300, now_ms=2)
    in_force = {day: catalog.plan_limits(one, day) for day in (0, 99, 100, 199, 200, 299, 300, 999)}
    assert in_force == {
        0: {}, 99: {},
        100: {"mtu": 12_000}, 199: {"mtu": 12_000},
        200: {"mtu": 20_000, "api_calls": 5}, 299: {"mtu": 20_000, "api_calls": 5},
        300: {"mtu": None, "api_calls": 5}, 999: {"mtu": None, "api_calls": 5},
    }  # fmt: skip
    assert catalog.plan_limits(two, 999) == {}
    # What is brought in later of earlier days changes what was in force then, and no more.
    catalog.set_plan_limits(one, PlanLimits(mtu=1), from_day=FROM_THE_BEGINNING, now_ms=3)
    in_force[0] = in_force[99] = {"mtu": 1}
    assert {day: catalog.plan_limits(one, day) for day in in_force} == in_force


def test_a_limit_that_is_in_force_already_is_not_set_again(catalog: Catalog) -> None:
    number = catalog.add_workspace("shop", NOW_MS).number
    for day, limits in ((1, PlanLimits(mtu=5, api_calls=None)), (9, PlanLimits(mtu=5))):
        catalog.set_plan_limits(number, limits, from_day=day, now_ms=NOW_MS)
    assert catalog.dated_limits(number) == [DatedLimit("mtu", 1, 5, NOW_MS)]
    catalog.set_plan_limits(number, PlanLimits(mtu=6), from_day=1, now_ms=NOW_MS + 1)
    assert catalog.dated_limits(number) == [DatedLimit("mtu", 1, 6, NOW_MS + 1)]


def test_a_limit_is_taken_back_and_the_one_before_it_is_in_force(catalog: Catalog) -> None:
    number = catalog.add_workspace("shop", NOW_MS).number
    for day in (0, 10):
        catalog.set_plan_limits(number, PlanLimits(mtu=day + 1), from_day=day, now_ms=NOW_MS)
    assert catalog.take_back_limit(number, "mtu", 9) is None
    assert catalog.take_back_limit(number, "api_calls", 10) is None
    assert catalog.take_back_limit(number + 1, "mtu", 10) is None
    assert catalog.take_back_limit(number, "mtu", 10) == DatedLimit("mtu", 10, 11, NOW_MS)
    assert catalog.plan_limits(number, 99) == {"mtu": 1}
    catalog.check()


@pytest.mark.parametrize("limit", [0.5, 1.0, -1, True, "7", LIMIT_MAX + 1])
def test_a_limit_is_a_whole_number(catalog: Catalog, limit: int) -> None:
    number = catalog.add_workspace("shop", NOW_MS).number
    with pytest.raises(UsageError, match="whole number"):
        catalog.set_plan_limits(
            number, PlanLimits(api_calls=3, mtu=limit), from_day=0, now_ms=NOW_MS
        )
    assert catalog.dated_limits(number) == []
    for fine in (0, LIMIT_MAX):
        catalog.set_plan_limits(number, PlanLimits(mtu=fine), from_day=0, now_ms=NOW_MS)
        assert catalog.plan_limits(number, 0) == {"mtu": fine}


def test_a_price_is_in_force_from_its_day_until_the_next_one(catalog: Catalog) -> None:
    one, two = (catalog.add_workspace(name, NOW_MS).number for name in ("one", "two"))
    dear, cheap = Price(Decimal("12.50"), 1_000, "USD"), Price(Decimal("0.0001"), 1, "EUR")

    def set_price(price: Price | None, day: int) -> None:
        catalog.set_plan_price(one, "mtu", price, from_day=day, now_ms=NOW_MS)

    for price, day in ((dear, 100), (dear, 150), (cheap, 200), (None, 300)):
        set_price(price, day)
    # What is in force already is not set again.
    assert [each.from_day for each in catalog.dated_prices(one)] == [100, 200, 300]
    found = {day: prices_on(catalog.dated_prices(one), day) for day in (99, 100, 199, 200, 300)}
    assert found == {99: {}, 100: {"mtu": dear}, 199: {"mtu": dear}, 200: {"mtu": cheap}, 300: {}}
    assert catalog.dated_prices(two) == []
    assert catalog.take_back_price(one, "mtu", 201) is None
    taken = catalog.take_back_price(one, "mtu", 200)
    assert taken == DatedPrice("mtu", 200, cheap, NOW_MS)
    assert prices_on(catalog.dated_prices(one), 299) == {"mtu": dear}
    set_price(Price(Decimal("1E+3"), 1, "USD"), 400)
    assert str(prices_on(catalog.dated_prices(one), 400)["mtu"].amount) == "1000"
    catalog.check()


@pytest.mark.parametrize(
    "price",
    [
        Price(Decimal("-1"), 1, "USD"), Price(Decimal("0.0000001"), 1, "USD"),
        Price(Decimal("NaN"), 1, "USD"), Price(Decimal("Infinity"), 1, "USD"),
        Price(Decimal(10) ** 13, 1, "USD"), Price(Decimal(1), 0, "USD"),
        Price(Decimal(1), LIMIT_MAX + 1, "USD"), Price(Decimal(1), 1, "usd"),
        Price(Decimal(1), 1, "USDT"),
    ],
)  # fmt: skip
def test_a_price_is_an_exact_amount_of_a_currency(catalog: Catalog, price: Price) -> None:
    number = catalog.add_workspace("shop", NOW_MS).number
    with pytest.raises(UsageError):
        catalog.set_plan_price(number, "mtu", price, from_day=0, now_ms=NOW_MS)
    assert catalog.dated_prices(number) == []


def test_a_link_is_known_by_its_secret_until_it_expires_or_is_revoked(catalog: Catalog) -> None:
    one, two = (catalog.add_workspace(name, NOW_MS) for name in ("one", "two"))
    web = catalog.add_source(one.number, "web", NOW_MS)
    link, secret = catalog.add_link(
        one.number,
        NOW_MS,
        name="board",
        view="source",
        source=web.number,
        period=24_322,
        against=12,
        expires_at_ms=NOW_MS + 9,
    )
    assert secret.startswith("hcl_")
    assert catalog.link_by_secret(secret) == link
    assert (link.view, link.source, link.period, link.against) == ("source", 1, 24_322, 12)
    assert (link.name, link.used_at_ms) == ("board", None)
    assert catalog.link_by_secret(secret[:-1]) is None
    # A link is no token, nor a token a link.
    assert catalog.token_by_secret(secret) is None
    assert catalog.link_by_secret(catalog.add_token(one.number, "read", NOW_MS)[1]) is None
    assert (link.valid_at(NOW_MS + 8), link.valid_at(NOW_MS + 9)) == (True, False)
    catalog.note_link_use(link.id, NOW_MS + 3)
    [used] = catalog.links(one.number)
    assert used.used_at_ms == NOW_MS + 3
    assert catalog.links(two.number) == []
    assert catalog.revoke_link(two.number, link.id, NOW_MS + 4) is None
    revoked = catalog.revoke_link(one.number, link.id, NOW_MS + 4)
    assert revoked is not None
    assert not revoked.valid_at(NOW_MS)
    assert catalog.revoke_link(one.number, link.id, NOW_MS + 5) == revoked
    assert catalog.links(one.number) == [revoked]
    catalog.check()


def test_the_secret_of_a_link_is_not_in_the_file(path: Path) -> None:
    with Catalog(path) as catalog:
        link, secret = catalog.add_link(catalog.add_workspace("shop", NOW_MS).number, NOW_MS)
    held = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert link.id.encode() in held
    assert secret.encode() not in held


def test_version_changes_with_own_commits_and_with_those_of_others(path: Path) -> None:
    with Catalog(path) as mine, Catalog(path) as theirs:
        seen = {mine.version()}
        assert mine.version() in seen
        theirs.add_workspace("theirs", NOW_MS)
        assert mine.version() not in seen
        seen.add(mine.version())
        mine.add_workspace("mine", NOW_MS)
        assert mine.version() not in seen
        seen.add(mine.version())
        mine.workspaces()
        with pytest.raises(UsageError):
            mine.add_workspace("mine", NOW_MS)
        assert mine.version() in seen


def test_a_reader_sees_changes_and_cannot_make_any(path: Path) -> None:
    with Catalog(path) as writer, Catalog(path, read_only=True) as reader:
        before = reader.version()
        workspace = writer.add_workspace("shop", NOW_MS)
        assert reader.version() != before
        assert reader.workspaces() == [workspace]
        with pytest.raises(DataFolderError, match="could not be written"):
            reader.add_workspace("other", NOW_MS)


def test_the_first_hash_key_fingerprint_stays(path: Path) -> None:
    with Catalog(path) as one, Catalog(path) as two:
        assert one.hash_key_fingerprint() is None
        assert one.set_hash_key_fingerprint("first") == "first"
        assert two.set_hash_key_fingerprint("second") == "first"
        assert one.hash_key_fingerprint() == "first"


def test_threads_share_one_catalog(catalog: Catalog) -> None:
    workspace = catalog.add_workspace("shop", NOW_MS)

    def add(thread: int) -> None:
        for number in range(10):
            catalog.add_source(workspace.number, f"{thread}-{number}", NOW_MS)
            catalog.sources()

    threads = [threading.Thread(target=add, args=(thread,)) for thread in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [source.number for source in catalog.sources()] == list(range(1, 41))


def test_files_that_are_no_catalog_are_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"a diary, in plain text, long enough to be no header of a database" * 9)
    before = path.read_bytes()
    with pytest.raises(DataFolderError, match=r"catalog\.sqlite"):
        Catalog(path)
    assert path.read_bytes() == before
    path.unlink()
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE diary (day TEXT)")
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(DataFolderError, match="not a catalog of Headcount"):
        Catalog(path)
    assert path.read_bytes() == before


def test_a_catalog_of_a_newer_version_is_refused(path: Path) -> None:
    Catalog(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 7")
    newer.close()
    for read_only in (False, True):
        with pytest.raises(DataFolderError, match=r"newer version .*7.* Install"):
            Catalog(path, read_only=read_only)


@pytest.mark.parametrize("format_", [-1, 7 << 16, 2**31 - 1])
def test_a_format_that_no_version_has_made_is_not_called_newer(path: Path, format_: int) -> None:
    Catalog(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {format_}")
    for read_only in (False, True):
        with pytest.raises(DamagedDataError, match=f"format {format_}, which no version"):
            Catalog(path, read_only=read_only)


def test_a_missing_catalog_is_not_made_by_a_reader(path: Path) -> None:
    with pytest.raises(DataFolderError, match="cannot be read"):
        Catalog(path, read_only=True)
    assert not path.exists()


def test_an_erased_workspace_leaves_nothing_behind_in_any_table(
    catalog: Catalog, path: Path
) -> None:
    """Where its channels lead to is a secret, and what was told of it was its usage."""
    for name in ("Gone", "Stays"):
        workspace = catalog.add_workspace(name, NOW_MS).number
        source = catalog.add_source(workspace, "Web", NOW_MS).number
        channel = catalog.add_channel(
            workspace, channel_id=name, name="ops", kind="webhook", shown="https://…",
            sealed=b"sealed", digest="none", now_ms=NOW_MS,
        )  # fmt: skip
        catalog.add_alert_rule(
            workspace, source=source, name="MTU", kind="count", metric="mtu", thresholds=["80%"],
            quiet_hours=24, channels=[channel.number], now_ms=NOW_MS,
        )  # fmt: skip
        new = NewDelivery(workspace, channel.number, f"evt_{name}", "alert", "{}")
        catalog.add_delivery(new, NOW_MS)
        catalog.set_quota(source, "api_calls", 1_000, "refuse", NOW_MS)
        catalog.set_bots_refused(source, True, NOW_MS)
    catalog.delete_workspace(1, NOW_MS, NOW_MS)
    catalog.erase_workspace(1, NOW_MS)
    kept = {"workspace", "source", "deletion"}
    with closing(sqlite3.connect(path)) as read:
        for table in TABLES:
            for column in {"workspace", "source"} & set(table.columns):
                rows = read.execute(f"SELECT {column} FROM {table.name}").fetchall()
                assert table.name in kept or (1,) not in rows, table.name
    assert len(catalog.channels(2)) == len(catalog.alert_rules(2)) == len(catalog.deliveries(2))
    assert [each.source for each in catalog.quotas()] == [2]
    # Its numbers name nothing else: deliveries and marks know them.
    again = catalog.add_channel(
        2, channel_id="again", name="again", kind="webhook", shown="https://…",
        sealed=b"sealed", digest="none", now_ms=NOW_MS,
    )  # fmt: skip
    assert again.number == 3
