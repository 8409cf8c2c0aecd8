"""docs/senders.md: a section for every sender, and no address that the server does not know."""

from __future__ import annotations

import re

import pytest

from clients.recorded import SENDERS
from headcount.intake.routes import Router
from tidy.sources import ROOT

PAGE = (ROOT / "docs/senders.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
# Which section says how to set a recorded library up.
SECTION_OF = {
    "analytics-java": "Java",
    "analytics-ruby": "Ruby",
    "analytics-go": "Go",
    "analytics-php": "PHP",
    "analytics-rust": "Rust",
    "analytics-kotlin": "Kotlin (Android)",
    "analytics-swift": "Swift (Apple)",
    "analytics-react-native": "React Native",
    "analytics_flutter": "Flutter",
    "Analytics-CSharp": ".NET",
    "rudder-sdk-kotlin": "RudderStack's",
    "rudder-sdk-android": "RudderStack's",
    "rudder-sdk-ios": "RudderStack's",
    "rudder-sdk-swift": "RudderStack's",
    "amp": "AMP",
}


def test_every_sender_has_its_lines_and_what_to_watch() -> None:
    assert set(SECTIONS) == {
        *SECTION_OF.values(), "Browser", "Python", "Node", "Webhook", "Jitsu's",
    }  # fmt: skip
    assert SECTION_OF.keys() == SENDERS.keys()
    for name, section in SECTIONS.items():
        assert "YOUR_WRITE_KEY" in section, name
        assert "track.example.com" in section, name
        assert "Watch:" in section, name


@pytest.mark.parametrize("name", SECTIONS)
def test_every_address_of_the_page_is_the_servers(name: str) -> None:
    router = Router("")
    for path in re.findall(r"track\.example\.com(/[\w./-]*)", SECTIONS[name]):
        # What libraries put behind the beginning that they are told.
        behind = ("", "/b", "/v1/batch", "/track", "/projects/KEY/settings")
        assert any(router.find(path + more) for more in behind), path
