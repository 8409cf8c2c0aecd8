"""What the operator says of how clients reach the server is what clients are told.

The settings of a server as a program, with its options and variables, and requests through sockets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.program import Program
from support.server_fixture import Shop, serving

MESSAGE = {"type": "page", "userId": "u"}


def destination(shop: Shop, path: str = "", **headers: str) -> Any:
    url = f"{shop.server.tracking}{path}/v1/projects/{shop.write_keys['web']}/settings"
    return shop.server.send("GET", url, **headers).json()["integrations"]["Segment.io"]


def test_settings_say_the_tracking_url_whatever_headers_claim(tmp_path: Path) -> None:
    environ = {"HEADCOUNT_TRACKING_URL": "https://shop.example/analytics"}
    with serving(tmp_path, "--path-prefix", "/analytics", **environ) as server:
        shop = server.shop("Shop", "web")
        for path in ("", "/analytics"):
            said = destination(shop, path, X_Forwarded_Proto="http", Host="elsewhere")
            assert (said["protocol"], said["apiHost"]) == ("https", "shop.example/analytics/v1")
            answer = server.track(
                f"{path}/v1/import/", {"batch": [MESSAGE]}, shop.write_keys["web"]
            )
            assert (answer.status, answer.json()) == (200, {"success": True})
        shop.wait_until_counted()
        assert shop.usage()[""].api_calls == 2


def test_only_trusted_proxies_say_it_otherwise(tmp_path: Path) -> None:
    said = {"X_Forwarded_Proto": "https,http", "X_Forwarded_Prefix": "/a", "Host": "shop.example"}
    with serving(tmp_path) as server:
        told = destination(server.shop("Shop", "web"), **said)
        assert (told["protocol"], told["apiHost"]) == ("https", "shop.example/a/v1")
    strangers = {"HEADCOUNT_TRUSTED_PROXIES": "192.0.2.1"}
    with serving(tmp_path, **strangers) as server:
        told = destination(server.shop("Another", "web"), **said)
        assert (told["protocol"], told["apiHost"]) == ("http", "shop.example/v1")


@pytest.mark.parametrize("content", [None, b""])
def test_a_library_that_cannot_be_served_is_refused_with_a_remedy(
    tmp_path: Path, content: bytes | None
) -> None:
    library = tmp_path / "analytics.min.js"
    if content is not None:
        library.write_bytes(content)
    ended = Program(tmp_path / "data", tmp_path).run("serve", "--analytics-js", str(library))
    assert ended.returncode == 2
    assert str(library) in ended.stderr
    assert "standalone.js" in ended.stderr
