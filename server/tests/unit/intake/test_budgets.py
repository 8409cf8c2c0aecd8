"""Budgets: what one source may send in a minute, and whom the meter has no memory for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from headcount.allowances import Allowances
from headcount.intake import Budgets, RequestTally, create_app
from headcount.intake.reasons import Reason, Refused
from support.intake import APP, HASHER, NOW_MS, WEB, Keys, ListSink, Past, unpack


@pytest.fixture
def allowances() -> Iterator[Allowances]:
    with closing(Allowances(None, worker=True)) as table:
        yield table


def facts(*sources: int) -> bytes:
    return b"".join(bytes(12) + source.to_bytes(4, "little") + bytes(40) for source in sources)


def refusal_of(budgets: Budgets, source: int) -> Reason | None:
    try:
        budgets.check(source)
    except Refused as refused:
        return refused.reason
    return None


def test_without_budgets_any_number_is_taken(allowances: Allowances) -> None:
    budgets = Budgets(allowances, lambda: NOW_MS)
    for _ in range(100):
        budgets.spend(WEB, facts(*[WEB.source] * 1_000))
    assert refusal_of(budgets, WEB.source) is None


def test_messages_of_a_minute_are_kept_to_their_number(allowances: Allowances) -> None:
    now_ms = NOW_MS
    budgets = Budgets(allowances, lambda: now_ms, messages_a_minute_max=100)
    taken = refused = 0
    for _ in range(50):
        try:
            budgets.spend(WEB, facts(*[WEB.source] * 7))
            taken += 7
        except Refused:
            refused += 7
    assert (taken, refused) == (98, 252)
    with pytest.raises(Refused, match="source_over_budget"):
        budgets.spend(WEB, facts(WEB.source, WEB.source, WEB.source))
    budgets.spend(APP, facts(*[APP.source] * 100))
    assert refusal_of(budgets, APP.source) is Reason.SOURCE_OVER_BUDGET
    now_ms += 60_000
    assert refusal_of(budgets, APP.source) is None
    # What could never pass otherwise passes alone.
    budgets.spend(APP, facts(*[APP.source] * 500))
    assert refusal_of(budgets, APP.source) is Reason.SOURCE_OVER_BUDGET


def test_a_batch_of_several_sources_is_taken_whole_or_not_at_all(allowances: Allowances) -> None:
    budgets = Budgets(allowances, lambda: NOW_MS, messages_a_minute_max=3)
    budgets.spend(None, facts(2, 3, 3))
    with pytest.raises(Refused):
        budgets.spend(None, facts(2, 3, 3))
    assert [allowances.messages(source, NOW_MS) for source in (2, 3)] == [1, 2]


def test_new_ids_of_a_minute_are_what_the_meter_says(allowances: Allowances) -> None:
    budgets = Budgets(allowances, lambda: NOW_MS, new_ids_a_minute_max=10)
    allowances.add_new_ids(WEB.source, 9, NOW_MS)
    assert refusal_of(budgets, WEB.source) is None
    allowances.add_new_ids(WEB.source, 1, NOW_MS)
    assert refusal_of(budgets, WEB.source) is Reason.SOURCE_OVER_BUDGET
    assert refusal_of(budgets, APP.source) is None


def test_whom_there_is_no_memory_for_is_refused(allowances: Allowances) -> None:
    budgets = Budgets(allowances, lambda: NOW_MS)
    allowances.refuse(WEB.source)
    assert refusal_of(budgets, WEB.source) is Reason.MEMORY_SHORT
    assert refusal_of(budgets, APP.source) is None
    budgets.check_import()
    allowances.refuse_all(refused=True)
    assert refusal_of(budgets, APP.source) is Reason.MEMORY_SHORT
    with pytest.raises(Refused):
        budgets.check_import()


async def ask(app: object, path: str, message: object) -> tuple[int, dict[bytes, bytes]]:
    sent: list[dict[str, object]] = []
    came = [{"type": "http.request", "body": json.dumps(message).encode(), "more_body": False}]

    async def receive() -> dict[str, object]:
        return came.pop()

    async def send(event: dict[str, object]) -> None:
        sent.append(event)

    scope = {"type": "http", "path": path, "method": "POST", "headers": [], "query_string": b""}
    await app(scope, receive, send)  # type: ignore[operator]
    return sent[0]["status"], dict(sent[0]["headers"])  # type: ignore[return-value, call-overload]


PAGE = {"type": "page", "userId": "u"}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1/page", {**PAGE, "writeKey": "web-key"}),
        ("/v1/page", {**PAGE, "x": "y" * 9_000, "writeKey": "web-key", "z": "y" * 9_000}),
        ("/v1/batch", {"writeKey": "web-key", "batch": [PAGE]}),
        (
            "/v1/batch",
            {"batch": [{**PAGE, "writeKey": "app-key"}, {**PAGE, "writeKey": "web-key"}]},
        ),
    ],
)
async def test_nothing_of_a_source_that_is_refused_is_kept_or_tallied(
    allowances: Allowances, path: str, message: object
) -> None:
    sink, answered = ListSink(), RequestTally()
    budgets = Budgets(allowances, lambda: NOW_MS)
    app = create_app(
        Keys(), Past(), sink, HASHER, lambda: NOW_MS, budgets=budgets, answered=answered
    )
    allowances.refuse(WEB.source)
    (status, headers), *_ = await asyncio.gather(
        ask(app, path, message), ask(app, "/v1/page", {**PAGE, "writeKey": "app-key"})
    )
    assert status == 429
    assert int(headers[b"retry-after"]) >= 30
    assert [fact.source for fact in unpack(sink.facts)] == [APP.source]
    assert sink.rejections == []
    assert answered.take() == {(429, "memory_short"): 1, (200, ""): 1}
    assert answered.take() == {}
    allowances.begin()
    assert (await ask(app, path, message))[0] == 200


async def test_clients_that_are_refused_together_do_not_come_back_together(
    allowances: Allowances,
) -> None:
    app = create_app(
        Keys(), Past(), ListSink(), HASHER, lambda: NOW_MS,
        budgets=Budgets(allowances, lambda: NOW_MS),
    )  # fmt: skip
    allowances.refuse_all(refused=True)
    answers = await asyncio.gather(
        *(ask(app, "/v1/page", {**PAGE, "writeKey": "web-key"}) for _ in range(200))
    )
    told = [int(headers[b"retry-after"]) for _, headers in answers]
    assert len(set(told)) > 20
