"""The addresses that senders use beside the tracking API's own, and what they find there.

A real server on a real socket; what is posted is written as the named senders write it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest

from headcount.counting.facts import MESSAGE_TYPES, Rejection
from headcount.forwarding.outgoing import outgoing
from headcount.http.proxies import TrustedProxies
from headcount.intake import Forwards, Hosting, Limits
from headcount.intake.routes import ROUTES, Action, nearest_path
from headcount.spool.letters import decoded
from support.intake import HASHER, TODAY, unpack
from support.tracking_server import Tracking

KEY = {"Authorization": "Basic " + base64.b64encode(b"web-key:").decode()}
GOOD = {"type": "track", "event": "Opened", "userId": "u1", "messageId": "m1"}
FULL = {"userId": "u", "event": "e", "groupId": "g", "previousId": "p"}
SUCCESS = {"success": True}
LIBRARY = b"window.analytics = 'the library'"


@contextmanager
def served(hosting: Hosting | None = None, forwards: Forwards | None = None) -> Iterator[Tracking]:
    server = Tracking(Limits(), hosting, forwards)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def shared() -> Iterator[Tracking]:
    with served(Hosting(TrustedProxies(), library=LIBRARY)) as server:
        yield server


@pytest.fixture
def tracking(shared: Tracking) -> Tracking:
    shared.sink.facts = b""
    shared.sink.rejections.clear()
    return shared


def known_paths() -> Iterator[tuple[str, Action]]:
    for path, route in ROUTES.items():
        yield path.replace("{writeKey}", "web-key"), route.action


@pytest.mark.parametrize("spelling", ["{0}/", "/{0}", "{1}", "{1}//", "//{1}///"])
def test_slashes_change_no_address(tracking: Tracking, spelling: str) -> None:
    for path, action in known_paths():
        spelled = spelling.format(path, path.replace("/", "//"))
        plain, other = (tracking.send("OPTIONS", each) for each in (path, spelled))
        assert (other.status, other.headers["Allow"]) == (204, plain.headers["Allow"]), spelled
        if action in (Action.BATCH, Action.IMPORT):
            reply = tracking.post(spelled, {"batch": [GOOD]}, **KEY)
            assert (reply.status, reply.json) == (200, SUCCESS), spelled
        elif action is Action.SETTINGS:
            assert tracking.send("GET", spelled).json["integrations"], spelled


def test_every_address_is_the_nearest_to_itself_and_to_a_slip() -> None:
    for path in ROUTES:
        assert nearest_path(path) == path
    slips = {
        "/b": "/v1/b", "/track": "/v1/track", "/v1/tracks": "/v1/track", "/v2/batch": "/v1/batch",
        "/projects/K3Y/settings": "/v1/projects/{writeKey}/settings", "/api/s/trac": "/api/s/track",
        "/sourceconfig": "/sourceConfig", "/v1/imports": "/v1/import",
    }  # fmt: skip
    assert {slip: nearest_path(slip) for slip in slips} == slips


def test_a_path_that_is_none_names_the_nearest(tracking: Tracking) -> None:
    reply = tracking.post("/v1/trak", GOOD, **KEY)
    assert (reply.status, reply.json["code"]) == (404, "not_found")
    assert "/v1/track" in reply.json["message"]
    assert tracking.post("/" + "x" * 30_000, GOOD).status == 404


def test_every_address_of_senders_may_be_used_by_pages_of_any_site(tracking: Tracking) -> None:
    for path, action in known_paths():
        reply = tracking.send("OPTIONS", path, Access_Control_Request_Headers="authorization")
        if action in (Action.HEALTH, Action.DESCRIPTION):
            assert reply.headers["Access-Control-Allow-Headers"] is None
            continue
        assert reply.headers["Access-Control-Allow-Origin"] == "*", path
        allowed = reply.headers["Access-Control-Allow-Headers"].lower().split(", ")
        assert {"authorization", "content-type", "x-write-key", "anonymousid"} <= set(allowed), path


# Where the key may stand.


@pytest.mark.parametrize(
    ("query", "headers"),
    [("", KEY), ("", {"X_Write_Key": "web-key"}), ("", {"X_Write_Key": "web-key:a-secret"}),
     ("?writeKey=web-key", {}), ("?a=b&writeKey=web%2Dkey", {})],
)  # fmt: skip
def test_the_head_says_whose_a_request_is(
    tracking: Tracking, query: str, headers: dict[str, str]
) -> None:
    for path, body in {"/v1/track": GOOD, "/v1/batch": {"batch": [GOOD]}}.items():
        # What the body says is asked after what the head says.
        reply = tracking.post(path + query, {**body, "writeKey": "app-key"}, **headers)
        assert (reply.status, reply.json) == (200, SUCCESS)
    assert [fact.source for fact in unpack(tracking.sink.facts)] == [2, 2]


def test_a_key_of_the_head_that_is_unknown_is_refused(tracking: Tracking) -> None:
    for query, headers in (("?writeKey=x", {}), ("", {"X_Write_Key": "x"})):
        reply = tracking.post("/v1/track" + query, {**GOOD, "writeKey": "web-key"}, **headers)
        assert (reply.status, reply.json["code"]) == (401, "unknown_write_key")


# RudderStack.


@pytest.mark.parametrize("path", ["/sourceConfig", "/sourceConfig/"])
def test_rudderstack_s_libraries_find_their_source(tracking: Tracking, path: str) -> None:
    for query, headers in (("?p=android&v=1.0", KEY), ("?writeKey=web-key&p=npm", {})):
        reply = tracking.send("GET", path + query, **headers)
        source = reply.json["source"]
        assert (reply.status, source["enabled"], source["destinations"]) == (200, True, [])
        assert isinstance(source["id"], str)
        assert source["id"]
        assert source["config"]["statsCollection"]["errors"] == {"enabled": False}
        # What libraries that read it as typed objects insist on.
        texts = ("id", "name", "writeKey", "workspaceId", "updatedAt")
        assert all(isinstance(source[name], str) for name in texts)
    for query, code in (("", "no_write_key"), ("?writeKey=off-key", "unknown_write_key")):
        reply = tracking.send("GET", path + query)
        assert (reply.status, reply.json["code"]) == (401, code)


def test_rudderstack_s_beacon_brings_its_key_in_the_query(tracking: Tracking) -> None:
    body = {"batch": [GOOD, {**GOOD, "messageId": "m2"}], "sentAt": "2026-11-24T00:00:00Z"}
    reply = tracking.post("/beacon/v1/batch?writeKey=web-key", body, Content_Type="text/plain")
    assert (reply.status, reply.json) == (200, SUCCESS)
    assert len(unpack(tracking.sink.facts)) == 2


def test_a_merge_is_one_call_of_one_user(tracking: Tracking) -> None:
    merged = [{"type": "email", "value": "a@example.com"}, {"type": "mobile", "value": "1"}]
    body = {"type": "merge", "userId": "u1", "mergeProperties": merged}
    assert tracking.post("/v1/merge", body, **KEY).status == 200
    [fact] = unpack(tracking.sink.facts)
    assert (fact.user, fact.anonymous) == (HASHER.tracked("u1"), None)
    del body["userId"]
    reply = tracking.post("/v1/merge", body, **KEY)
    assert (reply.status, reply.json["code"]) == (400, "no_user_anon_id")


# Pixels.


@pytest.mark.parametrize("place", ["/v1/pixel", "/pixel/v1"])
def test_a_pixel_s_fields_may_be_plain_parameters(tracking: Tracking, place: str) -> None:
    fields = {
        "writeKey": "web-key", "anonymousId": '"a 1"', "event": "Seen", "messageId": "m",
        "context.library.name": "amp", "context.page.url": "https://shop.example/?a=1&b=ü",
        "properties": "{}", "channel": "web",
    }  # fmt: skip
    reply = tracking.send("GET", f"{place}/track?{urlencode(fields)}")
    assert (reply.status, reply.body[:6]) == (200, b"GIF89a")
    reply = tracking.send("GET", f"{place}/page?userId=u%C3%BC&name=", **KEY)
    assert reply.status == 200
    seen, page = unpack(tracking.sink.facts)
    assert (seen.message_type, page.message_type) == ("track", "page")
    assert (seen.anonymous, seen.message) == (HASHER.tracked("a 1"), HASHER.message("m"))
    assert (page.user, page.source) == (HASHER.tracked("uü"), 2)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("writeKey=web-key", 400, "invalid_pixel_data"),
        ("writeKey=web-key&event=e", 400, "no_user_anon_id"),
        ("writeKey=web-key&userId=u", 400, "event_not_string"),
        # Whatever is no UTF-8 must not make one user of two.
        ("writeKey=web-key&event=e&userId=%ff", 400, "invalid_pixel_data"),
        ("event=e&userId=u", 401, "no_write_key"),
        ("event=e&userId=u&writeKey=x", 401, "unknown_write_key"),
        ("writeKey=web-key&data=e30=&userId=u", 400, "no_user_anon_id"),
        ("&".join(f"f{n}=1" for n in range(200)), 400, "invalid_pixel_data"),
    ],
)
def test_a_plain_pixel_is_refused_like_a_post(
    tracking: Tracking, query: str, status: int, code: str
) -> None:
    reply = tracking.send("GET", "/v1/pixel/track?" + query)
    assert (reply.status, reply.headers["Content-Type"]) == (status, "image/gif")
    assert unpack(tracking.sink.facts) == []
    known = [Rejection(1, 2, TODAY, code, 1)] if status == 400 and "web-key" in query else []
    assert tracking.sink.rejections in ([], known)


# Any type at one address.


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_webhook_brings_a_message_of_any_type(tracking: Tracking, method: str) -> None:
    for kind in MESSAGE_TYPES:
        body = json.dumps({**FULL, "type": kind, "writeKey": "web-key"})
        assert tracking.send(method, "/v1/webhook", body).json == SUCCESS
        assert tracking.send(method, "/v1/webhook?writeKey=web-key", body).json == SUCCESS
    assert [fact.message_type for fact in unpack(tracking.sink.facts)[::2]] == list(MESSAGE_TYPES)


def test_a_webhook_brings_an_array(tracking: Tracking) -> None:
    items = [GOOD, None, {**GOOD, "writeKey": "app-key"}, {"type": "x", "userId": "u"}]
    reply = tracking.post("/v1/webhook", items, **KEY)
    rejected = [{"index": 1, "code": "not_an_object"}, {"index": 3, "code": "unknown_type"}]
    assert (reply.status, reply.json) == (200, {"success": True, "rejected": rejected})
    assert [fact.source for fact in unpack(tracking.sink.facts)] == [2, 2]
    tracking.sink.facts = b""
    # Without a key in the head each message has its own.
    own = [{**GOOD, "writeKey": key} for key in ("web-key", "app-key", "x")]
    reply = tracking.send("POST", "/v1/webhook", b"\xef\xbb\xbf \n" + json.dumps(own).encode())
    assert reply.json["rejected"] == [{"index": 2, "code": "unknown_write_key"}]
    assert [fact.source for fact in unpack(tracking.sink.facts)] == [2, 3]
    assert tracking.post("/v1/webhook", [], **KEY).json == SUCCESS


def event_around(message: object, number: int, **more: object) -> dict[str, object]:
    return {
        "specversion": "1.0", "id": f"e{number}", "source": "/shop", "type": "com.example.track",
        "datacontenttype": "application/json", "data": message, **more,
    }  # fmt: skip


def test_cloudevents_around_messages(tracking: Tracking) -> None:
    plain = {"event": "Opened", "userId": "u1"}
    whole = {"type": "page", "userId": "u2", "messageId": "own", "writeKey": "app-key"}
    encoded = base64.b64encode(json.dumps(plain).encode()).decode()
    structured: list[dict[str, object]] = [
        event_around(plain, 1), event_around(whole, 2),
        event_around(None, 3, data_base64=encoded), event_around(plain, 1),
    ]  # fmt: skip
    for each in structured:
        reply = tracking.post(
            "/v1/webhook", each, Content_Type="application/cloudevents+json", **KEY
        )
        assert reply.json == SUCCESS
    binary = {"Ce_Specversion": "1.0", "Ce_Id": "e1", "Ce_Source": "/shop"}
    binary["Ce_Type"] = "com.example.track"
    assert tracking.post("/v1/webhook", plain, **KEY, **binary).json == SUCCESS
    batched = {"Content_Type": "application/cloudevents-batch+json"}
    assert tracking.post("/v1/webhook", structured, **KEY, **batched).json == SUCCESS
    facts = unpack(tracking.sink.facts)
    kinds = ["track", "page", "track", "track"]
    assert [fact.message_type for fact in facts] == [*kinds, "track", *kinds]
    # An event that comes again has the id that it had; a message's own id goes before its event's.
    one, two, three, again, as_binary, *in_batch = (fact.message for fact in facts)
    assert one == again == as_binary != three
    assert two == HASHER.message("own")
    assert in_batch == [one, two, three, one]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"userId":"u"}', "unknown_type"), ('"text"', "not_an_object"),
        ("nothing", "malformed_json"), ("", "malformed_json"),
        ('[{"type":"page","userId":"u"}', "malformed_json"),
        ('[1],"batch":[2]', "malformed_json"), ('{"specversion":"1.0","id":"1"}', "not_an_object"),
        ('{"specversion":"1.0","data":{"userId":"u"},"type":"com.example.other"}', "unknown_type"),
        ('{"specversion":"1.0","data_base64":"!"}', "malformed_json"),
        (json.dumps({"specversion": "1.0", "data": {"type": "page", "userId": "u" * 40_000}}),
         "message_too_large"),
        (json.dumps({"type": "page", "userId": "u", "a": "b" * 40_000}), "message_too_large"),
        ('{"batch":[{"type":"page","userId":"u"}]}', "unknown_type"),
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused_by_a_webhook(
    tracking: Tracking, body: str, code: str
) -> None:
    reply = tracking.send("POST", "/v1/webhook", body, **KEY)
    assert (reply.status, reply.json["code"]) == (400, code)
    assert unpack(tracking.sink.facts) == []


def test_what_breaks_fast_parsers_is_an_ordinary_event(tracking: Tracking) -> None:
    deep = "[" * 5_000 + "]" * 5_000
    message = f'{{"type":"page","userId":"u\\ud800","x":{deep}}}'
    event = f'{{"specversion":"1.0","id":"\\ud800","source":"s","x":{deep},"data":{message}}}'
    assert tracking.send("POST", "/v1/webhook", event, **KEY).json == SUCCESS
    assert tracking.send("POST", "/v1/webhook", f"[{event},{{,}},{message}]", **KEY).json == {
        "success": True,
        "rejected": [{"index": 1, "code": "malformed_json"}],
    }
    assert len(unpack(tracking.sink.facts)) == 3


# Jitsu.


@pytest.mark.parametrize("place", ["/api/s", "/api/s/s2s"])
def test_jitsu_s_addresses(tracking: Tracking, place: str) -> None:
    key = {"X_Write_Key": "web-key:secret"}
    for kind in MESSAGE_TYPES:
        assert tracking.post(f"{place}/{kind}", FULL, **key).json == SUCCESS
    assert tracking.post(f"{place}/event", {**FULL, "type": "page"}, **key).json == SUCCESS
    kinds = [fact.message_type for fact in unpack(tracking.sink.facts)]
    assert kinds == [*MESSAGE_TYPES, "page"]
    reply = tracking.post(f"{place}/event", FULL, **key)
    assert (reply.status, reply.json["code"]) == (400, "unknown_type")


# What an address takes is said where something else came.


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/track", '{"batch":[]}', "This address takes one message"),
        ("/v1/track", "[]", "/v1/batch"),
        ("/v1/batch", "[]", 'whose "batch" is an array'),
        ("/v1/batch", '{"type":"page","userId":"u"}', 'whose "batch" is an array'),
        ("/v1/batch", "a=b&c=d", 'whose "batch" is an array'),
        ("/v1/webhook", "a=b&c=d", "CloudEvents"),
        ("/api/s/event", '{"userId":"u"}', 'with a "type"'),
    ],
)
def test_a_body_in_another_form_is_told_which_is_taken(
    tracking: Tracking, path: str, body: str, said: str
) -> None:
    reply = tracking.send("POST", path, body, **KEY)
    assert reply.status == 400
    assert said in reply.json["message"]


# Segment's snippet.


def test_the_snippet_finds_the_library_that_the_operator_gave(tracking: Tracking) -> None:
    reply = tracking.send("GET", "/analytics.js/v1/web-key/analytics.min.js")
    assert (reply.status, reply.body) == (200, LIBRARY)
    assert reply.headers["Content-Type"].startswith("text/javascript")
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert tracking.send("GET", "/analytics.js/v1/x/analytics.min.js").status == 401


def test_a_snippet_without_a_library_is_told_the_option() -> None:
    with served() as tracking:
        reply = tracking.send("GET", "/analytics.js/v1/web-key/analytics.min.js")
        assert reply.status == 404
        assert "--analytics-js" in reply.json["message"]


# Where settings send.


def told(tracking: Tracking, path: str = "", **headers: str) -> tuple[Any, Any]:
    reply = tracking.send("GET", f"{path}/v1/projects/web-key/settings", **headers)
    assert reply.status == 200
    destination = reply.json["integrations"]["Segment.io"]
    return destination.get("protocol"), destination.get("apiHost")


def test_settings_hold_what_mobile_libraries_look_for(tracking: Tracking) -> None:
    reply = tracking.send("GET", "/v1/projects/web-key/settings")
    config = reply.json["integrations"]["Segment.io"]["httpConfig"]
    assert config["rateLimitConfig"]["enabled"] is True
    assert config["backoffConfig"]["enabled"] is True
    overrides = config["backoffConfig"]["statusCodeOverrides"]
    assert (overrides["429"], overrides["408"]) == ("retry", "retry")
    assert config["backoffConfig"]["default5xxBehavior"] == "retry"


@pytest.mark.parametrize(
    ("said", "scheme"),
    [("https,http", "https"), ("https, http", "https"), (" https", "https"), (",https", "https"),
     ("HTTPS", "https"), ('"https"', "https"), ("http,https", "http"), ("wss", "https"),
     ("strange,http", "https"), ("", "http")],
)  # fmt: skip
def test_of_several_schemes_the_first_counts(tracking: Tracking, said: str, scheme: str) -> None:
    protocol, _ = told(tracking, X_Forwarded_Proto=said)
    assert protocol == scheme


def test_of_several_headers_the_first_counts(tracking: Tracking) -> None:
    connection = tracking.raw(
        b"GET /v1/projects/web-key/settings HTTP/1.1\r\nHost: shop.example\r\n"
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\nConnection: close\r\n\r\n"
    )
    answer = b""
    while part := connection.recv(65_536):
        answer += part
    assert b'"protocol":"https"' in answer


def test_trusted_proxies_say_where_clients_came(tracking: Tracking) -> None:
    said = {
        "Host": "inside",
        "X_Forwarded_Host": "shop.example, inside",
        "X_Forwarded_Proto": "https",
    }
    assert told(tracking, **said) == ("https", "shop.example/v1")
    said["X_Forwarded_Prefix"] = "/analytics/"
    assert told(tracking, **said) == ("https", "shop.example/analytics/v1")
    strange = {**said, "X_Forwarded_Prefix": '/a"b'}
    assert told(tracking, **strange) == (None, None)
    with served(Hosting(proxies=())) as others:
        assert told(others, **said) == ("http", "inside/v1")


def test_the_operator_knows_better_than_headers() -> None:
    with served(Hosting(TrustedProxies(), "https://shop.example/analytics")) as tracking:
        for headers in ({}, {"X_Forwarded_Proto": "http", "X_Forwarded_Prefix": "/x", "Host": "h"}):
            assert told(tracking, **headers) == ("https", "shop.example/analytics/v1")


def test_under_a_prefix_every_address_is_found_and_settings_say_it() -> None:
    with served(Hosting(TrustedProxies(), path_prefix="/first/party")) as tracking:
        for path, _ in known_paths():
            for spelled in (f"/first/party{path}", f"//first//party/{path}/", path):
                assert tracking.send("OPTIONS", spelled).status == 204, spelled
        assert tracking.post("/first/party/v1/track", GOOD, **KEY).json == SUCCESS
        assert told(tracking, "/first/party", Host="h") == ("http", "h/first/party/v1")
        assert told(tracking, "", Host="h") == ("http", "h/v1")
        said = {"Host": "h", "X_Forwarded_Prefix": "/outer"}
        assert told(tracking, "/first/party", **said) == ("http", "h/outer/first/party/v1")
        assert tracking.post("/first/v1/track", GOOD, **KEY).status == 404
        for slip in ("/first/party/v1/trak", "//first/party//v1/trak/"):
            said = tracking.post(slip, GOOD, **KEY).json["message"]
            assert said.endswith("is /first/party/v1/track."), said


# What is forwarded of it.


def test_what_comes_by_these_paths_is_forwarded_as_a_vendor_takes_it() -> None:
    forwards = Forwards()
    forwards.sources = {2: True}
    plain = {"event": "Opened", "userId": "u1"}
    merged = {"userId": "u", "mergeProperties": []}
    with served(forwards=forwards) as tracking:

        def forwarded(path: str, document: object, **headers: str) -> tuple[str, Any]:
            assert tracking.post(path, document, **KEY, **headers).status == 200
            posted = tracking.sink.posted.pop()
            request = outgoing(decoded(posted.letter), "theirs")
            assert posted.messages == 1
            return request.path, json.loads(request.body)

        path, message = forwarded("/v1/merge", merged)
        assert (path, message["mergeProperties"]) == ("/v1/merge", [])
        assert forwarded("/v1/track/", GOOD) == ("/v1/track", GOOD)
        assert forwarded("/api/s/track", GOOD) == ("/v1/track", GOOD)
        # What says its own type goes as a batch, in which messages do.
        for where in ("/api/s/event", "/v1/webhook"):
            assert forwarded(where, GOOD) == ("/v1/batch", {"batch": [GOOD]})
        array = [None, GOOD, {"type": "x"}]
        assert forwarded("/v1/webhook", array) == ("/v1/batch", {"batch": [GOOD]})
        binary = {"Ce_Specversion": "1.0", "Ce_Id": "e1", "Ce_Source": "/shop"}
        binary["Ce_Type"] = "com.example.track"
        for event, headers in ((event_around(plain, 1), {}), (plain, binary)):
            tracking.sink.facts = b""
            path, batch = forwarded("/v1/webhook", event, **headers)
            [message] = batch["batch"]
            assert {**message, **plain, "type": "track"} == message
            # By the id that it was counted by.
            [fact] = unpack(tracking.sink.facts)
            assert fact.message == HASHER.message(message["messageId"])
