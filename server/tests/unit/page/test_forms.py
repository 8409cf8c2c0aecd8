"""Forms that anybody may post: none costs much more than an ordinary one of its size."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from litestar import Litestar, Request, post
from litestar.status_codes import HTTP_201_CREATED, HTTP_400_BAD_REQUEST

from headcount.page.visits import Form, form_of
from support.call_count import counted_calls

SIZE = 64_000
URL_ENCODED = b"application/x-www-form-urlencoded"


@post("/", media_type="application/json")
async def taken_apart(request: Request[Any, Any, Any]) -> Form:
    return await form_of(request)


APP = Litestar([taken_apart], openapi_config=None, logging_config=None)


def form(content_type: bytes, body: bytes) -> Form | None:
    """What the page makes of a form; None where it refuses it."""
    sent: dict[str, Any] = {}

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event: Any) -> None:
        sent.update(event)

    scope: Any = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/", "raw_path": b"/",
        "root_path": "", "query_string": b"", "state": {}, "scheme": "http", "client": None,
        "server": ("127.0.0.1", 80), "headers": [(b"content-type", content_type)],
    }  # fmt: skip
    asyncio.run(APP(scope, receive, send))
    if sent["status"] != HTTP_201_CREATED:
        assert sent["status"] == HTTP_400_BAD_REQUEST
        return None
    return cast(Form, json.loads(sent["body"]))


@pytest.mark.parametrize(
    ("content_type", "field"),
    [
        (URL_ENCODED, b"a&"),
        (URL_ENCODED, b"&"),
        (URL_ENCODED, b"a=%41;&"),
        (URL_ENCODED + b"; charset=x", b"a=1&"),
        (b"multipart/form-data; boundary=x", b"--x\r\na: b\r\n"),
        (b"application/json", b'{"a":'),
    ],
)
def test_no_form_costs_more_than_five_ordinary_ones(content_type: bytes, field: bytes) -> None:
    ordinary = b"token=" + b"t" * SIZE
    form(URL_ENCODED, ordinary)  # what is made once is made
    with counted_calls() as usual:
        assert form(URL_ENCODED, ordinary) == {"token": "t" * SIZE}
    with counted_calls() as costly:
        assert not form(content_type, field * (SIZE // len(field)))
    assert costly.calls <= 5 * usual.calls
