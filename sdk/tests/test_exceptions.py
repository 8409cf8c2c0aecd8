"""Errors: one tree, the documented words, and what a handler needs."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest
import urllib3

import segment_public_api as sdk
from segment_public_api import exceptions, rest
from segment_public_api.aio import rest as aio_rest

OURS = [getattr(exceptions, name) for name in exceptions.__all__]
THEIRS = {
    "ConnectFailedException": urllib3.exceptions.NewConnectionError,
    "ConnectTimeoutException": urllib3.exceptions.ConnectTimeoutError,
    "ReadTimeoutException": urllib3.exceptions.ReadTimeoutError,
    "BrokenConnectionException": urllib3.exceptions.ProtocolError,
    "TlsException": urllib3.exceptions.SSLError,
}


def test_the_documented_words() -> None:
    error = sdk.ApiException(status=418, reason="Teapot")
    assert str(error) == "(418)\nReason: Teapot\n"
    error.headers = {"A": "b"}
    error.body = "short and stout"
    assert str(error) == (
        "(418)\nReason: Teapot\nHTTP response headers: {'A': 'b'}\n"
        "HTTP response body: short and stout\n"
    )
    error.data = "a pot"
    assert str(error).endswith("HTTP response body: short and stout\nHTTP response data: a pot\n")


class BareAnswer:
    """An answer of another library: what the documented client reads of one, and no more."""

    status, reason, headers = 404, "Not Found", {"A": "b"}

    def __init__(self, data: bytes | None) -> None:
        self.data = data


@pytest.mark.parametrize(("data", "body"), [(b"{}", "{}"), ("é".encode(), "é"), (None, None)])
def test_a_call_that_failed_is_made_of_any_answer(data: bytes | None, body: str | None) -> None:
    error = sdk.ApiException(http_resp=BareAnswer(data))
    assert (error.status, error.reason, error.headers) == (404, "Not Found", {"A": "b"})
    assert error.body == body
    with pytest.raises(sdk.NotFoundException):
        sdk.ApiException.from_response(http_resp=BareAnswer(data), body=None, data=None)


@pytest.mark.parametrize("package", [rest, aio_rest])
def test_a_call_that_failed_is_made_of_our_own_answers(package: Any) -> None:
    theirs: Any = BareAnswer(b"{}")
    answer = package.RESTResponse(theirs)
    answer.data = b"{}"
    assert sdk.ApiException(http_resp=answer).headers == {"A": "b"}


PLACED = [sdk.ApiTypeError, sdk.ApiValueError, sdk.ApiAttributeError, sdk.ApiKeyError]


@pytest.mark.parametrize("kind", PLACED)
def test_an_error_about_one_value_says_where_it_stands(kind: Any) -> None:
    error = kind("m", path_to_item=["a", 0])
    assert error.args == ("m at ['a'][0]",)
    assert str(kind("m", ["rows", 3, "day"])) == "m at ['rows'][3]['day']"
    assert (str(kind("m")), kind("m").path_to_item) == ("m", None)
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is kind
        assert (twin.args, twin.path_to_item) == (error.args, ["a", 0])


def test_an_error_of_type_says_what_would_have_been_right() -> None:
    error = sdk.ApiTypeError("m", None, (int,), True)
    assert (error.valid_classes, error.key_type) == ((int,), True)


@pytest.mark.parametrize("kind", [kind for kind in OURS if issubclass(kind, sdk.ApiException)])
def test_every_failed_call_can_be_made_copied_and_sent(kind: type[sdk.ApiException]) -> None:
    error = kind(status=7, reason="why", body="b")
    error.host = "h"
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is kind
        assert (twin.status, twin.reason, twin.body, twin.host) == (7, "why", "b", "h")
        assert str(twin) == str(error)


@pytest.mark.parametrize("name", THEIRS)
def test_handlers_for_urllib3_still_work(name: str) -> None:
    kind = getattr(exceptions, name)
    for theirs in (THEIRS[name], urllib3.exceptions.MaxRetryError, urllib3.exceptions.HTTPError):
        with pytest.raises(theirs):
            raise kind(status=0, reason="x")


def test_the_drawn_tree_is_the_real_one() -> None:
    drawn = re.findall(r"^[ │├└─]*(\w+(?:Exception|Error))\b", exceptions.__doc__ or "", re.M)
    assert sorted(drawn) == sorted(exceptions.__all__)
    indent = {
        match[2]: len(match[1])
        for match in re.finditer(
            r"^([ │├└─]*)(\w+(?:Exception|Error))\b", exceptions.__doc__ or "", re.M
        )
    }
    stack: list[tuple[int, str]] = []
    for name, depth in indent.items():
        while stack and stack[-1][0] >= depth:
            stack.pop()
        if stack:
            assert getattr(exceptions, name).__bases__[0].__name__ == stack[-1][1]
        stack.append((depth, name))


def test_the_message_of_a_missing_key_is_plain() -> None:
    assert str(sdk.ApiKeyError("no such key")) == "no such key"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), (" 7 ", 7.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("soon", None), ("", None)],
)
def test_retry_after(header: str, seconds: float | None) -> None:
    error = sdk.TooManyRequestsException(status=429)
    error.headers = {"retry-after": header}
    assert error.retry_after_s == seconds
    error.headers = None
    assert error.retry_after_s is None
