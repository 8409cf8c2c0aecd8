"""What the server tells beyond the usage API, under /headcount/v1/."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headcount.catalog import PlanLimits
from headcount.counting.facts import Rejection
from support.installation import NOVEMBER, NOW_MS, Installation, day_of, ms_of

OLD = "2026-01-01"

OCTOBER = NOVEMBER.shifted(-1)
HOME = "/headcount/v1"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path) as installation:
        yield installation


@pytest.fixture
def admin(place: Installation) -> Iterator[httpx.Client]:
    with place.client(place.admin_secret) as client:
        yield client


def data(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"data"}
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["data"]


def error(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    return answer.json()["errors"][0]


def test_the_workspace_and_what_the_token_may_do(place: Installation, admin: httpx.Client) -> None:
    assert data(admin.get(f"{HOME}/workspace"))["workspace"] == {
        "id": place.workspace.id,
        "name": "Acme",
        "createdAt": "2026-11-23T10:00:00.000Z",
        "tokenScope": "admin",
        "explains": True,
    }


def test_a_source_s_life(place: Installation, admin: httpx.Client) -> None:
    made = data(admin.post(f"{HOME}/sources", json={"name": "web <b>"}), 201)["source"]
    assert made["name"] == "web <b>"
    assert made["enabled"] is True
    assert place.catalog.source(place.workspace.number, made["id"]).write_key == made["writeKey"]
    assert data(admin.get(f"{HOME}/sources"))["sources"] == [made]

    path = f"{HOME}/sources/{made['id']}"
    assert data(admin.patch(path, json={"enabled": False}))["source"]["enabled"] is False
    assert place.catalog.source(place.workspace.number, made["id"]).enabled is False
    assert data(admin.patch(path, json={"enabled": True}))["source"] == made
    rotated = data(admin.post(f"{path}/rotate-key"))["source"]
    assert rotated["writeKey"] != made["writeKey"]
    # Another process' change shows as well.
    with type(place.catalog)(place.folder / "catalog.sqlite") as elsewhere:
        elsewhere.add_source(place.workspace.number, "ios", NOW_MS)
    assert [s["name"] for s in data(admin.get(f"{HOME}/sources"))["sources"]] == ["web <b>", "ios"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b"[" * 5000, "body"),
        (b'"\xff"', "body"),
        (b"{}", "name"),
        (b'{"name":1}', "name"),
        (b'{"name":""}', "name"),
        (b'{"name":"   "}', "name"),
        (b'{"name":"taken"}', "name"),
        (b'{"name":"a\\u0000b"}', "name"),
        (b'{"name":"%s"}' % (b"x" * 201), "name"),
        (b'{"name":"x","colour":"red"}', "colour"),
    ],
)
def test_a_source_that_cannot_be_names_the_field(
    place: Installation, admin: httpx.Client, body: bytes, field: str
) -> None:
    place.source("taken")
    found = error(admin.post(f"{HOME}/sources", content=body), 422)
    assert found["field"] == field
    assert len(place.catalog.sources()) == 1


def test_bodies_have_a_bound(admin: httpx.Client) -> None:
    answer = admin.post(f"{HOME}/sources", content=b'{"name":"' + b"x" * 70_000 + b'"}')
    assert error(answer, 413)["type"] == "too-large"


def test_a_source_of_another_workspace_or_a_name_is_not_found(
    place: Installation, admin: httpx.Client
) -> None:
    other = place.source("theirs", place.catalog.add_workspace("Other", NOW_MS))
    place.source("ours")
    for name in (other.id, "theirs", "ours", "%00", "unknown"):
        answer = admin.patch(f"{HOME}/sources/{name}", json={"enabled": False})
        assert error(answer, 404)["field"] == "sourceId"
        error(admin.post(f"{HOME}/sources/{name}/rotate-key"), 404)
    assert all(source.enabled for source in place.catalog.sources())


def test_a_token_s_life(place: Installation, admin: httpx.Client) -> None:
    body = {"scope": "read", "expiresAt": "2026-11-23T11:00:00+01:00"}
    assert error(admin.post(f"{HOME}/tokens", json=body), 422)["field"] == "expiresAt"
    body["expiresAt"] = "2026-11-24T00:00:00Z"
    made = data(admin.post(f"{HOME}/tokens", json=body), 201)
    assert made["token"]["expiresAt"] == "2026-11-24T00:00:00.000Z"
    theirs = {"Authorization": f"Bearer {made['secret']}"}
    assert admin.get(f"{HOME}/workspace", headers=theirs).status_code == 200

    listed = data(admin.get(f"{HOME}/tokens"))["tokens"]
    assert made["token"] in listed
    assert all("secret" not in token for token in listed)
    revoked = data(admin.delete(f"{HOME}/tokens/{made['token']['id']}"))["token"]
    assert revoked["valid"] is False
    assert revoked["revokedAt"] == "2026-11-23T10:00:00.000Z"
    assert admin.get(f"{HOME}/workspace", headers=theirs).status_code == 401
    assert error(admin.delete(f"{HOME}/tokens/unknown"), 404)["field"] == "tokenId"
    for wrong, field in (({"scope": "root"}, "scope"), ({}, "scope"),
                         ({"scope": "read", "expiresAt": "tomorrow"}, "expiresAt")):  # fmt: skip
        assert error(admin.post(f"{HOME}/tokens", json=wrong), 422)["field"] == field


def test_tokens_of_another_workspace_are_out_of_reach(
    place: Installation, admin: httpx.Client
) -> None:
    other = place.catalog.add_workspace("Other", NOW_MS)
    token, _ = place.catalog.add_token(other.number, "admin", NOW_MS)
    error(admin.delete(f"{HOME}/tokens/{token.id}"), 404)
    assert token.id not in [each["id"] for each in data(admin.get(f"{HOME}/tokens"))["tokens"]]


def test_plan_limits_are_replaced_whole(admin: httpx.Client) -> None:
    path = f"{HOME}/plan-limits"
    none: Any = {"planLimits": {"mtu": None, "apiCalls": None}, "day": "2026-11-23", "dated": []}
    first = {
        "metric": "mtu",
        "limit": 10_000,
        "inForceFrom": "2026-11-23",
        "setAt": "2026-11-23T10:00:00.000Z",
    }
    some = none | {"planLimits": {"mtu": 10_000, "apiCalls": None}, "dated": [first]}
    assert data(admin.get(path)) == none
    assert data(admin.put(path, json=some["planLimits"])) == some
    assert data(admin.get(path)) == some
    for wrong, field in (
        ({"mtu": -1, "apiCalls": 1}, "mtu"),
        ({"mtu": 1.5, "apiCalls": 1}, "mtu"),
        ({"mtu": 1}, "apiCalls"),
        ({"mtu": 1, "apiCalls": 2**70}, "apiCalls"),
        ({"mtu": 1, "apiCalls": 1, "inForceFrom": "soon"}, "inForceFrom"),
        ({"mtu": 1, "apiCalls": 1, "inForceFrom": "1969-12-31"}, "inForceFrom"),
        ({"mtu": 1, "apiCalls": 1, "from": "2026-11-01"}, "from"),
    ):
        assert error(admin.put(path, json=wrong), 422)["field"] == field
    assert data(admin.get(path)) == some


def test_a_month_is_judged_by_the_limit_that_was_in_force_in_it(
    place: Installation, admin: httpx.Client
) -> None:
    web = place.source("web")
    september, october = NOVEMBER.shifted(-2), NOVEMBER.shifted(-1)
    for period, calls in ((september, 50), (october, 60), (NOVEMBER, 70)):
        place.use(web, period, {1: {"api_calls": calls}})
    for day, limit in (("2026-09-30", 40), ("2026-10-31", 55), ("2026-11-24", 1)):
        body = {"mtu": None, "apiCalls": limit, "inForceFrom": day}
        admin.put(f"{HOME}/plan-limits", json=body)
    # The last day decides; of the month that runs, today, and tomorrow's limit is to come.
    found = {}
    for period in (september, october, NOVEMBER):
        told = data(admin.get(f"{HOME}/summary?period={period}"))
        asked = data(admin.get(f"{HOME}/plan-limits?period={period}"))
        assert asked["planLimits"] == told["planLimits"]
        assert asked["day"] == told["month"]["day"]
        found[str(period)] = told["planLimits"]["apiCalls"]
    assert found == {"2026-09-01": 40, "2026-10-01": 55, "2026-11-01": 55}
    error(admin.get(f"{HOME}/plan-limits?period=2026-08-01"), 404)

    taken = f"{HOME}/plan-limits/apiCalls"
    for wrong in (f"{taken}/2026-10-30", f"{taken}/soon", f"{HOME}/plan-limits/calls/2026-10-31"):
        assert error(admin.delete(wrong), 404)["field"] == "day"
    assert data(admin.delete(f"{taken}/2026-10-31"))["planLimits"]["apiCalls"] == 40
    told = data(admin.get(f"{HOME}/summary?period={october}"))
    assert told["planLimits"]["apiCalls"] == 40


def test_a_month_is_charged_by_the_price_and_the_limit_that_were_in_force_in_it(
    place: Installation, admin: httpx.Client
) -> None:
    web = place.source("web")
    october = NOVEMBER.shifted(-1)
    for period, calls in ((october, 2_001), (NOVEMBER, 2_001)):
        place.use(web, period, {1: {"api_calls": calls, "identified": 5}})
    path = f"{HOME}/plan-prices"

    def put(metric: str, day: str, price: Any) -> Any:
        return admin.put(path, json={"metric": metric, "price": price, "inForceFrom": day})

    admin.put(f"{HOME}/plan-limits", json={"mtu": None, "apiCalls": 1_000, "inForceFrom": OLD})
    dear = {"amount": "12.50", "step": 1_000, "currency": "USD"}
    cheap = {"amount": "0.01", "step": 1, "currency": "EUR"}
    data(put("apiCalls", OLD, dear))
    # A metric without a limit costs nothing, whatever its price.
    data(put("mtu", OLD, cheap))
    told = data(put("apiCalls", "2026-11-02", cheap))
    assert told["planPrices"] == {"mtu": cheap, "apiCalls": cheap}
    assert [each["inForceFrom"] for each in told["dated"]] == [OLD, OLD, "2026-11-02"]
    asked = data(admin.get(f"{path}?period={october}"))
    assert (asked["planPrices"]["apiCalls"], asked["day"]) == (dear, "2026-10-31")
    charged = {"amount": "25.00", "currency": "USD", "steps": 2}
    now = {"amount": "10.01", "currency": "EUR", "steps": 1_001}
    assert data(admin.get(f"{HOME}/summary?period={october}"))["overageCost"] == {
        "apiCalls": charged
    }
    assert data(admin.get(f"{HOME}/summary"))["overageCost"] == {"apiCalls": now}
    months = data(admin.get(f"{HOME}/months"))["months"]
    assert [each["overageCost"]["apiCalls"] for each in months] == [charged, now]

    for wrong, field in (
        ({"amount": "much", "step": 1, "currency": "USD"}, "price.amount"),
        ({"amount": "-1", "step": 1, "currency": "USD"}, "price"),
        ({"amount": "1", "step": 1, "currency": "dollars"}, "price"),
        ({"amount": "1", "step": 0, "currency": "USD"}, "price.step"),
        ({"amount": 1, "step": 1, "currency": "USD"}, "price.amount"),
    ):
        assert error(put("mtu", OLD, wrong), 422)["field"] == field
    assert error(put("mtu", "soon", None), 422)["field"] == "inForceFrom"
    assert error(put("users", OLD, None), 422)["field"] == "metric"
    assert error(admin.delete(f"{path}/apiCalls/2026-11-03"), 404)["field"] == "day"
    told = data(admin.delete(f"{path}/apiCalls/2026-11-02"))
    assert told["planPrices"]["apiCalls"] == dear
    assert data(admin.get(f"{HOME}/summary"))["overageCost"] == {"apiCalls": charged}
    assert data(put("apiCalls", "2026-11-01", None))["planPrices"]["apiCalls"] is None
    assert "overageCost" not in data(admin.get(f"{HOME}/summary"))


def test_where_the_month_ends_is_told_in_money(place: Installation, admin: httpx.Client) -> None:
    web = place.source("web")
    place.use(web, NOVEMBER.shifted(-1), {day: {"api_calls": 90} for day in range(1, 32)})
    place.use(web, NOVEMBER, {day: {"api_calls": 90 + day % 5} for day in range(1, 24)})
    admin.put(f"{HOME}/plan-limits", json={"mtu": None, "apiCalls": 2_200})
    price = {"amount": "5", "step": 10, "currency": "USD"}
    admin.put(f"{HOME}/plan-prices", json={"metric": "apiCalls", "price": price})
    told = data(admin.get(f"{HOME}/summary"))
    assert "overageCost" not in told
    estimate, cost = told["estimates"]["apiCalls"], told["estimatedOverageCost"]["apiCalls"]
    assert cost.pop("currency") == "USD"
    assert {end: int(amount) for end, amount in cost.items()} == {
        end: 5 * -(-max(0, count - 2_200) // 10) for end, count in estimate.items()
    }
    assert int(cost["high"]) > 0


def test_a_reading_token_reads_and_no_more(place: Installation) -> None:
    source = place.source("web")
    with place.client() as client:
        assert "writeKey" not in data(client.get(f"{HOME}/sources"))["sources"][0]
        for method, path, body in (
            ("POST", "/sources", {"name": "x"}),
            ("PATCH", f"/sources/{source.id}", {"enabled": False}),
            ("POST", f"/sources/{source.id}/rotate-key", None),
            ("POST", "/tokens", {"scope": "admin"}),
            ("DELETE", f"/tokens/{place.admin_token.id}", None),
            ("PUT", "/plan-limits", {"mtu": 1, "apiCalls": 1}),
            ("DELETE", "/plan-limits/mtu/2026-11-01", None),
            ("PUT", "/plan-prices", {"metric": "mtu", "price": None}),
            ("DELETE", "/plan-prices/mtu/2026-11-01", None),
        ):
            answer = client.request(method, HOME + path, json=body)
            assert error(answer, 403)["type"] == "forbidden"
    assert place.catalog.sources() == [source]
    assert len(place.catalog.tokens(place.workspace.number)) == 2


def outcomes(accepted: int, duplicate: int = 0, **reasons: int) -> dict[str, Any]:
    return {
        "accepted": accepted,
        "duplicate": duplicate,
        "rejected": sum(reasons.values()),
        "rejectedByReason": reasons,
    }


def test_every_message_has_its_outcome(place: Installation, admin: httpx.Client) -> None:
    web, ios, refused = place.source("web"), place.source("ios"), place.source("refused")

    def rejected(source: Any, day: int, reason: str, messages: int) -> Rejection:
        return Rejection(source.workspace, source.number, day_of(NOVEMBER, day), reason, messages)

    place.use(
        web, NOVEMBER, {1: {"api_calls": 5, "admitted": 7}, 2: {"api_calls": 1, "admitted": 1}},
        rejections=(rejected(web, 1, "invalid_id", 2), rejected(refused, 2, "invalid_id", 1),
                    rejected(web, 2, "unknown_type", 3)),
    )  # fmt: skip
    place.use(ios, NOVEMBER, {2: {"api_calls": 10, "admitted": 10}})

    found = data(admin.get(f"{HOME}/outcomes?period=2026-11-01"))
    assert found["period"] == "2026-11-01"
    assert found["countedUntil"] == "2026-11-23T10:00:00.000Z"
    assert found["totals"] == outcomes(16, 2, invalid_id=3, unknown_type=3)
    assert len(found["days"]) == 23
    assert found["days"][0] == {"day": "2026-11-01", "outcomes": outcomes(5, 2, invalid_id=2)}
    assert found["days"][1]["outcomes"] == outcomes(11, 0, invalid_id=1, unknown_type=3)
    assert {each["sourceName"]: each["outcomes"] for each in found["sources"]} == {
        "web": outcomes(6, 2, invalid_id=2, unknown_type=3),
        "ios": outcomes(10),
        "refused": outcomes(0, invalid_id=1),
    }
    assert [s["sourceId"] for s in found["sources"]] == sorted([web.id, ios.id, refused.id])

    only = data(admin.get(f"{HOME}/outcomes", params={"sourceId": web.id}))
    assert only["totals"] == only["sources"][0]["outcomes"]
    assert [source["sourceId"] for source in only["sources"]] == [web.id]
    assert only["days"][1]["outcomes"] == outcomes(1, 0, unknown_type=3)
    only = data(admin.get(f"{HOME}/outcomes", params={"sourceId": refused.id}))
    assert only["totals"] == outcomes(0, invalid_id=1)
    quiet = place.source("quiet")
    only = data(admin.get(f"{HOME}/outcomes", params={"sourceId": quiet.id}))
    assert (only["totals"], only["sources"]) == (outcomes(0), [])
    assert error(admin.get(f"{HOME}/outcomes?sourceId=no"), 404)["field"] == "sourceId"
    assert error(admin.get(f"{HOME}/outcomes?period=2027-01-01"), 404)["field"] == "period"
    assert error(admin.get(f"{HOME}/outcomes?period=soon"), 422)["field"] == "period"


def totals(api_calls: int, identified: int = 0, anonymous: int = 0, both: int = 0) -> dict:
    return {
        "apiCalls": api_calls,
        "mtu": identified + anonymous - both,
        "identified": identified,
        "anonymous": anonymous,
        "anonymousIdentified": both,
        "neverIdentified": anonymous - both,
    }


def test_a_month_in_one_answer(place: Installation, admin: httpx.Client) -> None:
    web, old = place.source("web"), place.source("old")
    place.use(web, OCTOBER, {23: {"api_calls": 4, "identified": 1}, 24: {"api_calls": 50}})
    place.use(old, OCTOBER, {1: {"api_calls": 1}})
    new = {"api_calls": 9, "identified": 3, "anonymous": 4, "anonymous_identified": 1}
    place.use(web, NOVEMBER, {5: new})

    found = data(admin.get(f"{HOME}/summary"))
    assert found["month"] == {
        "period": "2026-11-01",
        "day": "2026-11-23",
        "countedUntil": "2026-11-23T10:00:00.000Z",
        "totals": totals(9, 3, 4, 1),
    }
    assert found["previous"]["day"] == "2026-10-23"
    assert found["previous"]["totals"] == totals(5, 1)
    assert found["change"] == {"apiCalls": 4, "mtu": 5}
    assert found["planLimits"] == {"mtu": None, "apiCalls": None}
    by_name = {source["sourceName"]: source for source in found["sources"]}
    assert by_name["web"]["totals"] == totals(9, 3, 4, 1)
    assert by_name["web"]["previous"] == totals(4, 1)
    assert by_name["web"]["change"] == {"apiCalls": 5, "mtu": 5}
    assert by_name["old"]["change"] == {"apiCalls": -1, "mtu": 0}

    # A month that is over is compared whole.
    place.clock.now_ms = ms_of(NOVEMBER.shifted(1), 2)
    found = data(admin.get(f"{HOME}/summary?period=2026-11-15"))
    assert (found["month"]["day"], found["previous"]["day"]) == ("2026-11-30", "2026-10-31")
    assert found["previous"]["totals"]["apiCalls"] == 55
    first = data(admin.get(f"{HOME}/summary?period=2026-10-01"))
    assert "previous" not in first
    assert "change" not in first


def test_the_same_day_of_a_shorter_month_is_its_last(
    place: Installation, admin: httpx.Client
) -> None:
    february = NOVEMBER.shifted(3)
    place.use(place.source("web"), february, {28: {"api_calls": 2}})
    place.clock.now_ms = ms_of(february.shifted(1), 31)
    found = data(admin.get(f"{HOME}/summary"))
    assert (found["month"]["day"], found["previous"]["day"]) == ("2027-03-31", "2027-02-28")
    assert found["change"]["apiCalls"] == -2


def test_a_month_is_compared_with_any_other(place: Installation, admin: httpx.Client) -> None:
    web, app = place.source("web"), place.source("app")
    year_ago, october = NOVEMBER.shifted(-12), NOVEMBER.shifted(-1)
    place.use(web, year_ago, {1: {"api_calls": 5}, 23: {"api_calls": 6}, 24: {"api_calls": 700}})
    place.use(app, october, {23: {"api_calls": 30}, 31: {"api_calls": 40}})
    place.use(web, NOVEMBER, {1: {"api_calls": 100}, 23: {"api_calls": 20}})

    def told(period: str, against: str = "") -> Any:
        named = {"period": period} | ({"against": against} if against else {})
        return data(admin.get(f"{HOME}/summary", params=named))

    # The month that runs, and the same month a year ago up to the same day.
    found = told("2026-11-01", "2025-11-15")
    assert found["previous"]["period"] == "2025-11-01"
    assert (found["previous"]["day"], found["previous"]["totals"]["apiCalls"]) == ("2025-11-23", 11)
    assert found["change"]["apiCalls"] == 120 - 11
    assert "compared" not in found
    [of_web] = found["sources"]
    assert (of_web["previous"]["apiCalls"], of_web["change"]["apiCalls"]) == (11, 109)
    # Two months that are over, the earlier against the later: all of both.
    found = told("2025-11-01", "2026-10-01")
    assert (found["previous"]["day"], found["change"]["apiCalls"]) == ("2026-10-31", 711 - 70)
    # One that is over against the one that runs: the days that both have.
    found = told("2025-11-01", "2026-11-01")
    assert found["month"]["totals"]["apiCalls"] == 711
    compared = [
        (found[of]["day"], found[of]["totals"]["apiCalls"]) for of in ("compared", "previous")
    ]
    assert compared == [("2025-11-23", 11), ("2026-11-23", 120)]
    assert found["change"]["apiCalls"] == 11 - 120
    [of_web] = found["sources"]
    assert (of_web["totals"]["apiCalls"], of_web["change"]["apiCalls"]) == (711, 11 - 120)
    # Without a name, the month before.
    assert told("2026-11-01")["previous"]["period"] == "2026-10-01"
    for wrong, status in (("2025-10-01", 404), ("2026-12-01", 404), ("soon", 422)):
        answer = admin.get(f"{HOME}/summary", params={"against": wrong})
        assert error(answer, status)["field"] == "against"


def test_what_was_used_beyond_the_plan_is_a_number(
    place: Installation, admin: httpx.Client
) -> None:
    place.use(place.source("web"), NOVEMBER.shifted(-1), {1: {"api_calls": 20_942, "anonymous": 9}})
    place.use(place.source("app"), NOVEMBER, {1: {"api_calls": 12_000, "anonymous": 1}})
    place.limit(PlanLimits(api_calls=12_000, mtu=9))
    october, november = data(admin.get(f"{HOME}/months"))["months"]
    for month in (october, november):
        found = data(admin.get(f"{HOME}/summary", params={"period": month["period"]}))
        assert found.get("overage") == month.get("overage")
        assert found["planLimits"] == month["planLimits"] == {"mtu": 9, "apiCalls": 12_000}
    assert october["overage"] == {"apiCalls": 8_942}
    assert "overage" not in november  # all of it is used, and no more
    place.limit(PlanLimits(mtu=None, api_calls=0), from_day=day_of(NOVEMBER, 23))
    october, november = data(admin.get(f"{HOME}/months"))["months"]
    assert (october["overage"], november["overage"]) == ({"apiCalls": 8_942}, {"apiCalls": 12_000})


def test_a_workspace_without_usage_has_a_summary(admin: httpx.Client) -> None:
    found = data(admin.get(f"{HOME}/summary"))
    assert found["month"]["totals"] == totals(0)
    assert found["sources"] == []


def test_a_summary_says_where_the_month_will_end(place: Installation, admin: httpx.Client) -> None:
    # 28 API calls a day, and 728 today, the 23rd: seven days are left. Tracked users are none.
    source = place.source("web")
    new = {day: {"api_calls": 28, "admitted": 28} for day in range(1, 23)}
    place.use(source, NOVEMBER, {**new, 23: {"api_calls": 728, "admitted": 728}})
    place.use(source, OCTOBER, {day: {"api_calls": 5, "admitted": 5} for day in range(1, 31)})
    found = data(admin.get(f"{HOME}/summary"))
    end = 22 * 28 + 728 + 7 * 28
    [(name, estimate)] = found["estimates"].items()
    assert name == "apiCalls"
    assert estimate["likely"] == pytest.approx(end, abs=10)
    assert 22 * 28 + 728 < estimate["low"] < estimate["likely"] < estimate["high"] < end + 100
    for day, of_day in new.items():
        of_day |= {"identified": day % 5, "anonymous": 3, "anonymous_identified": 1}
        place.use(source, NOVEMBER, {day: of_day})
    both = data(admin.get(f"{HOME}/summary"))["estimates"]
    assert list(both) == ["mtu", "apiCalls"]
    now = data(admin.get(f"{HOME}/daily"))["workspace"]["mtu"][-1]
    assert now < both["mtu"]["low"] < both["mtu"]["likely"] < both["mtu"]["high"]
    assert "estimates" not in data(admin.get(f"{HOME}/summary?period=2026-10-01"))


def test_a_forecast_goes_day_by_day_to_the_month_s_end(
    place: Installation, admin: httpx.Client
) -> None:
    web, app = place.source("web"), place.source("app")
    for source, calls in ((web, 30), (app, 10)):
        of_day = {"api_calls": calls, "identified": calls, "admitted": calls}
        place.use(source, OCTOBER, dict.fromkeys(range(1, 32), of_day))
        place.use(source, NOVEMBER, dict.fromkeys(range(1, 23), of_day))
    answer = admin.get(f"{HOME}/forecast")
    whole = data(answer)
    assert answer.headers["last-modified"] == "Mon, 23 Nov 2026 10:00:00 GMT"
    assert (whole["period"], list(whole["forecasts"])) == ("2026-11-01", ["mtu", "apiCalls"])
    calls = whole["forecasts"]["apiCalls"]
    assert calls["days"] == [f"2026-11-{day}" for day in range(23, 31)]
    # Nothing came today yet, so that all of an ordinary day is still to come.
    assert calls["likely"] == pytest.approx([40 * day for day in range(23, 31)], abs=8)
    assert (calls["learnedDays"], calls["learnedMonths"]) == (53, 1)
    estimates = data(admin.get(f"{HOME}/summary"))["estimates"]
    for name, forecast in whole["forecasts"].items():
        last = {bound: forecast[bound][-1] for bound in ("likely", "low", "high")}
        assert last == estimates[name]
    of_app = data(admin.get(f"{HOME}/forecast?sourceId={app.id}"))["forecasts"]
    assert of_app["apiCalls"]["likely"][-1] == pytest.approx(300, abs=6)
    assert admin.get(f"{HOME}/forecast?sourceId=none").status_code == 404
    assert admin.get(f"{HOME}/forecast?sourceId=a&sourceId=b").status_code == 422


def test_a_forecast_of_nothing_is_empty(place: Installation, admin: httpx.Client) -> None:
    assert data(admin.get(f"{HOME}/forecast"))["forecasts"] == {}


@pytest.mark.parametrize("first_day", [20, 23])
def test_a_summary_estimates_nothing_before_it_can(
    place: Installation, admin: httpx.Client, first_day: int
) -> None:
    days = {day: {"api_calls": 9, "identified": 4} for day in range(first_day, 24)}
    place.use(place.source("web"), NOVEMBER, days)
    assert "estimates" not in data(admin.get(f"{HOME}/summary"))


def test_the_last_months_have_their_totals(place: Installation, admin: httpx.Client) -> None:
    [nothing] = data(admin.get(f"{HOME}/months"))["months"]
    assert nothing["period"] == "2026-11-01"
    source = place.source("web")
    for months, calls in ((0, 9), (-2, 4)):
        of_day = {"api_calls": calls, "identified": 2, "anonymous": 3, "admitted": calls}
        place.use(source, NOVEMBER.shifted(months), {2: of_day, 3: of_day})
    answer = admin.get(f"{HOME}/months")
    found = data(answer)["months"]
    assert answer.headers["last-modified"] == "Mon, 23 Nov 2026 10:00:00 GMT"
    assert [(month["period"], month["totals"]["apiCalls"], month["totals"]["mtu"])
            for month in found] == [
        ("2026-09-01", 8, 10), ("2026-10-01", 0, 0), ("2026-11-01", 18, 10),
    ]  # fmt: skip
    for month in found:
        of_month = data(admin.get(f"{HOME}/summary", params={"period": month["period"]}))["month"]
        assert month["totals"] == of_month["totals"]
        assert month["countedUntil"] == of_month["countedUntil"]
    place.use(source, NOVEMBER.shifted(-30), {1: {"api_calls": 1}})
    found = data(admin.get(f"{HOME}/months"))["months"]
    assert (len(found), found[0]["period"]) == (13, "2025-11-01")
