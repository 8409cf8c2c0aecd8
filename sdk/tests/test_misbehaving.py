"""Both clients against servers that answer badly, late, or not at all."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
import urllib3

import segment_public_api as sdk
from sdk_callers import call_async, call_sync
from sdk_scripted_server import (
    Reply,
    ScriptedServer,
    answer,
    cut_off,
    dead_host,
    dripping_body,
    dripping_headers,
    hang_up,
    refusal,
    silence,
    workspace_page,
)

WORKSPACE = "get_daily_workspace_api_calls_usage"
TOKEN = "tok-Zx81Secret"
GOOD = answer(workspace_page([3, 7]))

Start = Callable[..., ScriptedServer]


def settings(server: ScriptedServer, **more: Any) -> sdk.Configuration:
    return sdk.Configuration(host=server.host, access_token=TOKEN, **more)


@pytest.mark.parametrize(
    ("trouble", "requests"),
    [
        (refusal("500 Internal Server Error"), 2),
        (refusal("502 Bad Gateway"), 2),
        (refusal("503 Service Unavailable", Retry_After="0"), 2),
        (refusal("504 Gateway Timeout"), 2),
        (refusal("429 Too Many Requests"), 2),
        (refusal("429 Too Many Requests", Retry_After="0"), 2),
        (refusal("429 Too Many Requests", Retry_After=formatdate(0, usegmt=True)), 2),
        (refusal("429 Too Many Requests", Retry_After="soon"), 2),
        (cut_off, 2),
        (hang_up, 2),
    ],
)
def test_trouble_that_passes_is_survived(
    call: Any, scripted: Start, caplog: pytest.LogCaptureFixture, trouble: Reply, requests: int
) -> None:
    server = scripted(trouble, GOOD)
    with caplog.at_level(logging.WARNING, logger="segment_public_api"):
        result = call(settings(server), WORKSPACE, "2021-02-01")
    assert [row.api_calls for row in result.rows] == ["3", "7"]
    assert len(server.requests) == requests
    waits = [record for record in caplog.records if "trying again in" in record.getMessage()]
    assert len(waits) == requests - 1


@pytest.mark.parametrize(
    ("retries", "requests"),
    [(None, 4), (1, 2), (0, 1), (False, 1), (urllib3.Retry(total=2, status_forcelist=[500]), 3)],
)
def test_retries_say_how_often(call: Any, scripted: Start, retries: Any, requests: int) -> None:
    server = scripted(refusal("500 Internal Server Error"))
    with pytest.raises(sdk.ServiceException):
        call(settings(server, retries=retries), WORKSPACE, "2021-02-01")
    assert len(server.requests) == requests


def test_a_retry_of_urllib3_keeps_its_meaning(call: Any, scripted: Start) -> None:
    server = scripted(refusal("500 Internal Server Error"))
    with pytest.raises(sdk.ServiceException):
        call(settings(server, retries=urllib3.Retry(total=3)), WORKSPACE, "2021-02-01")
    assert len(server.requests) == 1, "its status_forcelist is empty"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("400 Bad Request", sdk.BadRequestException),
        ("401 Unauthorized", sdk.UnauthorizedException),
        ("403 Forbidden", sdk.ForbiddenException),
        ("404 Not Found", sdk.NotFoundException),
        ("406 Not Acceptable", sdk.ApiException),
        ("409 Conflict", sdk.ConflictException),
        ("418 Teapot", sdk.ApiException),
        ("422 Unprocessable Entity", sdk.UnprocessableEntityException),
        ("429 Too Many Requests", sdk.TooManyRequestsException),
        ("500 Internal Server Error", sdk.ServiceException),
        ("503 Service Unavailable", sdk.ServiceException),
        ("599 Odd", sdk.ServiceException),
    ],
)
def test_every_refusal_has_its_class_and_its_envelope(
    call: Any, scripted: Start, status: str, kind: type[sdk.ApiException]
) -> None:
    server = scripted(refusal(status, field="period", data={"n": 1}, X_Request_Id="req-7"))
    with pytest.raises(kind) as caught:
        call(settings(server, retries=False), WORKSPACE, "2021-02-01")
    error = caught.value
    assert type(error) is kind
    assert error.status == int(status[:3])
    assert error.reason == status[4:]
    assert error.data.errors[0].var_field == "period"
    assert error.data.errors[0].data == {"n": 1}
    assert '"message"' in error.body
    assert error.request_id == "req-7"
    assert error.operation == WORKSPACE
    assert error.host == f"127.0.0.1:{server.port}"
    assert error.headers["X-Request-Id"] == error.headers.get("x-request-id") == "req-7"
    text = str(error)
    assert text.startswith(f"({status[:3]})\nReason: {status[4:]}\nHTTP response headers: ")
    assert text.splitlines()[3:5] == [
        f"HTTP response body: {error.body}",
        f"HTTP response data: {error.data}",
    ]
    for part in ("req-7", WORKSPACE, f"127.0.0.1:{server.port}", "refused"):
        assert part in text


def test_a_missing_token_is_named(call: Any, scripted: Start) -> None:
    server = scripted(refusal("401 Unauthorized"))
    with pytest.raises(sdk.UnauthorizedException, match="no access_token was sent"):
        call(sdk.Configuration(host=server.host), WORKSPACE, "2021-02-01")
    assert "authorization" not in server.requests[0].headers


def test_a_wait_longer_than_allowed_ends_the_call(
    call: Any, scripted: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server = scripted(refusal("429 Too Many Requests", Retry_After="3600"))
    with pytest.raises(sdk.TooManyRequestsException) as caught:
        call(settings(server), WORKSPACE, "2021-02-01")
    assert caught.value.retry_after_s == 3600
    assert len(server.requests) == 1
    assert "retry_wait_max_s" in caplog.text


def test_a_wait_beyond_the_budget_ends_the_call(call: Any, scripted: Start) -> None:
    server = scripted(refusal("429 Too Many Requests", Retry_After="30"))
    with pytest.raises(sdk.TooManyRequestsException):
        call(settings(server, call_budget_s=5.0), WORKSPACE, "2021-02-01")
    assert len(server.requests) == 1


@pytest.mark.parametrize("trouble", [silence, dripping_body, dripping_headers])
@pytest.mark.parametrize(
    ("bounds", "arguments"),
    [
        ({"call_budget_s": 0.4}, {}),
        ({"retries": False}, {"_request_timeout": 0.4}),
        ({"retries": False, "request_timeout": 0.4}, {}),
        ({"retries": 1, "request_timeout": 0.2}, {}),
    ],
)
def test_a_host_that_never_ends_is_given_up(
    call: Any,
    scripted: Start,
    trouble: Reply,
    bounds: dict[str, Any],
    arguments: dict[str, Any],
) -> None:
    server = scripted(trouble)
    with pytest.raises(sdk.ReadTimeoutException) as caught:
        call(settings(server, **bounds), WORKSPACE, "2021-02-01", **arguments)
    assert isinstance(caught.value, sdk.ApiException)
    assert isinstance(caught.value, urllib3.exceptions.ReadTimeoutError)
    assert caught.value.status == 0
    assert caught.value.operation == WORKSPACE


def test_a_pair_of_timeouts_bounds_the_pauses(call: Any, scripted: Start) -> None:
    server = scripted(silence)
    with pytest.raises(sdk.ReadTimeoutException):
        call(settings(server, retries=0), WORKSPACE, "2021-02-01", _request_timeout=(1.0, 0.2))


def test_a_dead_host(call: Any) -> None:
    with dead_host() as host, pytest.raises(sdk.ConnectFailedException) as caught:
        call(sdk.Configuration(host=host, retries=1), WORKSPACE, "2021-02-01")
    assert isinstance(caught.value, urllib3.exceptions.NewConnectionError)
    assert isinstance(caught.value, urllib3.exceptions.MaxRetryError)
    assert host.removeprefix("http://") in str(caught.value)


def test_a_host_that_takes_no_connection(call: Any) -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            # The queue of the listener is full from here on: further connections are not answered.
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        configuration = sdk.Configuration(
            host=f"http://127.0.0.1:{full.getsockname()[1]}", retries=0, request_timeout=(0.3, 60)
        )
        with pytest.raises(sdk.ConnectTimeoutException) as caught:
            call(configuration, WORKSPACE, "2021-02-01")
    assert isinstance(caught.value, urllib3.exceptions.ConnectTimeoutError)


def test_an_unknown_name(call: Any) -> None:
    configuration = sdk.Configuration(host="https://no-such-host.invalid", retries=0)
    with pytest.raises(sdk.ConnectFailedException, match="no-such-host"):
        call(configuration, WORKSPACE, "2021-02-01")


@pytest.mark.parametrize("trouble", [cut_off, hang_up])
def test_a_broken_connection(call: Any, scripted: Start, trouble: Reply) -> None:
    server = scripted(trouble)
    with pytest.raises(sdk.BrokenConnectionException) as caught:
        call(settings(server, retries=1), WORKSPACE, "2021-02-01")
    assert isinstance(caught.value, urllib3.exceptions.ProtocolError)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (answer(b"<html>Sign in</html>", content_type="text/html"), "<html>Sign in"),
        (answer(b"<html>Sign in</html>"), "<html>Sign in"),
        (answer(b'{"data": {"dailyWork'), '{"data": {"dailyWork'),
        (answer(b""), "''"),
        (answer(b"[1]"), "[1]"),
        (answer({"data": {"dailyWorkspaceAPICallsUsage": 5}}), "dailyWorkspaceAPICallsUsage"),
        (
            answer(
                {
                    "data": {
                        "dailyWorkspaceAPICallsUsage": [{"apiCalls": 5, "timestamp": "x"}],
                        "pagination": {"current": "a"},
                    }
                }
            ),
            "data.dailyWorkspaceAPICallsUsage.0.apiCalls",
        ),
    ],
)
def test_an_answer_of_the_wrong_kind_is_shown(
    call: Any, scripted: Start, reply: Reply, shown: str
) -> None:
    server = scripted(reply)
    with pytest.raises(sdk.InvalidResponseException) as caught:
        call(settings(server), WORKSPACE, "2021-02-01")
    assert isinstance(caught.value, ValueError)
    assert caught.value.status == 200
    assert shown in str(caught.value)
    assert caught.value.host == f"127.0.0.1:{server.port}"
    assert caught.value.operation == WORKSPACE


def test_an_html_error_page_keeps_its_status(call: Any, scripted: Start) -> None:
    server = scripted(answer(b"<h1>Bad gateway</h1>", "502 Bad Gateway", "text/html"))
    with pytest.raises(sdk.ServiceException) as caught:
        call(settings(server, retries=0), WORKSPACE, "2021-02-01")
    assert caught.value.body == "<h1>Bad gateway</h1>"
    assert caught.value.data is None


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_the_token_does_not_follow_to_another_host(call: Any, scripted: Start, status: str) -> None:
    elsewhere = scripted(GOOD)
    server = scripted(answer(b"", status, Location=f"{elsewhere.host}/usage/api-calls/daily"))
    with pytest.raises(sdk.RedirectException, match="the access token does not follow") as caught:
        call(settings(server), WORKSPACE, "2021-02-01")
    assert elsewhere.host in str(caught.value)
    assert elsewhere.requests == []


def test_a_redirect_within_the_host_is_followed(call: Any, scripted: Start) -> None:
    server = scripted(answer(b"", "302 Found", Location="/other?period=2021-02-01"), GOOD)
    assert call(settings(server), WORKSPACE, "2021-02-01").rows
    assert server.requests[1].target == "/other?period=2021-02-01"
    assert server.requests[1].headers["authorization"] == f"Bearer {TOKEN}"


def test_redirects_without_end_are_given_up(call: Any, scripted: Start) -> None:
    server = scripted(answer(b"", "302 Found", Location="/again"))
    with pytest.raises(sdk.RedirectException, match="redirects"):
        call(settings(server), WORKSPACE, "2021-02-01")


def test_unknown_fields_are_kept_and_ignored(call: Any, scripted: Start) -> None:
    page = workspace_page([1])
    page["data"]["dailyWorkspaceAPICallsUsage"][0]["colour"] = "red"
    page["data"]["more"] = {"x": 1}
    page["warnings"] = []
    server = scripted(answer(page))
    result = call(settings(server), WORKSPACE, "2021-02-01")
    page["data"]["pagination"] |= {"next": None, "previous": None}
    assert result.to_dict() == page
    assert result.rows[0].api_calls_int == 1


def test_the_raw_answer_of_any_status(scripted: Start) -> None:
    server = scripted(refusal("404 Not Found"))
    raw = call_sync(settings(server), f"{WORKSPACE}_without_preload_content", "2021-02-01")
    assert raw.status == 404
    assert b"refused" in raw.data


@pytest.mark.parametrize("trouble", [silence, dripping_headers])
def test_the_raw_answer_has_its_bounds_too(call: Any, scripted: Start, trouble: Reply) -> None:
    server = scripted(trouble)
    with pytest.raises(sdk.ReadTimeoutException):
        call(
            settings(server, call_budget_s=0.3),
            f"{WORKSPACE}_without_preload_content",
            "2021-02-01",
        )


async def test_the_raw_answer_of_any_status_async(scripted: Start) -> None:
    server = scripted(refusal("503 Service Unavailable"), refusal("404 Not Found"))
    async with sdk.aio.ApiClient(settings(server)) as client:
        api = sdk.aio.APICallsApi(client)
        raw = await api.get_daily_workspace_api_calls_usage_without_preload_content("2021-02-01")
        assert raw.status == 404
        assert b"refused" in await raw.read()
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "replies",
    [
        (GOOD,),
        (refusal("422 Unprocessable Entity", field="period"),),
        (refusal("500 Internal Server Error"), GOOD),
        (refusal("429 Too Many Requests", Retry_After="0"),),
        (cut_off,),
        (answer(b"<html>", content_type="text/html"),),
        (answer(b"{}"),),
        (answer(b"", "301 Moved", Location="https://elsewhere.invalid/"),),
    ],
)
def test_both_clients_send_and_give_the_same(scripted: Start, replies: tuple[Reply, ...]) -> None:
    seen = []
    for caller in (call_sync, call_async):
        server = scripted(*replies)
        pagination = sdk.PaginationInput(count=10, cursor="a b&c")
        arguments = {"_headers": {"X-Trace": "1"}, "_request_timeout": (1, 1)}
        outcome: list[Any] = []
        try:
            got = caller(
                settings(server, retries=1),
                f"{WORKSPACE}_with_http_info",
                "2021-02-01",
                pagination,
                **arguments,
            )
            outcome += [got.status_code, dict(got.headers), got.data, got.raw_data]
        except sdk.ApiException as error:
            outcome += [type(error), error.status, error.body, error.data, error.operation]
        requests = [(r.method, r.target, sorted(r.headers)) for r in server.requests]
        seen.append((outcome, requests))
    (sync_outcome, sync_requests), (async_outcome, async_requests) = seen
    assert sync_outcome == async_outcome
    assert sync_requests == async_requests
    assert (
        "pagination=%7B%22cursor%22%3A%20%22a%20b%26c%22%2C%20%22count%22%3A%2010%7D"
        in (sync_requests[0][1])
    )
