"""Signed in to the page of a cluster: begun on one node, valid on all, over on all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.cluster_programs import (
    NodeProgram,
    database_server,
    eventually,
    nodes_of_a_cluster,
)

# Whole nodes: on a machine that others use as well, everything takes a multiple.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[NodeProgram]]:
    with nodes_of_a_cluster(tmp_path, "a", "b") as found:
        yield found


class Browser:
    """One browser, which a load balancer sends to whatever node."""

    def __init__(self, cookies: httpx.Cookies | None = None) -> None:
        self.cookies = cookies or httpx.Cookies()

    def get(self, node: NodeProgram, path: str) -> httpx.Response:
        return self._sent("GET", node, path)

    def post(self, node: NodeProgram, path: str, **fields: str) -> httpx.Response:
        return self._sent("POST", node, path, fields)

    def _sent(
        self, method: str, node: NodeProgram, path: str, form: dict[str, str] | None = None
    ) -> httpx.Response:
        with httpx.Client(timeout=60, cookies=self.cookies) as client:
            answer = client.request(method, f"{node.where['api']}{path}", data=form)
            self.cookies = client.cookies
        return answer

    def sign_in(self, node: NodeProgram, token: str) -> None:
        answer = eventually(lambda: self._signed_in(node, token))
        assert token not in answer.headers["set-cookie"]

    def _signed_in(self, node: NodeProgram, token: str) -> httpx.Response | None:
        answer = self.post(node, "/page/sign-in", token=token)
        return answer if answer.status_code == 303 else None

    def is_signed_in(self, node: NodeProgram) -> bool:
        """Whether the page shows the workspace there; else it leads to signing in."""
        answer = self.get(node, "/page/manage")
        if answer.status_code != 200:
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/page/sign-in?")
            return False
        return "Shop" in answer.text

    def copied(self) -> Browser:
        """Another one with the same cookies."""
        return Browser(httpx.Cookies(self.cookies))


def form_of(page: httpx.Response) -> dict[str, str]:
    found = {}
    for name in ("form_key", "workspace"):
        match = re.search(rf'name="{name}" value="([^"]+)"', page.text)
        assert match is not None
        found[name] = match[1]
    return found


def test_a_session_is_begun_on_one_node_and_valid_and_over_on_all(
    nodes: list[NodeProgram],
) -> None:
    a, b = nodes
    a.start()
    b.start()
    a.json("workspace", "add", "Shop")
    token = a.json("token", "add", "--workspace", "Shop", "--scope", "admin")
    browser = Browser()
    browser.sign_in(a, token["token"])
    eventually(lambda: browser.is_signed_in(b))
    # The form is of one node, the change is made by another, and a third shows what it did.
    fields = form_of(browser.get(a, "/page/manage"))
    changed = browser.post(b, "/page/tokens", scope="read", expires="", **fields)
    assert changed.status_code == 303
    shown = browser.get(a, changed.headers["location"])
    assert "hct_" in shown.text
    assert "hct_" not in browser.get(b, changed.headers["location"]).text, "once"
    refused = browser.post(b, "/page/tokens", **fields | {"form_key": "x"})
    assert refused.status_code == 403
    # A node that begins anew knows it, and who signs out is known to all of them.
    b.stop()
    b.start()
    assert browser.is_signed_in(b)
    copy, another = browser.copied(), Browser()
    another.sign_in(b, token["token"])
    left = browser.post(b, "/page/sign-out", **fields)
    assert left.headers["location"] == "/page/sign-in"
    assert not browser.is_signed_in(b)
    assert not copy.is_signed_in(b)
    eventually(lambda: not copy.is_signed_in(a))
    assert another.is_signed_in(a)
    assert another.is_signed_in(b)
    # A token that is revoked opens nothing any more, on any node.
    b.json("token", "revoke", token["id"], "--workspace", "Shop")
    eventually(lambda: not (another.is_signed_in(a) or another.is_signed_in(b)))


def test_while_the_registry_is_away_who_is_signed_in_stays_so(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    a.json("workspace", "add", "Shop")
    token = a.json("token", "add", "--workspace", "Shop")["token"]
    a.start()
    b.start()
    browser, other = Browser(), Browser()
    browser.sign_in(a, token)
    eventually(lambda: browser.is_signed_in(b))
    primary = database_server().primary
    primary.kill()
    try:
        assert browser.is_signed_in(a)
        assert browser.is_signed_in(b)
        other.sign_in(b, token)
        assert other.is_signed_in(a)
        copy = browser.copied()
        left = browser.post(b, "/page/sign-out", **form_of(browser.get(a, "/page/manage")))
        told = browser.get(b, left.headers["location"])
        assert "other nodes hear of it once it is back" in told.text
        assert not copy.is_signed_in(b)
    finally:
        primary.start()
    eventually(lambda: not copy.is_signed_in(a))
    assert other.is_signed_in(a)
