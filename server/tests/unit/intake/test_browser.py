"""What browsers ask for: settings that lead analytics.js back here, and the pixel's message."""

import base64
import urllib.parse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.intake import Reason
from headcount.intake.browser import pixel_message, settings_document
from headcount.intake.reasons import Refused


def destination(host: str, scheme: str = "https") -> Any:
    document: Any = settings_document("the-key", host, scheme)
    assert list(document["integrations"]) == ["Segment.io"]
    return document["integrations"]["Segment.io"]


@pytest.mark.parametrize("host", ["t.example.com", "localhost:8080", "127.0.0.1:80", "[::1]:8080"])
def test_the_library_is_sent_back_to_the_host_that_it_asked(host: str) -> None:
    sent_to = destination(host, "http")
    assert sent_to["apiKey"] == "the-key"
    assert (sent_to["protocol"], sent_to["apiHost"]) == ("http", f"{host}/v1")


@pytest.mark.parametrize(
    "host", ["", "a/b", "user@host", "a b", 'x"', "host:", "höst", "a?b", "[x"]
)
def test_a_strange_host_is_not_repeated(host: str) -> None:
    assert "apiHost" not in destination(host)


@given(st.binary(min_size=1, max_size=200), st.booleans(), st.booleans(), st.booleans())
def test_the_pixels_message_survives_every_spelling_of_base64(
    message: bytes, safe: bool, padded: bool, escaped: bool
) -> None:
    data = (base64.urlsafe_b64encode if safe else base64.b64encode)(message).decode()
    data = data if padded else data.rstrip("=")
    query = "x=1&data=" + (urllib.parse.quote_plus(data) if escaped else data) + "&y"
    assert pixel_message(query.encode()) == message


@pytest.mark.parametrize(
    "query", [b"", b"data", b"data=", b"date=e30=", b"data=!", b"data=%ff", b"data=\xff", b"data=e",
              b"data=e30=&" + b"a=1&" * 200],
)  # fmt: skip
def test_what_is_no_base64_is_refused(query: bytes) -> None:
    with pytest.raises(Refused) as refused:
        pixel_message(query)
    assert refused.value.reason is Reason.INVALID_PIXEL_DATA
