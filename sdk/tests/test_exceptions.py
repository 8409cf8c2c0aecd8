"""Errors: one tree, the documented words, and what a handler needs."""

from __future__ import annotations

import copy
import pickle
import re

import pytest
import urllib3

import segment_public_api as sdk
from segment_public_api import exceptions

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
