"""The description for people at /docs: all of both documents, and nothing from anywhere else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from headcount.intake.description import tracking_document
from support.installation import Installation
from support.staged import TRACKING_URL, page_of


class _Page(HTMLParser):
    """Collects what a browser would load, which ids and links there are, and what code shows."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.code: list[str] = []
        self._in_code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_code = self._in_code or tag == "pre"
        if tag == "pre":
            self.code.append("")
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            elif name == "href" and tag == "a":
                self.links.add(str(value))
            elif name in ("src", "href", "style") or name.startswith("on"):
                self.loaded.add(str(value).partition("?")[0])

    def handle_endtag(self, tag: str) -> None:
        self._in_code = self._in_code and tag != "pre"

    def handle_data(self, data: str) -> None:
        if self._in_code:
            self.code[-1] += data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, httpx.Response, _Page]]:
    with Installation(tmp_path_factory.mktemp("data")) as place, page_of(place) as home:
        answer = httpx.get(f"{home}/docs")
        found = _Page()
        found.feed(answer.text)
        yield home, answer, found


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    with Installation(tmp_path_factory.mktemp("data")) as place, place.client() as client:
        return [client.get("/openapi.json").json(), tracking_document()]


def operations(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        operation
        for document in documents
        for item in document["paths"].values()
        for operation in item.values()
    ]


def test_it_loads_what_every_page_loads(page: tuple[str, httpx.Response, _Page]) -> None:
    _, answer, found = page
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'; script-src 'self'" in answer.headers["content-security-policy"]
    assert found.loaded == {
        "/page/assets/icon.svg", "/page/assets/page.css", "/page/assets/page.js",
    }  # fmt: skip


def test_it_holds_every_operation_with_its_examples_and_its_sample(
    page: tuple[str, httpx.Response, _Page], documents: list[dict[str, Any]]
) -> None:
    _, _, found = page
    assert len(found.ids) == len(set(found.ids))
    inside = {link[1:] for link in found.links if link.startswith("#")} - {"main"}
    assert inside <= set(found.ids)
    for operation in operations(documents):
        assert operation["operationId"] in inside
        for sample in operation["x-codeSamples"]:
            assert sample["source"] in found.code
        for status, response in operation["responses"].items():
            content = next(iter(response.get("content", {}).values()), {})
            if status.startswith("2") and "example" in content:
                shown = json.dumps(content["example"], indent=2, ensure_ascii=False)
                assert shown in found.code
    shapes = {name for document in documents for name in document["components"]["schemas"]}
    assert {f"shape-{name}" for name in shapes} <= set(found.ids)


def test_it_names_the_addresses_as_the_browser_knows_them(
    page: tuple[str, httpx.Response, _Page],
) -> None:
    home, _, found = page
    told = found.code[0].splitlines()
    assert {f"export API={home}", f"export TRACKING={TRACKING_URL}"} <= set(told)
    used = set(re.findall(r"\$([A-Z][A-Z_]+)", "".join(found.code)))
    assert {line.removeprefix("export ").partition("=")[0] for line in told} == used
    outside = {link for link in found.links if not link.startswith(("#", "/"))}
    assert outside == {f"{TRACKING_URL}/openapi.json"}


def test_every_operation_has_an_example_of_each_kind_and_a_group(
    documents: list[dict[str, Any]],
) -> None:
    names = [operation["operationId"] for operation in operations(documents)]
    assert len(names) == len(set(names))
    for document in documents:
        groups = {tag["name"] for tag in document["tags"]}
        assert all(tag["description"] for tag in document["tags"])
        for operation in operations([document]):
            labels = [sample["label"] for sample in operation["x-codeSamples"]]
            assert labels == ["curl", "Python"]
            assert set(operation["tags"]) <= groups
