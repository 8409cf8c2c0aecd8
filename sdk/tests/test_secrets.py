"""The access token is in the request and nowhere else."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import pytest

import segment_public_api as sdk
from sdk_scripted_server import (
    ScriptedServer,
    SeenRequest,
    answer,
    cut_off,
    hang_up,
    refusal,
    silence,
)

WORKSPACE = "get_daily_workspace_api_calls_usage"
TOKEN = "tok-Zx81Secret"


def everything_said(error: BaseException) -> str:
    said = []
    link: BaseException | None = error
    while link is not None:
        said += [str(link), repr(link), repr(link.args)]
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    said += [repr(vars(error)), repr(pickle.loads(pickle.dumps(error)))]
    return "\n".join(said)


@pytest.mark.parametrize(
    "reply",
    [
        refusal("401 Unauthorized", data={"your": f"Bearer {TOKEN}"}, X_Echo=TOKEN),
        refusal("500 Internal Server Error", data=TOKEN),
        answer(f"<html>{TOKEN}".encode(), content_type="text/html"),
        answer(f'{{"data": "{TOKEN}"}}'.encode()),
        answer(b"", f"302 {TOKEN}", Location=f"https://{TOKEN}.invalid/{TOKEN}"),
        cut_off,
        hang_up,
        silence,
    ],
)
def test_no_error_shows_it(
    call: Any, scripted: Any, caplog: pytest.LogCaptureFixture, reply: Any
) -> None:
    server: ScriptedServer = scripted(reply)
    configuration = sdk.Configuration(
        host=server.host, access_token=TOKEN, retries=1, request_timeout=0.3, debug=True
    )
    with caplog.at_level(logging.DEBUG), pytest.raises(sdk.ApiException) as caught:
        call(configuration, WORKSPACE, "2021-02-01")
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    said = everything_said(caught.value) + caplog.text + repr(configuration)
    assert "zx81secret" not in said.lower()


def test_a_secret_of_one_call_is_kept_too(
    call: Any, scripted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def echo(connection: Any, server: ScriptedServer) -> bool:
        seen: SeenRequest = server.requests[-1]
        return refusal("500 Oops", data=seen.target)(connection, server)

    server = scripted(echo)
    auth = {"type": "apiKey", "in": "query", "key": "k", "value": TOKEN}
    configuration = sdk.Configuration(host=server.host, retries=1)
    caplog.set_level(logging.DEBUG, logger="segment_public_api")
    with pytest.raises(sdk.ServiceException) as caught:
        call(configuration, WORKSPACE, "2021-02-01", _request_auth=auth)
    assert TOKEN not in everything_said(caught.value)
    ours = [r.getMessage() for r in caplog.records if r.name == "segment_public_api"]
    assert ours
    assert TOKEN not in "\n".join(ours)


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN} ", f"{TOKEN}\x00", f"{TOKEN}é€"])
def test_a_token_that_no_header_can_hold_is_refused_unseen(
    call: Any, scripted: Any, token: str
) -> None:
    server = scripted(refusal("401 Unauthorized"))
    configuration = sdk.Configuration(host=server.host, access_token=token)
    with pytest.raises(sdk.ApiValueError, match="access_token") as caught:
        call(configuration, WORKSPACE, "2021-02-01")
    assert "Zx81Secret" not in everything_said(caught.value)
    assert server.requests == []
