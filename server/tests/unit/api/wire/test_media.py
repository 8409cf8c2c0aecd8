"""Media types: one body, several names."""

import pytest

from headcount.api.wire.media import JSON, NAMES, negotiate

V1 = "application/vnd.segment.v1+json"
BETA = "application/vnd.segment.v1beta+json"


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_given_back(name: str) -> None:
    assert negotiate(name) == name
    assert negotiate(name.upper() + "; charset=utf-8") == name


@pytest.mark.parametrize(
    ("accept", "label"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/html, */*;q=0.8", JSON),
        (f"{V1}, application/json, {BETA}", V1),
        (f"application/json;q=0.2, {BETA};q=0.9", BETA),
        (f"{V1};q=0.5, {BETA};q=0.5", V1),
        (f"*/*, {BETA}", BETA),
        (f"*/*, {V1};q=0", JSON),
        (f"application/json;q=0, {V1};q=0.001", V1),
        (f"{V1};q=nonsense", V1),
        ("text/html, image/gif, *; q=.2", JSON),
        ("text/html", None),
        ("application/vnd.segment.v2+json", None),
        ("*/*;q=0", None),
        ("application/json;q=0", None),
    ],
)
def test_the_client_s_wish_decides(accept: str | None, label: str | None) -> None:
    assert negotiate(accept) == label
