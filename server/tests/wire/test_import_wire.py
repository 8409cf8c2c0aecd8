"""`/v1/import` as a client meets it: a real server, real tokens, every rule of a file's records."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from headcount.counting.calendar import parse_period
from headcount.store.opening import open_store
from headcount.store.protocol import Change
from support.server_fixture import Answer, Counts, Server, Shop, eventually, serving

FEBRUARY = "2021-02-01"
THEN = "2021-02-03T04:05:06.789Z"
GOOD = {"type": "page", "userId": "u", "receivedAt": THEN}
SUCCESS = {"success": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("import"), "--workers", "2") as server:
        yield server


@pytest.fixture
def shop(server: Server, request: pytest.FixtureRequest) -> Shop:
    return server.shop(request.node.name, "web", "app")


def post(shop: Shop, *records: Any, token: str | None = None, **headers: str) -> Answer:
    """Import records with the shop's admin token, or with another token."""
    body = json.dumps({"batch": records}).encode()
    return send(shop, body, token=token, **headers)


def send(shop: Shop, body: bytes, *, token: str | None = None, **headers: str) -> Answer:
    bearer = {"Authorization": f"Bearer {shop.token if token is None else token}"}
    return shop.server.send("POST", f"{shop.server.tracking}/v1/import", body, **bearer | headers)


def codes(answer: Answer) -> dict[int, str]:
    """Why which record was rejected."""
    assert answer.status == 200, answer.body
    return {each["index"]: each["code"] for each in answer.json().get("rejected", [])}


def test_records_count_in_the_source_and_month_that_they_name(shop: Shop) -> None:
    answer = post(
        shop,
        {**GOOD, "sourceId": shop.source_ids["web"]},
        {**GOOD, "writeKey": shop.write_keys["app"]},
        {**GOOD, "writeKey": shop.write_keys["app"], "receivedAt": "2021-01-31T23:59:59Z"},
        {"type": "page", "userId": "v", "timestamp": THEN, "writeKey": shop.write_keys["app"]},
    )
    assert (answer.status, answer.json()) == (200, SUCCESS)
    shop.wait_until_counted()
    assert shop.usage(FEBRUARY) == {
        "": Counts(api_calls=3, identified=2),
        shop.source_ids["web"]: Counts(api_calls=1, identified=1),
        shop.source_ids["app"]: Counts(api_calls=2, identified=2),
    }
    assert shop.usage("2021-01-01")[""] == Counts(api_calls=1, identified=1)


def test_sending_again_over_http_or_as_a_file_changes_nothing(shop: Shop) -> None:
    record = {**GOOD, "sourceId": shop.source_ids["web"]}
    for _ in range(2):
        assert post(shop, record, record, {**record, "messageId": "m"}).json() == SUCCESS
    file = shop.server.program.cwd / "same.ndjson"
    file.write_text("\n".join(json.dumps(each) for each in [record] * 3))
    shop.server.program.json("import", str(file), "--workspace", shop.name)
    shop.wait_until_counted()
    # Two of the records without ids came each time, and a third one in the file.
    assert shop.usage(FEBRUARY)[""] == Counts(api_calls=4, identified=1)


def test_bad_records_are_named_and_cost_nothing_else(shop: Shop) -> None:
    web = {"writeKey": shop.write_keys["web"]}
    foreign = shop.server.shop("a foreign workspace", "web")
    answer = post(
        shop,
        {**GOOD, **web},
        None,
        GOOD,
        {**GOOD, "writeKey": foreign.write_keys["web"]},
        {**GOOD, "sourceId": foreign.source_ids["web"]},
        # A key goes before an id, even one that is wrong.
        {**GOOD, "writeKey": "no such", "sourceId": shop.source_ids["web"]},
        {"type": "page", "userId": "u", **web},
        {**GOOD, **web, "receivedAt": "2021-02-03 04:05:06"},
        {**GOOD, **web, "receivedAt": 1612325106},
        {**GOOD, **web, "receivedAt": "2999-01-01T00:00:00Z"},
        {**GOOD, **web, "userId": 1.5},
        {**GOOD, **web, "type": "order"},
        {**GOOD, **web, "x": "x" * 140_000},
        {**GOOD, **web, "userId": "\ud800"},
        # As large as a message may be, and what was added to it since.
        {**GOOD, **web, "userId": "\ud800", "x": "x" * 32 * 1024},
    )
    assert codes(answer) == {
        1: "not_an_object", 2: "unknown_source", 3: "unknown_source", 4: "unknown_source",
        5: "unknown_source", 6: "no_received_at", 7: "received_at_without_zone",
        8: "invalid_received_at", 9: "received_at_in_future", 10: "invalid_id",
        11: "unknown_type", 12: "message_too_large",
    }  # fmt: skip
    shop.wait_until_counted()
    assert shop.usage(FEBRUARY)[""] == Counts(api_calls=3, identified=2)
    assert FEBRUARY not in foreign.ask("/headcount/v1/summary").body.decode()


def test_a_write_key_of_the_body_names_the_source_of_every_record(shop: Shop) -> None:
    web, app = shop.write_keys["web"], shop.write_keys["app"]
    records = [GOOD, {**GOOD, "userId": "v", "writeKey": app}]
    body = json.dumps({"batch": records, "writeKey": web}).encode()
    assert send(shop, body).json() == SUCCESS
    foreign = shop.server.shop("a workspace with another key", "web").write_keys["web"]
    for unknown in ("no such", foreign):
        refused = send(shop, json.dumps({"batch": records, "writeKey": unknown}).encode())
        assert (refused.status, refused.json()["code"]) == (401, "unknown_write_key")
    shop.wait_until_counted()
    expected = Counts(api_calls=2, identified=2)
    assert shop.usage(FEBRUARY) == {"": expected, shop.source_ids["web"]: expected}


def test_a_broken_record_costs_only_itself(shop: Shop) -> None:
    good = json.dumps({**GOOD, "writeKey": shop.write_keys["web"]}).encode()
    latin = json.dumps({**json.loads(good), "x": "Zoë"}, ensure_ascii=False).encode("latin-1")
    body = b'{"batch": [' + b", ".join([good, b"{nonsense}", latin, good]) + b"]}"
    assert codes(send(shop, body)) == {1: "malformed_json", 2: "not_utf8"}
    assert codes(send(shop, gzip.compress(body), Content_Encoding="gzip")) == {
        1: "malformed_json", 2: "not_utf8",
    }  # fmt: skip


def test_a_closed_month_is_refused(shop: Shop) -> None:
    record = {**GOOD, "sourceId": shop.source_ids["web"]}
    assert post(shop, record).json() == SUCCESS
    shop.wait_until_counted()
    with closing(open_store(shop.server.program.data / "store.sqlite")) as store:
        number = max(month.workspace for month in store.months())
        store.commit(Change(sealed=[(number, parse_period(FEBRUARY))]))
    march = {**record, "receivedAt": "2021-03-01T00:00:00Z"}
    assert codes(post(shop, record, march)) == {0: "period_sealed"}


def test_a_disabled_source_still_takes_its_history(shop: Shop) -> None:
    run = shop.server.program.run
    assert run("source", "disable", "web", "--workspace", shop.name).returncode == 0
    shop.await_key(shop.write_keys["web"], taken=False)
    assert post(shop, {**GOOD, "writeKey": shop.write_keys["web"]}).json() == SUCCESS


def test_only_an_admin_token_may_import(shop: Shop) -> None:
    program = shop.server.program
    record = {**GOOD, "sourceId": shop.source_ids["web"]}
    reader = program.json("token", "add", "--workspace", shop.name)["token"]
    refused = post(shop, record, token=reader)
    assert (refused.status, refused.json()["code"]) == (403, "admin_token_required")
    for token in ("", "no-such-token", shop.write_keys["web"], "\u00e9" * 40):
        refused = post(shop, record, token=token)
        assert (refused.status, refused.json()["code"]) == (401, "invalid_token")
        assert token == "" or token not in refused.body.decode()
    other = shop.server.shop("another workspace")
    assert codes(post(shop, record, token=other.token)) == {0: "unknown_source"}
    assert shop.usage()[""] == Counts()


def test_a_token_that_is_revoked_opens_nothing_at_once(shop: Shop) -> None:
    program = shop.server.program
    made = program.json("token", "add", "--workspace", shop.name, "--scope", "admin")
    assert post(shop, token=made["token"]).json() == SUCCESS
    assert program.run("token", "revoke", made["id"], "--workspace", shop.name).returncode == 0
    assert post(shop, token=made["token"]).status == 401


def test_a_write_key_alone_makes_it_a_batch(shop: Shop) -> None:
    message = {"type": "page", "userId": "u", "receivedAt": THEN}
    key = shop.write_keys["web"]
    assert shop.server.track("/v1/import", {"batch": [message]}, key).json() == SUCCESS
    in_body = json.dumps({"batch": [message], "writeKey": key}).encode()
    assert shop.server.send("POST", f"{shop.server.tracking}/v1/import", in_body).status == 200
    shop.wait_until_counted()
    # A write key is public, so it sets no time: both messages are of this month.
    assert shop.usage()[shop.source_ids["web"]] == Counts(api_calls=2, identified=1)
    assert shop.ask(f"/usage/mtu/daily?period={FEBRUARY}").status == 404


def test_an_unreadable_body_is_refused_whole_and_any_page_may_read_why(shop: Shop) -> None:
    for body, code in (
        (b"", "malformed_json"),
        (b"[]", "not_an_object"),
        (b'{"batch": {}}', "batch_not_array"),
        (b"x" * (4 * 1024 * 1024 + 1), "body_too_large"),
    ):
        answer = send(shop, body)
        assert (answer.status, answer.json()["code"]) == (400, code)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_the_server_counts_imports_while_messages_come_in(shop: Shop) -> None:
    web = shop.write_keys["web"]
    for number in range(20):
        live = {"type": "page", "anonymousId": f"a{number % 7}", "messageId": f"m{number}"}
        assert shop.server.track("/v1/batch", {"batch": [live]}, web).status == 200
        past = {**live, "receivedAt": THEN, "writeKey": web}
        assert post(shop, past, past).json() == SUCCESS

    def counted() -> bool:
        months = (shop.usage(), shop.usage(FEBRUARY))
        return [month[""].api_calls for month in months] == [20, 20]

    shop.wait_until_counted()
    eventually(counted, "both months to be counted")
    assert shop.usage()[""] == shop.usage(FEBRUARY)[""] == Counts(
        api_calls=20, anonymous=7, never_identified=7
    )  # fmt: skip
