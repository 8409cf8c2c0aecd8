"""Refusals in the log: each with its id, as long as they are few."""

from __future__ import annotations

import pytest

from headcount import tracing
from headcount.http.refused import Refusals


def test_each_is_named_with_what_is_known_of_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    asked = {"method": "POST", "path": "/secret", "headers": [(b"x-request-id", b"asked-1")]}
    tracing.tell_outcome(asked, "/v1/batch", "invalid_id")
    Refusals().say(asked, 400)
    Refusals().say({"method": "GET", "headers": []}, 503)
    told, other = caplog.records
    assert told.getMessage() == "answered 400 invalid_id to POST /v1/batch"
    assert (told.levelname, told.request_id) == ("INFO", "asked-1")  # type: ignore[attr-defined]
    assert (other.levelname, other.getMessage()) == ("WARNING", "answered 503 to GET")


def test_a_flood_fills_no_log_and_is_told_by_its_number(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    now_s = 0.0
    refusals = Refusals(lambda: now_s)
    for second in range(1, 101):
        for _ in range(1000):
            refusals.say({"headers": []}, 401)
        now_s = float(second)
        refusals.tell_rest()
    # A hundred at once, and two a second after that.
    assert 250 < len(caplog.records) <= 302
    counted = [record.getMessage() for record in caplog.records]
    named = sum(message == "answered 401" for message in counted)
    rest = sum(int(message.split()[1].replace(",", "")) for message in counted if "more" in message)
    assert named + rest == 100_000
    refusals.tell_rest()
    assert len(caplog.records) == len(counted), "nothing is said of none"
