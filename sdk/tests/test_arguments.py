"""What calls take and refuse, before and after it is sent."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from pydantic import ValidationError

import segment_public_api as sdk
from sdk_scripted_server import answer, workspace_page

WORKSPACE = "get_daily_workspace_api_calls_usage"
GOOD = answer(workspace_page([1]))


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), {}),
        ((20210201,), {}),
        ((None,), {}),
        ((datetime.datetime(2021, 2, 1, tzinfo=datetime.UTC),), {}),
        (("2021-02-01", "ten"), {}),
        (("2021-02-01", {"count": 10.5}), {}),
        (("2021-02-01", {"count": "10"}), {}),
        (("2021-02-01",), {"_request_timeout": 0}),
        (("2021-02-01",), {"_request_timeout": "5"}),
        (("2021-02-01",), {"_request_timeout": (1, 2, 3)}),
        (("2021-02-01",), {"_host_index": 2}),
        (("2021-02-01",), {"_headers": "x"}),
        (("2021-02-01",), {"_content_type": 5}),
        (("2021-02-01",), {"unknown": 5}),
    ],
)
def test_wrong_arguments_are_refused_before_sending(
    call: Any, scripted: Any, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    server = scripted(GOOD)
    with pytest.raises(ValidationError):
        call(sdk.Configuration(host=server.host), WORKSPACE, *arguments, **options)
    assert server.requests == []


@pytest.mark.parametrize("count", [1.0, "1", True, [1]])
def test_a_count_is_a_whole_number(count: Any) -> None:
    with pytest.raises(ValidationError, match="count"):
        sdk.PaginationInput(count=count)


@pytest.mark.parametrize(
    ("pagination", "sent"),
    [
        (None, None),
        (sdk.PaginationInput(), None),
        (sdk.PaginationInput(count=10), '{"count": 10}'),
        (sdk.PaginationInput(cursor="Mw=="), '{"cursor": "Mw=="}'),
        ({"count": 3}, '{"count": 3}'),
    ],
)
def test_what_travels(call: Any, scripted: Any, pagination: Any, sent: str | None) -> None:
    server = scripted(GOOD)
    configuration = sdk.Configuration(host=server.host, access_token="abc")
    call(configuration, WORKSPACE, "2021-02-01", pagination)
    (request,) = server.requests
    parts = urlsplit(request.target)
    assert (request.method, parts.path) == ("GET", "/usage/api-calls/daily")
    query = parse_qs(parts.query)
    assert query["period"] == ["2021-02-01"]
    assert query.get("pagination", [None]) == [sent]
    assert " " not in unquote(parts.path)
    assert request.headers["accept"] == "application/vnd.segment.v1+json"
    assert request.headers["authorization"] == "Bearer abc"
    assert "content-type" not in request.headers


def test_a_date_is_a_period_too(call: Any, scripted: Any) -> None:
    server = scripted(GOOD)
    call(sdk.Configuration(host=server.host), WORKSPACE, datetime.date(2021, 2, 9))
    assert server.requests[0].target.endswith("?period=2021-02-09")


def test_validation_can_be_left_to_the_server(call: Any, scripted: Any) -> None:
    server = scripted(GOOD)
    configuration = sdk.Configuration(host=server.host, client_side_validation=False)
    call(configuration, WORKSPACE, 20210201, {"count": 1.5})
    assert "period=20210201" in server.requests[0].target
    assert "1.5" in server.requests[0].target


def test_headers_of_one_call(call: Any, scripted: Any) -> None:
    server = scripted(GOOD)
    call(
        sdk.Configuration(host=server.host),
        WORKSPACE,
        "2021-02-01",
        _headers={"Accept": "application/json", "X-Trace": "7"},
        _content_type="application/json",
    )
    headers = server.requests[0].headers
    assert (headers["accept"], headers["x-trace"]) == ("application/json", "7")
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("place", "key", "seen"),
    [("header", "X-Key", "x-key"), ("cookie", "ignored", "cookie"), ("query", "key", None)],
)
def test_another_authentication_for_one_call(
    call: Any, scripted: Any, place: str, key: str, seen: str | None
) -> None:
    server = scripted(GOOD)
    auth = {"type": "apiKey", "in": place, "key": key, "value": "other-secret"}
    configuration = sdk.Configuration(host=server.host, access_token="abc")
    call(configuration, WORKSPACE, "2021-02-01", _request_auth=auth)
    (request,) = server.requests
    assert "authorization" not in request.headers
    if seen is None:
        assert "key=other-secret" in request.target
    else:
        assert request.headers[seen] == "other-secret"


@pytest.mark.parametrize("auth", [{"in": "header"}, {"in": "body", "key": "k", "value": "v"}])
def test_an_authentication_that_makes_no_sense(
    call: Any, scripted: Any, auth: dict[str, str]
) -> None:
    server = scripted(GOOD)
    with pytest.raises(sdk.ApiValueError, match="_request_auth"):
        call(sdk.Configuration(host=server.host), WORKSPACE, "2021-02-01", _request_auth=auth)


def test_the_wire_helpers() -> None:
    client = sdk.ApiClient()
    day = datetime.date(2021, 2, 1)
    plain = client.sanitize_for_serialization(
        {"a": [day], "b": sdk.PaginationInput(count=1), "c": (1, None), "d": {"e": True}}
    )
    assert plain == {"a": ["2021-02-01"], "b": {"count": 1}, "c": (1, None), "d": {"e": True}}
    query = client.parameters_to_url_query
    assert query({"a": True, "b": "x y", "c": {"d": 1}}, None) == (
        "a=true&b=x%20y&c=%7B%22d%22%3A%201%7D"
    )
    assert query([("a", [1, 2])], None) == "a=1,2"
    assert query([("a", [1, 2])], {"a": "multi"}) == "a=1&a=2"
    assert query([("a", ["x", "y"])], {"a": "pipes"}) == "a=x|y"
    assert client.select_header_accept(["text/html", "application/x+json"]) == "application/x+json"
    assert client.select_header_accept(["text/html"]) == "text/html"
    assert client.select_header_content_type([]) is None


def test_deserialize() -> None:
    client = sdk.ApiClient()
    assert client.deserialize('{"count": 3}', "PaginationInput") == sdk.PaginationInput(count=3)
    assert client.deserialize('[{"count": 3}]', "List[PaginationInput]") == [
        sdk.PaginationInput(count=3)
    ]
    assert client.deserialize('{"a": 1}', "Dict[str, int]") == {"a": 1}
    assert client.deserialize('{"a": 1}', "object") == {"a": 1}
    assert client.deserialize("hello", "str", "text/plain") == "hello"
    assert client.deserialize("hello", "str", None) == "hello"
    with pytest.raises(sdk.ApiException, match="image/png"):
        client.deserialize("x", "str", "image/png")
    with pytest.raises(sdk.ApiValueError, match="NoSuchModel"):
        client.deserialize("{}", "NoSuchModel")


def test_other_calls_can_be_made_with_the_same_client(scripted: Any) -> None:
    server = scripted(answer({"ok": True}, "201 Created"))
    client = sdk.ApiClient(sdk.Configuration(host=server.host, access_token="abc"))
    request = client.param_serialize(
        "POST", "/things/{id}", path_params={"id": 7}, body={"a": 1}, auth_settings=["token"]
    )
    reply = client.call_api(*request)
    assert client.response_deserialize(reply, {"201": "object"}).data == {"ok": True}
    assert server.requests[0].headers["content-type"] == "application/json"
    client.close()
