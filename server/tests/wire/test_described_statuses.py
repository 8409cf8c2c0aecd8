"""Every operation of the API is brought to every status that it gives: each one is described.

And each one that is described is given: a program that was made from the description meets nothing
else, and has nothing to expect in vain.
"""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import httpx
import jsonschema_rs
import pytest

from headcount.alerting.channels import WebhookConfig, fresh_secret, sealed
from headcount.alerting.tell_channels import try_out
from headcount.api import ApiSettings
from headcount.catalog import Channel, Source
from headcount.catalog.delivery_log import TESTS_WAITING_MAX
from headcount.catalog.entities import fresh_id
from headcount.counting.cost import Price
from headcount.errors import StorageUnavailableError
from headcount.http.entrance import Entrance, Owner
from headcount.wiring.callers import turning_away
from headcount.wiring.whole_bodies import WholeBodies
from support.installation import NOVEMBER, Installation
from support.served_app import served

_WITHIN_S = 0.2
_BODY_BYTES = 80 * 1024
_OVER_THE_HEAD = "x" * (65 * 1024)


class Asked(NamedTuple):
    """An operation, and what is sent to get it done."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    described: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.described["operationId"])


class Place:
    """A served installation, its description, and whatever it answered so far by operation."""

    def __init__(self, home: str, installation: Installation, document: dict[str, Any]) -> None:
        self.home = home
        self.installation = installation
        self.document = document
        self.given: defaultdict[str, set[int]] = defaultdict(set)
        self._client = httpx.Client(base_url=home, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def operations(self) -> Iterator[Asked]:
        """All of them, in an order in which each finds what it needs."""
        for path, item in self.document["paths"].items():
            for method, described in item.items():
                named = {each["name"] for each in described["parameters"]}
                query = {"period": "2026-11-01", "from": "2026-11-01"}
                content = described.get("requestBody", {}).get("content", {})
                body = next((each["example"] for each in content.values()), None)
                if described["operationId"] == "setForwarding":
                    # Of a vendor no name may be known here.
                    body = body | {"to": "https://1.1.1.1"}
                if described["operationId"] == "addChannel":
                    body = body | {"webhook": "https://1.1.1.1/hook"}
                wanted = {name: query[name] for name in query if name in named}
                yield Asked(method.upper(), path, wanted, body, described)

    def path(self, asked: Asked) -> str:
        """The address of an operation on what there is."""
        token, _ = self.installation.token("read")
        source = self.installation.source(f"source of {token.id}")
        self.installation.catalog.set_plan_limits(
            self.installation.workspace.number, {"mtu": 5}, from_day=NOVEMBER.first_day, now_ms=1
        )
        self.installation.catalog.set_plan_price(
            self.installation.workspace.number, "mtu", Price(Decimal(5), 1, "USD"),
            from_day=NOVEMBER.first_day, now_ms=1,
        )  # fmt: skip
        if asked.path.endswith("/forwarding"):
            self.forward(source)
        link, _ = self.installation.catalog.add_link(self.installation.workspace.number, 1)
        known = {
            "sourceId": source.id, "tokenId": token.id, "linkId": link.id,
            "metric": "mtu", "day": "2026-11-01",
        }  # fmt: skip
        if "channel" in asked.path or "alert" in asked.path:
            known |= self.alerts()
        return asked.path.format_map(known)

    def alerts(self) -> dict[str, str]:
        """A rule, a webhook that leads nowhere, and something that it is to be told."""
        catalog, number = self.installation.catalog, self.installation.workspace.number
        for each in (*catalog.alert_rules(number), *catalog.channels(number)):
            if isinstance(each, Channel):
                catalog.change_channel(each.number, 1, removed_at_ms=1)
            else:
                catalog.remove_alert_rule(each.number, 1)
        rule = catalog.add_alert_rule(
            number, source=None, name="MTU", kind="count", metric="mtu", thresholds=["5"],
            quiet_hours=24, channels=[], now_ms=1,
        )  # fmt: skip
        channel_id = fresh_id()
        channel = catalog.add_channel(
            number, channel_id=channel_id, name=channel_id, kind="webhook", shown="https://…",
            sealed=sealed(b"", channel_id, WebhookConfig("https://192.0.2.1", fresh_secret())),
            digest="none", now_ms=1,
        )  # fmt: skip
        told = catalog.add_delivery(try_out(("w", "Shop"), channel, "", 1), 1)
        return {"alertId": rule.id, "channelId": channel_id, "deliveryId": str(told.id)}

    def forward(self, source: Source) -> None:
        """Let a source forward to nowhere."""
        self.installation.catalog.set_forwarding(
            source.number, "https://192.0.2.1", "key", "stop", 1, by_token=False
        )

    def ask(
        self, asked: Asked, secret: str | None = None, *, path: str = "", **changed: Any
    ) -> httpx.Response:
        """One request; the answer is compared with the description, and remembered."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        options: dict[str, Any] = {"params": asked.query, "json": asked.body} | changed
        if options.get("content") is not None or options["json"] is None:
            del options["json"]
        options["headers"] = headers | options.pop("headers", {})
        answer = self._client.request(asked.method, path or self.path(asked), **options)
        self.note(asked, answer)
        return answer

    def note(self, asked: Asked, answer: httpx.Response) -> None:
        """See that status, headers, media type and body are as described, and remember it."""
        self.given[asked.name].add(answer.status_code)
        responses = asked.described["responses"]
        status = str(answer.status_code)
        assert status in responses, f"{asked.name} gave {status}, which is not described"
        response = responses[status]
        if "$ref" in response:
            response = self.document["components"]["responses"][response["$ref"].split("/")[-1]]
        for name in (
            "Retry-After",
            "ETag",
            "WWW-Authenticate",
            "X-RateLimit-Reset",
            "X-Request-Id",
        ):
            if name in answer.headers:
                assert name in response.get("headers", {}), f"{asked.name} {status}: {name}"
        content = response.get("content", {})
        if not content:
            assert answer.content == b""
            return
        kind = answer.headers["content-type"].partition("; charset=utf-8")[0]
        assert kind in content, f"{asked.name} {status}: {kind}"
        if kind == "application/json":
            schema = content[kind]["schema"] | {"components": self.document["components"]}
            jsonschema_rs.validator_for(schema).validate(answer.json())


@contextmanager
def placed(folder: Path, budget: int = 100_000) -> Iterator[Place]:
    """An installation with usage in two months, behind all that answers at the API address."""
    folder.mkdir()
    with ExitStack() as stack:
        settings = ApiSettings(requests_per_minute=budget)
        installation = stack.enter_context(Installation(folder, settings))
        web = installation.source("web")
        for period in (NOVEMBER.shifted(-1), NOVEMBER):
            installation.use(web, period, {1: {"api_calls": 3, "admitted": 4, "identified": 2}})
        app = WholeBodies(installation.app, within_s=_WITHIN_S)
        _, port = stack.enter_context(served(app, address="api"))
        home = f"http://127.0.0.1:{port}"
        document = httpx.get(f"{home}/openapi.json").json()
        yield stack.enter_context(Place(home, installation, document))


@contextmanager
def closed(folder: Path, document: dict[str, Any]) -> Iterator[Place]:
    """Where every request finds too many others waiting."""
    folder.mkdir()
    turned_away = turning_away(lambda _: 0.0)
    entrance = Entrance(lambda _: Owner("all", 0), turned_away, in_round=0)
    with (
        pytest.MonkeyPatch.context() as patched,
        Installation(folder) as installation,
        served(WholeBodies(installation.app), address="api", entrance=entrance) as (_, port),
    ):
        # Health has room of its own in each round of the loop, which is hard to use up for sure.
        patched.setattr("headcount.http.entrance._HEALTH_IN_ROUND", 0)
        with Place(f"http://127.0.0.1:{port}", installation, document) as place:
            yield place


Drive = Callable[[Place, Asked, pytest.MonkeyPatch], None]


def succeeds(place: Place, asked: Asked, _: pytest.MonkeyPatch) -> None:
    answer = place.ask(asked, place.installation.admin_secret)
    assert answer.is_success, answer.text
    if "304" in asked.described["responses"]:
        past = {"params": {"period": "2026-10-01"}}
        tag = place.ask(asked, place.installation.admin_secret, **past).headers["etag"]
        again = {"If-None-Match": tag}
        place.ask(asked, place.installation.admin_secret, headers=again, **past)


def is_refused_by_its_head(place: Place, asked: Asked, _: pytest.MonkeyPatch) -> None:
    assert place.ask(asked, headers={"X-Long": _OVER_THE_HEAD}).status_code == 400


def is_refused_without_a_token(place: Place, asked: Asked, _: pytest.MonkeyPatch) -> None:
    assert place.ask(asked).status_code == (401 if asked.described["security"] else 200)


def is_refused_to_readers(place: Place, asked: Asked, _: pytest.MonkeyPatch) -> None:
    needs_admin = "403" in asked.described["responses"]
    answer = place.ask(asked, place.installation.read_secret)
    assert (answer.status_code == 403) == needs_admin


def is_refused_in_another_media_type(place: Place, asked: Asked, _: pytest.MonkeyPatch) -> None:
    answer = place.ask(
        asked, place.installation.admin_secret, headers={"Accept": "application/xml"}
    )
    assert answer.is_success != bool(asked.described["security"])


def is_not_there(place: Place, asked: Asked, _: pytest.MonkeyPatch) -> None:
    nobody = defaultdict(lambda: "nobody")
    missing = asked.path.format_map(nobody)
    for query in (asked.query, *({name: "2030-01-01"} for name in ("period", "from"))):
        place.ask(asked, place.installation.admin_secret, path=missing, params=query)
        place.ask(asked, place.installation.admin_secret, params=query)
    secret, nobody_s = place.installation.admin_secret, {"sourceId": "nobody"}
    place.ask(asked, secret, params={**asked.query, **nobody_s})
    if asked.body is not None and "view" in asked.body:
        place.ask(asked, secret, json={**asked.body, "view": "source", **nobody_s})
    if asked.body is not None and "thresholds" in asked.body:
        place.ask(asked, secret, json={**asked.body, **nobody_s})


def is_malformed(place: Place, asked: Asked, _: pytest.MonkeyPatch) -> None:
    """Whatever of it there is: the body, and each parameter."""
    secret = place.installation.admin_secret
    for each in asked.described["parameters"]:
        if each["in"] == "query":
            place.ask(asked, secret, params={**asked.query, each["name"]: "\x00"})
            place.ask(asked, secret, params={**asked.query, each["name"]: ["a", "b"]})
    place.ask(asked, secret, params={})
    if asked.body is not None:
        assert place.ask(asked, secret, content=b"[").status_code == 422
        place.ask(asked, secret, content=b"{}")
        for bytes_max in (_BODY_BYTES, 2 * _BODY_BYTES):
            # Below and above what is taken in at all.
            assert place.ask(asked, secret, content=b"x" * bytes_max).status_code == 413


def is_still_at_work(place: Place, asked: Asked, _: pytest.MonkeyPatch) -> None:
    """A source that forwards cannot be deleted; a channel for which tests wait takes no more."""
    if asked.name in ("testAlert", "testChannel"):
        path, secret = place.path(asked), place.installation.admin_secret
        answers = [place.ask(asked, secret, path=path) for _ in range(TESTS_WAITING_MAX)]
        assert [each.status_code for each in answers][-2:] == [200, 422]
    if asked.name == "deleteSource":
        path = place.path(asked)
        found = place.installation.catalog.source(
            place.installation.workspace.number, path.rpartition("/")[2]
        )
        assert found is not None
        place.forward(found)
        answer = place.ask(asked, place.installation.admin_secret, path=path)
        assert answer.status_code == 422


def comes_too_slowly(place: Place, asked: Asked, _: pytest.MonkeyPatch) -> None:
    """A body of which the rest does not come."""
    if asked.body is None:
        return
    where = urlsplit(place.home)
    with socket.create_connection((where.hostname, where.port), timeout=30) as connection:
        head = (
            f"{asked.method} {place.path(asked)} HTTP/1.1\r\nHost: {where.netloc}\r\n"
            f"Authorization: Bearer {place.installation.admin_secret}\r\nContent-Length: 9\r\n\r\n"
        )
        connection.sendall(head.encode() + b'{"a')
        with HTTPResponse(connection) as read:
            read.begin()
            answer = httpx.Response(read.status, headers=read.getheaders(), content=read.read())
    assert answer.status_code == 408
    place.note(asked, answer)


def fails(place: Place, asked: Asked, patched: pytest.MonkeyPatch) -> None:
    """A defect, and a disk, in whatever an operation asks first."""

    def broken(*_: object) -> Any:
        raise RuntimeError

    def unreadable(*_: object) -> Any:
        raise StorageUnavailableError("a disk")

    path = place.path(asked)
    services: Any = place.installation.app._services
    for failure in (broken, unreadable):
        with patched.context() as within:
            within.setattr(place.installation.catalog, "token_by_secret", failure)
            for found in (services.troubles, services.server_metrics):
                within.setattr(found, "_find", failure)
            place.ask(asked, place.installation.admin_secret, path=path)


DRIVES: list[Drive] = [
    succeeds,
    is_refused_by_its_head,
    is_refused_without_a_token,
    is_refused_to_readers,
    is_refused_in_another_media_type,
    is_not_there,
    is_malformed,
    is_still_at_work,
    comes_too_slowly,
    fails,
]


def test_every_status_that_is_given_is_described_and_every_other_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: defaultdict[str, set[int]] = defaultdict(set)

    def add(place: Place) -> None:
        for name, statuses in place.given.items():
            given[name] |= statuses

    with placed(tmp_path / "open") as place:
        for asked in place.operations():
            for drive in DRIVES:
                drive(place, asked, monkeypatch)
        add(place)
        document = place.document
    with placed(tmp_path / "spent", budget=0) as place:
        for asked in place.operations():
            answer = place.ask(asked, place.installation.admin_secret)
            assert answer.status_code == (429 if asked.described["security"] else 200)
        add(place)
    with closed(tmp_path / "closed", document) as place:
        for asked in place.operations():
            answer = place.ask(asked, place.installation.admin_secret)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
        add(place)
    described = {
        asked.name: {int(status) for status in asked.described["responses"]}
        for asked in place.operations()
    }
    assert given == described
