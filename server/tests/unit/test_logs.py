"""Records as lines: of text with time and level on each, of JSON one a record."""

from __future__ import annotations

import json
import logging
import re
import sys

import pytest

from headcount import tracing
from headcount.logs import FORMATS, JsonFormatter, TextFormatter

HEAD = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z meter (INFO|WARNING|ERROR|CRITICAL)"


def record(
    message: str, *arguments: object, failed: bool = False, **extra: str
) -> logging.LogRecord:
    error = None
    if failed:
        try:
            raise ValueError("first\nsecond \x1b[31m")
        except ValueError:
            error = sys.exc_info()
    made = logging.LogRecord("headcount.x", logging.ERROR, __file__, 1, message, arguments, error)
    made.__dict__.update(extra)
    return made


HOSTILE = "a\r\n2026-01-01T00:00:00.000Z meter ERROR forged\x1b[2J\u2028\u202e\x7f\x9b1m"


def test_a_line_of_text_has_its_time_process_and_level() -> None:
    line = TextFormatter("meter").format(record("%d of them", 3))
    assert re.fullmatch(HEAD + " 3 of them", line)


@pytest.mark.parametrize("log_format", FORMATS)
def test_nothing_from_outside_begins_a_line_or_moves_a_terminal(log_format: str) -> None:
    formatter = {"text": TextFormatter, "json": JsonFormatter}[log_format]("meter")
    text = formatter.format(record("it said %s", HOSTILE))
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    if log_format == "json":
        assert json.loads(text)["message"] == f"it said {HOSTILE}"


def test_each_line_of_a_trace_has_time_and_level_in_text() -> None:
    lines = TextFormatter("meter").format(record("it failed", failed=True)).split("\n")
    assert len(lines) > 4
    for line in lines:
        assert re.match(HEAD + " ", line), line
        assert line.isprintable()
    assert "ValueError: first" in lines[-2]


def test_a_trace_is_of_its_record_in_json() -> None:
    line = JsonFormatter("meter").format(record("it failed", failed=True))
    fields = json.loads(line)
    assert set(fields) == {"time", "level", "process", "pid", "logger", "message", "exception"}
    assert (fields["level"], fields["process"], fields["logger"]) == (
        "error",
        "meter",
        "headcount.x",
    )
    assert "Traceback" in fields["exception"]
    assert fields["exception"].endswith("second \x1b[31m")


def test_a_trace_without_the_words_of_its_exception_is_told_as_well() -> None:
    told = record("KeyError", trace="  File x, line 1\n    y()\n")
    assert TextFormatter("meter").format(told).count("\n") == 2
    assert "y()" in json.loads(JsonFormatter("meter").format(told))["exception"]


async def test_what_is_logged_for_a_request_names_it() -> None:
    tracing.begin({"headers": [(b"x-request-id", b"asked-1")]})
    assert re.fullmatch(
        HEAD + r" \[asked-1\] it failed", TextFormatter("meter").format(record("it failed"))
    )
    assert json.loads(JsonFormatter("meter").format(record("it failed")))["requestId"] == "asked-1"
