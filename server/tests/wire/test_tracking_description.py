"""The tracking address describes itself: every path, and every status that each of them gives."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import jsonschema_rs
import pytest

from headcount.intake import Hosting, Limits, Reason, SourceRef, create_app
from headcount.intake.description import tracking_document
from headcount.intake.reasons import EXPLANATIONS
from headcount.intake.routes import ROUTES
from support.intake import HASHER, NOW_MS, Keys, ListSink, Past
from support.served_app import served

LIMITS = Limits(requests_in_flight_max=4)
KEY = ("web-key", "")
ADMIN = {"Authorization": "Bearer admin-token"}
OVER_THE_HEAD = {"X-Long": "x" * (65 * 1024)}


class BrokenKeys(Keys):
    """Fails for one key, as a defect would."""

    def lookup(self, write_key: str) -> SourceRef | None:
        if write_key == "bug-key":
            raise KeyError
        return super().lookup(write_key)


class Described:
    """A served tracking address, what describes it, and the statuses that it gave so far."""

    def __init__(self, client: httpx.Client, sink: ListSink) -> None:
        self.sink = sink
        self.document: dict[str, Any] = client.get("/openapi.json").json()
        self.given: defaultdict[str, set[int]] = defaultdict(set)
        self._client = client

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Path, method and what describes each."""
        for path, item in self.document["paths"].items():
            for method, described in item.items():
                yield path, method, described

    def ask(
        self,
        path: str,
        method: str,
        described: Mapping[str, Any],
        key: str = "web-key",
        **more: Any,
    ) -> httpx.Response:
        """One request; the answer is compared with the description, and remembered."""
        where = path.replace("{writeKey}", key).replace("{type}", "track")
        options: dict[str, Any] = {} if "headers" in more else {"auth": (key, "")}
        if "requestBody" in described and "content" not in more:
            [content] = described["requestBody"]["content"].values()
            options["json"] = content["example"]
        if any(each["name"] == "data" for each in described["parameters"]) and "params" not in more:
            data = base64.b64encode(b'{"userId":"u","event":"e"}').decode()
            options["params"] = {"data": data}
        answer = self._client.request(method, where, **options | more)
        self._compare(answer, described)
        return answer

    def _compare(self, answer: httpx.Response, described: Mapping[str, Any]) -> None:
        name = described["operationId"]
        self.given[name].add(answer.status_code)
        assert str(answer.status_code) in described["responses"], (name, answer)
        response = described["responses"][str(answer.status_code)]
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in response["content"], (name, kind)
        for header in ("Retry-After", "Access-Control-Allow-Origin", "X-Request-Id"):
            if kind != "text/plain":
                assert (header in answer.headers) == (header in response.get("headers", {}))
        if kind == "application/json":
            schema = response["content"][kind]["schema"]
            whole = schema | {"components": self.document["components"]}
            jsonschema_rs.validator_for(whole).validate(answer.json())
            if "code" in answer.json():
                assert f"`{answer.json()['code']}`" in response["description"]


@pytest.fixture
def address() -> Iterator[Described]:
    sink = ListSink()
    given = {"limits": LIMITS, "hosting": Hosting(library=b"the library")}
    app = create_app(BrokenKeys(), Past(), sink, HASHER, lambda: NOW_MS, **given)  # type: ignore[arg-type]
    with (
        served(app) as (_, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        yield Described(client, sink)


def add_what_is_given_without_a_library(address: Described) -> None:
    app = create_app(BrokenKeys(), Past(), ListSink(), HASHER, lambda: NOW_MS, LIMITS)
    with (
        served(app) as (_, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        other = Described(client, address.sink)
        for path, method, described in other.operations():
            if described["operationId"] == "library":
                assert other.ask(path, method, described).status_code == 404
        for name, statuses in other.given.items():
            address.given[name] |= statuses


def test_every_status_that_is_given_is_described_and_every_other_one_is_not(
    address: Described,
) -> None:
    for path, method, described in address.operations():
        asked = (path, method, described)
        is_import = described["operationId"] == "import"
        assert address.ask(*asked).status_code == 200
        assert address.ask(*asked, headers=OVER_THE_HEAD).status_code == 400
        address.ask(*asked, key="nobodys-key")
        address.ask(*asked, key="bug-key")
        address.ask(*asked, headers={})
        if "data" in {each["name"] for each in described["parameters"]}:
            address.ask(*asked, params={})
            address.ask(*asked, params={"data": base64.b64encode(b"[]").decode()})
        if "requestBody" in described:
            for content in (
                b"",
                b"[",
                b"[]",
                b'{"userId":1.5}',
                b'{"userId":"u"}',
                b" " * 5_000_000,
            ):
                address.ask(*asked, content=content)
            packed = {"Content-Encoding": "gzip", "Authorization": basic()}
            address.ask(*asked, content=b"no gzip", headers=packed)
            address.ask(*asked, content=gzip.compress(b"x") * 2_000, headers=packed)
            address.ask(*asked, headers=packed | {"Content-Encoding": "br"})
        if is_import:
            assert address.ask(*asked, headers=ADMIN).status_code == 200
            for token in ("read-token", "nobodys-token"):
                address.ask(*asked, headers={"Authorization": f"Bearer {token}"})
        address.sink.broken = True
        address.ask(*asked)
        address.sink.pending_bytes = LIMITS.pending_fact_bytes_max + 1
        address.ask(*asked)
        address.sink.broken, address.sink.pending_bytes = False, 0
    add_what_is_given_without_a_library(address)
    assert address.given == {
        described["operationId"]: {int(status) for status in described["responses"]}
        for _, _, described in address.operations()
    }


def basic() -> str:
    return "Basic " + base64.b64encode(b"web-key:").decode()


def test_every_path_is_described_or_named_by_the_one_that_does_the_same(
    address: Described,
) -> None:
    described = {path for path, _, _ in address.operations()}
    words = " ".join(each["description"] for _, _, each in address.operations())
    types = "|".join(["track", "identify", "page", "screen", "group", "alias"])
    missing = {
        path
        for path in ROUTES
        if not {path, re.sub(rf"(?<=/)({types})$", "{type}", path)}
        & (described | set(re.findall("`([^`]+)`", words)))
    }
    assert missing == set()


def test_every_reason_for_which_a_request_is_refused_is_described() -> None:
    """Reasons for which only a record of an import is refused stand in no status."""
    text = json.dumps(tracking_document())
    of_paths = {Reason.NOT_FOUND, Reason.METHOD_NOT_ALLOWED}
    of_records = set(list(Reason)[list(Reason).index(Reason.NOT_UTF8) :])
    missing = {reason for reason in Reason if f"`{reason.value}`" not in text}
    assert missing == of_paths | of_records
    assert all(EXPLANATIONS[reason].status == 400 for reason in of_records)
