"""The address that snippets show: from the setting, the socket, or the browser's own address."""

from __future__ import annotations

import pytest

from headcount.errors import SettingError
from headcount.loading import load_settings


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://tracking.example.com/", "https://tracking.example.com"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://example.com/t", "https://example.com/t"),
    ],
)
def test_addresses(text: str, url: str) -> None:
    settings, _ = load_settings({"tracking_url": text}, {})
    assert settings.tracking_url == url


@pytest.mark.parametrize(
    "text", ["tracking.example.com", "ftp://example.com", "https://", "https://a/?b", 'https://a"b']
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(SettingError, match="an address such as https"):
        load_settings({"tracking_url": text}, {})
