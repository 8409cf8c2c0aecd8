"""A real server whose clock goes wrong, and one whose journal holds what cannot be counted.

What nothing confirms waits, moves nothing and is said; the rest is counted all the time. Once the
clock is confirmed, what has waited for a day that it has reached is counted, exactly once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from headcount.counting.calendar import parse_moment_ms
from headcount.journal import JournalDirectory
from moved_clock import MovedClock
from support.oracle import PlainFact
from support.rig import pack
from support.server_fixture import Server, Shop, eventually, serving

NOVEMBER, DECEMBER = "2026-11-01", "2026-12-01"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
A_YEAR_ON = datetime(2027, 12, 2, tzinfo=UTC)
IN_1970 = datetime(1970, 1, 1, 0, 0, 10, tzinfo=UTC)
BACK = datetime(2026, 12, 1, 0, 10, tzinfo=UTC)
YEAR_1 = {"type": "page", "userId": "u", "receivedAt": "0001-01-01T00:00:00Z"}


@pytest.fixture
def clock(tmp_path: Path) -> MovedClock:
    return MovedClock(tmp_path / "clock", NOW)


@pytest.fixture
def shop(tmp_path: Path, clock: MovedClock) -> Iterator[Shop]:
    with serving(tmp_path, "--workers", "1", **clock.environment()) as server:
        yield server.shop("Shop", "web")


@contextmanager
def served_first(folder: Path, clock: MovedClock) -> Iterator[Shop]:
    """A server that has counted five messages, for who starts others in its place."""
    with serving(folder, "--workers", "1", **clock.environment()) as server:
        shop = server.shop("Shop", "web")
        send(shop, "at first")
        await_calls(shop, NOVEMBER, 5)
        yield shop


def send(shop: Shop, name: str, messages: int = 5) -> None:
    """Post messages of their own."""
    for number in range(messages):
        body = {"userId": f"u{number}", "messageId": f"{name} {number}"}
        assert shop.server.track("/v1/page", body, shop.write_keys["web"]).status == 200


def calls(shop: Shop, period: str) -> int:
    """The API calls of a month; -1 where there is no such month."""
    answer = shop.ask(f"/headcount/v1/summary?period={period}")
    if answer.status == 404:
        return -1
    total: int = answer.data["month"]["totals"]["apiCalls"]
    return total


def await_calls(shop: Shop, period: str, number: int) -> None:
    eventually(lambda: calls(shop, period) == number, f"{number} calls in {period}")


def readiness(server: Server) -> tuple[int, str]:
    """The status of /readyz, and all that it says."""
    answer = server.ask("/readyz")
    return answer.status, answer.body.decode()


def await_readiness(server: Server, status: int, said: str) -> None:
    def holds() -> bool:
        found = readiness(server)
        return found[0] == status and said in found[1]

    eventually(holds, f"/readyz to say {status} and {said!r}")


def doctor(shop: Shop, *options: str, **environ: str) -> tuple[int, dict[str, Any]]:
    """Its status, and its findings by check."""
    ran = shop.server.program.run("doctor", "--json", *options, **environ)
    findings = json.loads(ran.stdout)["findings"]
    return ran.returncode, {each["check"]: each for each in findings}


def test_a_clock_that_steps_away_moves_nothing_and_what_it_brought_waits(
    shop: Shop, clock: MovedClock
) -> None:
    server = shop.server
    send(shop, "at first")
    await_calls(shop, NOVEMBER, 5)
    clock.set(A_YEAR_ON)
    send(shop, "a year on")
    await_readiness(server, 503, "5 messages wait")
    status, found = doctor(shop, **clock.environment())
    assert (status, found["waiting"]["level"]) == (1, "problem")
    assert found["waiting"]["details"]["firstDay"] == "2027-12-02"
    clock.set(BACK)
    await_readiness(server, 200, "5 messages wait")
    assert shop.month() == DECEMBER
    send(shop, "back")
    await_calls(shop, DECEMBER, 5)
    clock.set(IN_1970)
    send(shop, "in 1970")
    await_readiness(server, 503, "10 messages wait")
    clock.set(BACK)
    await_readiness(server, 200, "10 messages wait")
    send(shop, "back again")
    await_calls(shop, DECEMBER, 10)
    assert (calls(shop, NOVEMBER), calls(shop, "1970-01-01")) == (5, -1)
    # A mark that the wrong clock set would say that all of a year to come is counted already.
    until = shop.ask("/headcount/v1/summary").data["month"]["countedUntil"]
    assert until.startswith("2026-12-01")
    assert "headcount_messages_aside" in server.ask("/metrics").body.decode()
    # The day that the clock is confirmed to have is one that 1970 came before, and 2027 did not.
    status, found = doctor(shop, "--confirm-clock", **clock.environment())
    assert status == 1
    assert found["waiting"]["details"] == {
        "messages": 5, "firstDay": "2027-12-02", "lastDay": "2027-12-02",
    }  # fmt: skip
    assert (calls(shop, "1970-01-01"), calls(shop, DECEMBER)) == (5, 10)
    # A year later that day is there. Nobody has been here for so long: it is confirmed again.
    clock.set(A_YEAR_ON)
    send(shop, "a year later")
    await_readiness(server, 503, "10 messages wait")
    status, found = doctor(shop, "--confirm-clock", **clock.environment())
    assert found["waiting"]["level"] == "ok"
    await_calls(shop, "2027-12-01", 10)
    await_readiness(server, 200, '{"status":"ok"')
    send(shop, "and again")
    await_calls(shop, "2027-12-01", 15)
    assert [calls(shop, month) for month in (NOVEMBER, DECEMBER)] == [5, 10]


def test_a_day_far_ahead_that_was_counted_is_taken_back_once_the_clock_is_confirmed(
    shop: Shop, clock: MovedClock
) -> None:
    """The very first messages have nothing that they could be held against."""
    clock.set(datetime(2099, 1, 1, 12, tzinfo=UTC))
    send(shop, "the first")
    await_calls(shop, "2099-01-01", 5)
    clock.set(NOW)
    await_readiness(shop.server, 200, "that is taken for today")
    send(shop, "right")
    await_calls(shop, NOVEMBER, 5)
    assert shop.month() == "2099-01-01"
    status, found = doctor(shop, **clock.environment())
    assert (status, found["clock"]["level"]) == (1, "problem")
    status, found = doctor(shop, "--confirm-clock", **clock.environment())
    assert found["clock"]["level"] == "ok"
    assert shop.month() == NOVEMBER
    eventually(lambda: "troubles" not in readiness(shop.server)[1], "nothing to be said any more")


def test_what_waits_is_counted_at_the_next_start_where_no_server_runs(
    tmp_path: Path, clock: MovedClock
) -> None:
    environ = clock.environment()
    with served_first(tmp_path, clock) as shop:
        clock.set(IN_1970)
        send(shop, "in 1970")
        await_readiness(shop.server, 503, "5 messages wait")
    clock.set(NOW)
    ran = shop.server.program.run("doctor", "--confirm-clock", **environ)
    assert "counted once the server runs" in ran.stderr
    for _ in range(2):
        with serving(tmp_path, "--workers", "1", **environ) as server:
            again = replace(shop, server=server)
            await_calls(again, "1970-01-01", 5)
            assert calls(again, NOVEMBER) == 5
    assert doctor(again, **environ)[0] == 0


def test_a_record_of_the_year_1_is_rejected_by_name(shop: Shop, clock: MovedClock) -> None:
    server = shop.server
    record = {**YEAR_1, "writeKey": shop.write_keys["web"]}
    early = {**record, "receivedAt": "1999-12-31T23:59:59.999Z"}
    first = {**record, "receivedAt": "2000-01-01T00:00:00Z"}
    body = json.dumps({"batch": [record, early, first]}).encode()
    answer = server.send(
        "POST", f"{server.tracking}/v1/import", body, Authorization=f"Bearer {shop.token}"
    )
    rejected = [{"index": index, "code": "received_at_before_2000"} for index in (0, 1)]
    assert answer.json()["rejected"] == rejected
    await_calls(shop, "2000-01-01", 1)
    file = server.program.cwd / "zero-time.ndjson"
    file.write_text(json.dumps(record) + "\n")
    ran = server.program.run("import", str(file), "--workspace", shop.name, **clock.environment())
    assert "zero-time.ndjson:1: received_at_before_2000" in ran.stderr
    send(shop, "afterwards")
    await_calls(shop, NOVEMBER, 5)


def test_a_journal_that_holds_what_cannot_be_counted_is_counted_all_the_same(
    tmp_path: Path, clock: MovedClock
) -> None:
    environ = clock.environment()
    with served_first(tmp_path, clock) as shop:
        pass
    now_ms = parse_moment_ms("2026-11-29T12:00:00Z")
    moments = ("0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z", "1999-01-01T00:00:00Z")
    odd = [PlainFact(parse_moment_ms(m), 1, 1, m, "u", imported=True) for m in moments]
    honest = [PlainFact(now_ms, 1, 1, f"behind {n}", f"u{n}") for n in range(3)]
    journals = JournalDirectory(shop.server.program.data / "journals")
    with closing(journals), closing(journals.claim()) as journal:
        for fact in (*odd, *honest, PlainFact(now_ms, 1, 77, "a stranger", "u")):
            journal.append(pack(fact), [], now_ms)
        journal.append(b"".join(map(pack, [*odd, *honest])), [], now_ms)
    with serving(tmp_path, "--workers", "1", **environ) as server:
        again = replace(shop, server=server)
        await_calls(again, NOVEMBER, 8)
        send(again, "afterwards")
        await_calls(again, NOVEMBER, 13)
        await_readiness(server, 200, "set aside")
        status, found = doctor(again, **environ)
    assert status == 1
    reasons = found["set aside"]["details"]["reasons"]
    assert reasons == {"undigestible": 4, "unknown_source": 1}
    assert found["waiting"]["details"]["messages"] == 2
    assert found["lag"]["level"] == "ok"
