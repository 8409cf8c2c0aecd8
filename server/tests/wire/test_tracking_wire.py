"""The tracking API as clients meet it: a real server, real sockets, every path and refusal."""

from __future__ import annotations

import asyncio
import base64
import gzip
import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from headcount.counting.facts import MESSAGE_TYPES, Rejection
from headcount.intake import Limits
from headcount.logs import TextFormatter
from support.intake import APP, HASHER, NOW_MS, TODAY, WEB, unpack
from support.tracking_server import Reply, Tracking

LIMITS = Limits(requests_in_flight_max=4, body_bytes_in_flight_max=9 * 1024 * 1024)
KEY = {"Authorization": "Basic " + base64.b64encode(b"web-key:").decode()}
GOOD = {"type": "page", "userId": "u"}
FULL = {"userId": "u", "event": "e", "groupId": "g", "previousId": "p"}
SUCCESS = {"success": True}


@pytest.fixture
def tracking() -> Iterator[Tracking]:
    server = Tracking(LIMITS)
    yield server
    server.stop()


def answer_on(connection: socket.socket) -> tuple[int, dict[str, str], Any]:
    """The next answer on a connection, which stays open."""
    with http.client.HTTPResponse(connection) as response:
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, json.loads(response.read())


@pytest.mark.parametrize("short", [False, True])
def test_every_type_has_its_paths(tracking: Tracking, short: bool) -> None:
    for message_type in MESSAGE_TYPES:
        path = f"/v1/{message_type[0] if short else message_type}"
        reply = tracking.post(path, FULL, **KEY)
        assert (reply.status, reply.json) == (200, SUCCESS)
    assert [fact.message_type for fact in unpack(tracking.sink.facts)] == list(MESSAGE_TYPES)
    assert {fact.received_at_ms for fact in unpack(tracking.sink.facts)} == {NOW_MS}


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/import"])
def test_batches(tracking: Tracking, path: str) -> None:
    reply = tracking.post(path, {"batch": [GOOD, None, {**GOOD, "userId": 1.5}, GOOD]}, **KEY)
    assert (reply.status, reply.json) == (
        200,
        {
            "success": True,
            "rejected": [
                {"index": 1, "code": "not_an_object"}, {"index": 2, "code": "invalid_id"},
            ],
        },
    )  # fmt: skip
    assert len(unpack(tracking.sink.facts)) == 2
    assert sorted(tracking.sink.rejections) == [
        Rejection(1, 2, TODAY, "invalid_id", 1), Rejection(1, 2, TODAY, "not_an_object", 1),
    ]  # fmt: skip
    assert tracking.post(path, {"batch": []}, **KEY).json == SUCCESS
    assert tracking.post(path, {"batch": [{}]}, **KEY).status == 200


def test_the_header_goes_before_the_body_and_the_body_before_the_message(
    tracking: Tracking,
) -> None:
    own = {**GOOD, "writeKey": "app-key"}
    for reply in (
        tracking.post("/v1/page", own, **KEY),
        tracking.post("/v1/page", own),
        # analytics-python with OAuth sends a bearer token, which is nobody's write key.
        tracking.post("/v1/page", own, Authorization="Bearer web-key"),
        tracking.post("/v1/page", own, Authorization="Basic " + base64.b64encode(b":").decode()),
        tracking.post("/v1/batch", {"batch": [own], "writeKey": "web-key"}),
        tracking.post("/v1/batch", {"batch": [own]}),
    ):
        assert (reply.status, reply.json) == (200, SUCCESS)
    sources = [fact.source for fact in unpack(tracking.sink.facts)]
    web, app = WEB.source, APP.source
    assert sources == [web, app, app, app, web, app]


@pytest.mark.parametrize("path", ["/v1/page", "/v1/batch"])
@pytest.mark.parametrize(
    ("key", "code"),
    [(None, "no_write_key"), ("", "no_write_key"), ("x", "unknown_write_key"),
     ("off-key", "unknown_write_key")],
)  # fmt: skip
def test_without_a_good_key_a_request_is_refused(
    tracking: Tracking, path: str, key: str | None, code: str
) -> None:
    body = {**GOOD, "batch": [GOOD], "writeKey": key}
    basic = "Basic " + base64.b64encode(f"{key or ''}:".encode()).decode()
    for reply in (tracking.post(path, body), tracking.post(path, body, Authorization=basic)):
        assert (reply.status, reply.json["code"]) == (401, code)
        assert reply.json["message"]
    assert (tracking.sink.facts, tracking.sink.rejections) == (b"", [])


def test_a_bad_single_message_is_refused_and_tallied(tracking: Tracking) -> None:
    reply = tracking.post("/v1/track", {"userId": "u"}, **KEY)
    assert (reply.status, reply.json["code"]) == (400, "event_not_string")
    reply = tracking.send("POST", "/v1/track", "nonsense", **KEY)
    assert (reply.status, reply.json["code"]) == (400, "malformed_json")
    reply = tracking.post("/v1/track", {"userId": "u", "writeKey": "app-key"})
    assert (reply.status, reply.json["code"]) == (400, "event_not_string")
    assert tracking.sink.facts == b""
    assert tracking.sink.rejections == [
        Rejection(1, 2, TODAY, "event_not_string", 1),
        Rejection(1, 2, TODAY, "malformed_json", 1),
        Rejection(1, 3, TODAY, "event_not_string", 1),
    ]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/html"])
def test_a_body_is_json_whatever_it_is_called(tracking: Tracking, kind: str) -> None:
    assert tracking.post("/v1/t", FULL, Content_Type=kind, **KEY).json == SUCCESS


def test_gzip_and_other_encodings(tracking: Tracking) -> None:
    packed = gzip.compress(json.dumps({"batch": [GOOD] * 3}).encode())
    reply = tracking.send("POST", "/v1/batch", packed, Content_Encoding="gzip", **KEY)
    assert reply.json == SUCCESS
    assert len(unpack(tracking.sink.facts)) == 3
    for body, encoding, status, code in (
        (packed[:-1], "gzip", 400, "invalid_gzip"),
        (b"{}", "gzip", 400, "invalid_gzip"),
        (gzip.compress(bytes(50_000_000)), "gzip", 400, "body_too_large"),
        (packed, "br", 415, "unsupported_encoding"),
    ):
        reply = tracking.send("POST", "/v1/batch", body, Content_Encoding=encoding, **KEY)
        assert (reply.status, reply.json["code"]) == (status, code)


def test_a_body_may_have_4_mib_and_no_more(tracking: Tracking) -> None:
    bound = 4 * 1024 * 1024
    body = b'{"batch":[' + json.dumps(GOOD).encode() + b"]}"
    reply = tracking.send("POST", "/v1/batch", body.ljust(bound), **KEY)
    assert reply.json == SUCCESS
    chunked = {"Transfer_Encoding": "chunked", **KEY}
    for headers in (KEY, chunked):
        data = body.ljust(bound + 1)
        if headers is chunked:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
        reply = tracking.send("POST", "/v1/batch", data, **headers)
        assert (reply.status, reply.json["code"]) == (400, "body_too_large")
    assert len(unpack(tracking.sink.facts)) == 1


def test_what_breaks_fast_parsers_costs_nobody_its_batch(tracking: Tracking) -> None:
    deep = b'{"type":"page","userId":"deep","x":' + b"[" * 15_000 + b"]" * 15_000 + b"}"
    items = {
        b'{"type":"page","userId":"\\ud800"}': None,
        deep: None,
        b'{"type":"page","userId":1180591620717411303424}': None,
        b'{"type":"page","userId":1e400}': "invalid_id",
        b'{"type":"page","userId":"a\\u0000"}': None,
        b'{"type":"page","userId":5.5,"userId":"last"}': None,
        b"null": "not_an_object",
        b'"text"': "not_an_object",
        b'{"type":"page","userId":"a","x":NaN}': "malformed_json",
        b'{"type":"page","userId":"a","x":1e999}': None,
        b'{"type":"page","userId":"\xff"}': "malformed_json",
    }
    body = b'\xef\xbb\xbf{"batch":[' + b",".join(items) + b"]}"
    reply = tracking.send("POST", "/v1/batch", body, **KEY)
    expected = [{"index": n, "code": code} for n, code in enumerate(items.values()) if code]
    assert (reply.status, reply.json) == (200, {"success": True, "rejected": expected})
    users = [fact.user for fact in unpack(tracking.sink.facts)]
    texts = ["\ud800", "deep", "1180591620717411303424", "a\0", "last", "a"]
    assert users == [HASHER.tracked(text) for text in texts]


@pytest.mark.parametrize(
    ("agent", "path", "library"),
    [
        ("analytics-python/2.4.0", "/v1/batch", "analytics-python"),
        ("analytics-node-next/latest", "/v1/batch", "analytics-node"),
        ("node", "/v1/batch", "analytics-node"),
        ("rudder-sdk-python/2.1.9", "/v1/batch", "rudder-sdk-python"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "/v1/b", "analytics.js"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "/v1/batch", "other"),
        ("curl/8.0", "/v1/b", "other"),
    ],
)
def test_libraries_are_told_apart(tracking: Tracking, agent: str, path: str, library: str) -> None:
    tracking.post(path, {"batch": [GOOD]}, User_Agent=agent, **KEY)
    assert unpack(tracking.sink.facts)[0].library == library


def test_the_pixel_answers_its_image_with_the_status_of_the_post(tracking: Tracking) -> None:
    def pixel(message: object, **headers: str) -> Reply:
        data = base64.urlsafe_b64encode(json.dumps(message).encode()).decode().rstrip("=")
        return tracking.send("GET", f"/v1/pixel/track?data={data}", **headers)

    good = {"userId": "u", "event": "e", "writeKey": "web-key"}
    replies = [
        pixel(good), pixel(FULL, **KEY), pixel({"writeKey": "web-key"}), pixel(FULL),
        pixel({**good, "writeKey": "x"}), tracking.send("GET", "/v1/pixel/track"),
    ]  # fmt: skip
    assert [reply.status for reply in replies] == [200, 200, 400, 401, 401, 400]
    tracking.sink.broken = True
    replies.append(pixel(good))
    tracking.sink.pending_bytes = LIMITS.pending_fact_bytes_max + 1
    replies.append(pixel(good))
    assert [reply.status for reply in replies[-2:]] == [503, 429]
    for reply in replies:
        assert reply.headers["Content-Type"] == "image/gif"
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        assert reply.body.startswith(b"GIF89a")
    assert int(replies[-1].headers["Retry-After"]) > 0
    assert [fact.message_type for fact in unpack(tracking.sink.facts)] == ["track", "track"]
    assert tracking.sink.rejections == [Rejection(1, 2, TODAY, "no_user_anon_id", 1)]


def test_whoever_only_looks_at_the_pixel_is_not_counted(tracking: Tracking) -> None:
    data = base64.b64encode(json.dumps({**FULL, "writeKey": "web-key"}).encode()).decode()
    reply = tracking.send("HEAD", f"/v1/pixel/track?data={data}")
    assert (reply.status, reply.headers["Content-Type"], reply.body) == (200, "image/gif", b"")
    assert tracking.sink.facts == b""


def test_settings_lead_the_library_back_to_where_it_asked(tracking: Tracking) -> None:
    reply = tracking.send("GET", "/v1/projects/web-key/settings")
    destination = reply.json["integrations"]["Segment.io"]
    assert destination["apiKey"] == "web-key"
    assert destination["apiHost"] == f"127.0.0.1:{tracking.port}/v1"
    assert destination["protocol"] == "http"
    reply = tracking.send("GET", "/v1/projects/web-key/settings", X_Forwarded_Proto="https")
    assert reply.json["integrations"]["Segment.io"]["protocol"] == "https"
    assert tracking.send("HEAD", "/v1/projects/web-key/settings").body == b""
    for key in ("off-key", "x"):
        reply = tracking.send("GET", f"/v1/projects/{key}/settings")
        assert (reply.status, reply.json["code"]) == (401, "unknown_write_key")


def test_health_and_self_metrics(tracking: Tracking) -> None:
    assert tracking.send("GET", "/healthz").json == {"status": "ok"}
    assert tracking.send("HEAD", "/healthz").status == 200
    assert tracking.send("POST", "/v1/m", "anything").json == SUCCESS
    assert tracking.sink.facts == b""


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v1/x", "/v1/batch/x", "/v2/batch", "/v1/pixel", "/v1/pixel/x",
     "/v1/projects//settings", "/v1/projects/a/b/settings", "/v1/projects/web-key"],
)  # fmt: skip
def test_other_addresses_are_not_found(tracking: Tracking, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        reply = tracking.send(method, path)
        assert (reply.status, reply.json["code"]) == (404, "not_found")
        assert "The nearest known one is /" in reply.json["message"]
        assert reply.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("path", "wrong", "allow"),
    [("/v1/batch", ["GET", "HEAD", "PUT", "DELETE"], "POST, OPTIONS"),
     ("/v1/t", ["GET", "PATCH"], "POST, OPTIONS"), ("/v1/m", ["GET"], "POST, OPTIONS"),
     ("/v1/pixel/track", ["POST"], "GET, HEAD, OPTIONS"),
     ("/v1/projects/k/settings", ["POST"], "GET, HEAD, OPTIONS"),
     ("/healthz", ["POST"], "GET, HEAD, OPTIONS")],
)  # fmt: skip
def test_methods(tracking: Tracking, path: str, wrong: list[str], allow: str) -> None:
    for method in wrong:
        reply = tracking.send(method, path)
        assert (reply.status, reply.headers["Allow"]) == (405, allow)
        assert method == "HEAD" or reply.json["code"] == "method_not_allowed"
    reply = tracking.send("OPTIONS", path)
    assert (reply.status, reply.body, reply.headers["Allow"]) == (204, b"", allow)
    under_v1 = path.startswith("/v1/")
    assert (reply.headers["Access-Control-Max-Age"] is not None) == under_v1
    assert reply.headers["Access-Control-Allow-Methods"] == (allow if under_v1 else None)
    allowed = reply.headers["Access-Control-Allow-Headers"] or ""
    assert ("Authorization" in allowed) == under_v1


def test_every_answer_under_v1_may_be_read_by_any_page(tracking: Tracking) -> None:
    replies = [
        tracking.post("/v1/page", GOOD, **KEY),
        tracking.post("/v1/page", GOOD),
        tracking.post("/v1/page", {}, **KEY),
        tracking.send("GET", "/v1/nothing"),
        tracking.send("GET", "/v1/page"),
        tracking.send("OPTIONS", "/v1/page"),
        tracking.send("POST", "/v1/page", b"{}", Content_Encoding="br", **KEY),
        tracking.post("/v1/page", {**GOOD, "writeKey": "bug-key"}),
    ]
    tracking.sink.broken = True
    replies.append(tracking.post("/v1/page", GOOD, **KEY))
    tracking.sink.pending_bytes = LIMITS.pending_fact_bytes_max + 1
    replies.append(tracking.post("/v1/page", GOOD, **KEY))
    statuses = [reply.status for reply in replies]
    assert statuses == [200, 401, 400, 404, 405, 204, 415, 500, 503, 429]
    for reply in replies:
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        assert reply.headers["Access-Control-Expose-Headers"] == "Retry-After"
        assert "Access-Control-Allow-Credentials" not in reply.headers
    assert "Access-Control-Allow-Origin" not in tracking.send("GET", "/healthz").headers


def test_a_disk_that_refuses_is_a_503_and_nothing_is_acknowledged(tracking: Tracking) -> None:
    tracking.sink.broken = True
    for reply in (
        tracking.post("/v1/batch", {"batch": [GOOD]}, **KEY),
        tracking.post("/v1/page", GOOD, **KEY),
        tracking.post("/v1/page", {}, **KEY),
    ):
        assert (reply.status, reply.json["code"]) == (503, "storage_unavailable")
        assert int(reply.headers["Retry-After"]) > 0


def test_a_bug_is_a_500_and_the_log_tells_nothing_of_the_message(
    tracking: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(TextFormatter("intake"))
    with caplog.at_level(logging.DEBUG):
        reply = tracking.post("/v1/page", {**GOOD, "userId": "secret", "writeKey": "bug-key"})
    assert (reply.status, reply.json["code"]) == (500, "internal_error")
    assert "KeyError" in caplog.text
    assert "lookup" in caplog.text
    request_id = reply.headers["x-request-id"]
    said = [line for line in caplog.text.splitlines() if "intake ERROR" in line]
    assert len(said) > 2
    assert all(f"intake ERROR [{request_id}] " in line for line in said)
    assert "secret" not in caplog.text
    assert "bug-key" not in caplog.text
    assert b"KeyError" not in reply.body
    assert tracking.post("/v1/page", GOOD, **KEY).status == 200


def test_nothing_that_was_sent_is_logged(
    tracking: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        tracking.post("/v1/page", {"userId": "secret"}, **KEY)
        tracking.post("/v1/page?secret=1", {"userId": ["secret"]}, **KEY)
        tracking.send("GET", "/v1/pixel/page?data=secret")
        tracking.send("POST", "/v1/batch", "secret", **KEY)
    # The access log is off, but pytest's own handler makes uvicorn believe that somebody reads it.
    messages = [r.getMessage() for r in caplog.records if r.name != "uvicorn.access"]
    assert not [message for message in messages if "secret" in message]


HEAD = b"POST /v1/page HTTP/1.1\r\nHost: t\r\nAuthorization: " + KEY["Authorization"].encode()
BODY = json.dumps(GOOD).encode()
WHOLE = HEAD + b"\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


def test_too_many_requests_at_once_are_turned_away_before_their_bodies(
    tracking: Tracking,
) -> None:
    tracking.sink.held = held = asyncio.Event()
    inside = [tracking.raw(WHOLE) for _ in range(LIMITS.requests_in_flight_max)]
    while tracking.sink.waiting < len(inside):
        time.sleep(0.001)
    late = tracking.raw(WHOLE[: -len(BODY)])
    status, headers, document = answer_on(late)
    assert (status, document["code"]) == (429, "overloaded")
    assert 1 <= int(headers["retry-after"]) <= 4
    tracking.sink.held = None
    tracking.soon(held.set)
    assert [answer_on(connection)[0] for connection in inside] == [200] * len(inside)
    # The connection is as good as before: what follows the unread body is the next request.
    late.sendall(BODY + WHOLE)
    assert answer_on(late)[0] == 200
    assert len(unpack(tracking.sink.facts)) == len(inside) + 1


@pytest.mark.parametrize(
    "framing", [b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b"Content-Length: 4194304\r\n\r\n"]
)
@pytest.mark.parametrize("head", [b"POST /v1/page HTTP/1.1\r\nHost: t", HEAD])
def test_what_is_only_announced_takes_no_room(
    tracking: Tracking, head: bytes, framing: bytes
) -> None:
    for _ in range(40):
        tracking.raw(head + b"\r\n" + framing)
    phones = [tracking.raw(WHOLE[: -len(BODY)]) for _ in range(40)]
    assert [answer_on(tracking.raw(WHOLE))[0] for _ in range(20)] == [200] * 20
    for phone in phones:
        phone.sendall(BODY)
    assert [answer_on(phone)[0] for phone in phones] == [200] * 40


def test_of_too_many_strangers_the_slowest_is_cut_off() -> None:
    small = Tracking(Limits(keyless_slow_bodies_max=2))
    body = json.dumps({**GOOD, "writeKey": "web-key"}).encode()
    head = b"POST /v1/page HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(body)
    slow, phone, late = (small.raw(head + body[:1]) for _ in range(3))
    status, headers, document = answer_on(slow)
    assert (status, document["code"]) == (503, "body_too_slow")
    assert headers["connection"] == "close"
    assert 1 <= int(headers["retry-after"]) <= 4
    assert slow.recv(1) == b""
    for each in (phone, late):
        each.sendall(body[1:])
        assert answer_on(each)[0] == 200
    small.stop()


def test_a_key_in_the_head_that_is_unknown_is_answered_before_the_body_comes(
    tracking: Tracking,
) -> None:
    head = WHOLE[: -len(BODY)].replace(b"d2ViLWtleTo=", base64.b64encode(b"no-key:"))
    connection = tracking.raw(head)
    assert answer_on(connection)[0] == 401
    # The connection is as good as before: what follows the unread body is the next request.
    connection.sendall(BODY + WHOLE)
    assert answer_on(connection)[0] == 200


def test_of_many_rejections_a_hundred_are_listed(tracking: Tracking) -> None:
    for bad, more in ((100, None), (101, 1), (99_999, 99_899)):
        reply = tracking.post("/v1/batch", {"batch": [GOOD] + [0] * bad}, **KEY)
        rejected = [{"index": index, "code": "not_an_object"} for index in range(1, 101)]
        expected = {"success": True, "rejected": rejected, "rejectedMore": more}
        assert reply.json == {name: value for name, value in expected.items() if value is not None}
        assert len(reply.body) < 8192
    assert sum(tally.messages for tally in tracking.sink.rejections) == 100 + 101 + 99_999


def test_a_body_that_does_not_come_is_given_up() -> None:
    impatient = Tracking(Limits(body_timeout_s=0.05))
    slow = impatient.raw(HEAD + b"\r\nContent-Length: 100\r\n\r\n{")
    status, headers, document = answer_on(slow)
    assert (status, document["code"]) == (503, "body_timeout")
    assert int(headers["retry-after"]) > 0
    assert headers["connection"] == "close"
    assert slow.recv(1) == b""
    impatient.stop()


@pytest.mark.parametrize(
    "start",
    [HEAD + b"\r\nContent-Length: 100\r\n\r\n" + BODY,
     HEAD + b'\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"use\r\n', HEAD, b""],
)  # fmt: skip
def test_clients_that_leave_take_nothing_with_them(tracking: Tracking, start: bytes) -> None:
    for _ in range(2 * LIMITS.requests_in_flight_max):
        tracking.raw(start).close()
    # Sooner or later the server has seen them all leave, and has room as before.
    while answer_on(tracking.raw(WHOLE))[0] == 429:
        pass
    assert len(unpack(tracking.sink.facts)) == 1


def test_chunked_bodies_are_taken(tracking: Tracking) -> None:
    chunks = b"".join(b"1\r\n%b\r\n" % BODY[at : at + 1] for at in range(len(BODY)))
    head = HEAD + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert answer_on(tracking.raw(head + chunks + b"0\r\n\r\n"))[0] == 200
    assert len(unpack(tracking.sink.facts)) == 1


@pytest.mark.parametrize(
    "data",
    [b"GET /\xff HTTP/1.1\r\nHost: t\r\n\r\n", HEAD + b"\r\nContent-Length: -1\r\n\r\n",
     HEAD + b"\r\nContent-Length: x\r\n\r\n", b"nonsense\r\n\r\n",
     HEAD + b"\r\nContent-Length: 99999999999999999999999\r\n\r\n",
     HEAD + b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
)  # fmt: skip
def test_what_is_no_http_is_a_400(tracking: Tracking, data: bytes) -> None:
    assert tracking.raw(data).recv(12) == b"HTTP/1.1 400"
    assert tracking.post("/v1/page", GOOD, **KEY).status == 200


def test_an_enormous_declared_length_is_refused_unread(tracking: Tracking) -> None:
    connection = tracking.raw(HEAD + b"\r\nContent-Length: 99999999999\r\n\r\n")
    status, _, document = answer_on(connection)
    assert (status, document["code"]) == (400, "body_too_large")


def test_many_clients_at_once_each_get_their_own_answer(tracking: Tracking) -> None:
    counted: list[int] = []

    def client(number: int) -> None:
        for size in range(10):
            good = [{**GOOD, "userId": f"{number}-{size}"}] * size
            reply = tracking.post("/v1/batch", {"batch": [*good, None]}, **KEY)
            assert reply.json["rejected"] == [{"index": size, "code": "not_an_object"}]
            counted.append(size)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert len(counted) == 40
    assert len(unpack(tracking.sink.facts)) == sum(counted)
    assert sum(tally.messages for tally in tracking.sink.rejections) == 40


def test_an_import_goes_by_the_configured_size_and_by_no_other() -> None:
    record = {**GOOD, "receivedAt": "2026-11-03T04:05:06Z", "sourceId": "web"}
    small = Tracking(Limits(record_bytes_max=len(json.dumps(record))))
    try:
        batch = {"batch": [record, {**record, "userId": "us"}]}
        reply = small.post("/v1/import", batch, Authorization="Bearer admin-token")
        assert reply.json["rejected"] == [{"index": 1, "code": "message_too_large"}]
    finally:
        small.stop()
