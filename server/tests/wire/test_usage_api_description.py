"""The OpenAPI description of the API is true and whole."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import GenerationMode, checks

from headcount.api.wire.contract import CONTRACT_KEY
from headcount.counting.facts import Rejection
from support.installation import NOVEMBER, Installation

_UNTOKENED = {"/healthz", "/readyz", "/metrics", "/openapi.json"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("data")) as installation:
        web = installation.source("web")
        for period in (NOVEMBER.shifted(-1), NOVEMBER):
            installation.use(web, period, {1: {"api_calls": 3, "admitted": 4, "identified": 2}})
        refused = Rejection(web.workspace, web.number, NOVEMBER.first_day, "invalid_id", 1)
        installation.use(web, NOVEMBER, {}, rejections=(refused,))
        yield installation


@pytest.fixture(scope="module")
def document(place: Installation) -> dict[str, Any]:
    with place.client() as client:
        answer = client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_every_route_is_described(place: Installation, document: dict[str, Any]) -> None:
    routes = {
        (re.sub(r"\{(\w+):str\}", r"{\1}", path).replace("_id}", "Id}"), method)
        for path, method in (
            (route.path, method)
            for route in place.app._app.routes
            for handler in route.route_handlers
            if CONTRACT_KEY in handler.opt
            for method in handler.http_methods
        )
    }
    described = {
        (path, method.upper()) for path, item in document["paths"].items() for method in item
    }
    assert described == routes
    names = [each["operationId"] for item in document["paths"].values() for each in item.values()]
    assert len(names) == len(set(names))


def test_what_takes_a_token_says_so(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            assert (operation["security"] == []) == (path in _UNTOKENED)
            assert ("401" in operation["responses"]) == (path not in _UNTOKENED)


@pytest.fixture(scope="module")
def address(place: Installation) -> Iterator[str]:
    with place.served() as address:
        yield address


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]


@pytest.mark.parametrize("access", ["read", "admin"])
def test_whatever_is_asked_is_answered_as_described(
    place: Installation, address: str, access: str
) -> None:
    secret = place.admin_secret if access == "admin" else place.read_secret
    described = schemathesis.openapi.from_url(f"{address}/openapi.json")
    asked = 0
    for found in described.get_all_operations():
        operation = found.ok()
        if operation.method == "delete" and access == "admin":
            continue  # it would revoke the token in use

        @settings(max_examples=12, database=None)
        @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
               | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))  # fmt: skip
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(headers={"Authorization": f"Bearer {secret}"}, checks=CHECKS)

        ask()
        asked += 1
    assert asked >= 16


def test_every_reading_is_shaped_as_described(
    place: Installation, address: str, document: dict[str, Any]
) -> None:
    described = schemathesis.openapi.from_url(f"{address}/openapi.json")
    # The one that gives this very document is not among those that are read out of it.
    reads = sum("get" in item for item in document["paths"].values()) - 1
    read = 0
    for found in described.get_all_operations():
        operation = found.ok()
        if operation.method != "get":
            continue
        for period in ("2026-10-01", "2026-11-01"):
            taken = [
                each["name"] for each in document["paths"][operation.path]["get"]["parameters"]
            ]
            query = {name: period for name in ("period", "from") if name in taken}
            for secret in (place.read_secret, place.admin_secret):
                headers = {"Authorization": f"Bearer {secret}"}
                answer = operation.Case(query=query).call_and_validate(
                    headers=headers, checks=CHECKS
                )
                assert answer.status_code == 200
        read += 1
    assert read == reads


def test_a_page_is_two_flat_parameters(document: dict[str, Any]) -> None:
    """As generators of clients understand them: they leave out JSON, and flatten objects."""
    for path, item in document["paths"].items():
        for operation in item.values():
            for each in operation["parameters"]:
                assert "content" not in each
                assert each["schema"].get("type") != "object"
            names = {each["name"] for each in operation["parameters"]}
            paged = {"pagination[count]", "pagination[cursor]"}
            assert names & paged == (paged if path.startswith("/usage/") else set())
