"""Where the page's snippets send a tracking SDK: somewhere that whoever copies them can reach."""

from __future__ import annotations

import html
import re
import socket
from pathlib import Path

import httpx
import pytest

from headcount.config import Address
from headcount.http.listening import listen, url_of
from support.installation import Installation
from support.staged import page_of


def shown_to(home: str, secret: str, host: str | None) -> set[str]:
    """The addresses in the snippets of the first source, for a browser that came by a host."""
    headers = {} if host is None else {"Host": host}
    with httpx.Client(base_url=home, headers=headers) as visitor:
        visitor.post("/page/sign-in", data={"token": secret})
        manage = visitor.get("/page/manage").text
        found = re.search(r'href="([^"]*/page/connect[^"]*)"', manage)
        assert found is not None
        page = html.unescape(visitor.get(html.unescape(found[1])).text)
    return set(re.findall(r"curl (\S+)/v1/track", page)) | set(
        re.findall(r'analytics\.host = "(\S+)"', page)
    )


@pytest.mark.parametrize(
    ("told", "host", "shown"),
    [
        ("https://tracking.example.com", None, "https://tracking.example.com"),
        ("https://tracking.example.com", "usage.example.com", "https://tracking.example.com"),
        ("http://127.0.0.1:8080", "usage.example.com", "http://127.0.0.1:8080"),
        # Nobody can call an address that stands for all of a machine's.
        ("http://0.0.0.0:8080", "usage.example.com:8081", "http://usage.example.com:8080"),
        ("https://[::]:443", "usage.example.com", "https://usage.example.com:443"),
        ("http://[::]:8080", "[::1]:8081", "http://[::1]:8080"),
    ],
)
def test_snippets_name_an_address_that_the_browser_can_reach(
    tmp_path: Path, told: str, host: str | None, shown: str
) -> None:
    with Installation(tmp_path) as place:
        place.source("web")
        with page_of(place, tracking_url=told) as home:
            assert shown_to(home, place.read_secret, host) == {shown}


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_without_a_setting_it_is_the_socket_s(host: str) -> None:
    if ":" in host and not socket.has_ipv6:
        pytest.skip("this machine has no IP version 6")
    [sock] = listen(Address(host, 0), 1, "--tracking")
    with sock:
        port = sock.getsockname()[1]
        assert url_of(sock, "http") == f"http://{f'[{host}]' if ':' in host else host}:{port}"
