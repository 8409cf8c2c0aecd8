"""Query strings: every accepted spelling means the same, everything else names its field."""

import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.api.wire.problems import Problem
from headcount.api.wire.query import (
    PageRequest,
    Pairs,
    pairs_of,
    parse_page_param,
    parse_period_param,
    parse_value_param,
)


def page(query: str) -> PageRequest:
    return parse_page_param(pairs_of(query.encode()))


def refused(query: str) -> tuple[int, object]:
    with pytest.raises(Problem) as caught:
        page(query)
    return caught.value.status, caught.value.error.field


@pytest.mark.parametrize(
    "query",
    [
        'pagination={"count":10,"cursor":"CURSOR"}',
        "pagination=" + quote('{"count":10,"cursor":"CURSOR"}'),
        "pagination=" + quote(json.dumps({"cursor": "CURSOR", "count": 10}, indent=2)),
        "pagination=" + quote_plus(json.dumps({"cursor": "CURSOR", "count": 10}, indent=2)),
        "pagination[count]=10&pagination[cursor]=CURSOR",
        "pagination%5Bcount%5D=10&pagination%5Bcursor%5D=CURSOR",
        "pagination.count=10&pagination.cursor=CURSOR",
        'pagination={"count":10}&pagination.cursor=CURSOR',
        'pagination={"count":10}&pagination.count=10&pagination[count]=10&pagination.cursor=CURSOR',
    ],
)
def test_all_spellings_mean_the_same(query: str) -> None:
    assert page(query) == PageRequest(10, "CURSOR")


def test_what_is_not_said_has_defaults() -> None:
    for query in ("", "pagination={}", 'pagination={"count":null,"cursor":null}', "other=1"):
        assert page(query) == PageRequest(200, None)


@pytest.mark.parametrize("value", ["1", "1000"])
def test_bounds_of_count_are_included(value: str) -> None:
    assert page(f"pagination.count={value}").count == int(value)


@pytest.mark.parametrize(
    "value",
    ["0", "1001", "-1", "10.5", "10.0", "1e1", "true", '"abc"', '"10"', "[]", "{}", "9" * 5000,
     "1e400", "9" * 30],
)  # fmt: skip
def test_a_wrong_count_in_json_names_the_field(value: str) -> None:
    status, field = refused(f'pagination={{"count":{value}}}')
    assert status == 422
    # What no JSON reader takes as a number is wrong as a whole.
    assert field in ("pagination.count", "pagination")


@pytest.mark.parametrize(
    "value",
    ["0", "1001", "-1", "10.5", "abc", "true", "", " 10", "+10", "1_0", "%D9%A3", "9" * 5000],
)
@pytest.mark.parametrize("name", ["pagination[count]", "pagination.count"])
def test_a_wrong_count_in_text_names_the_field(name: str, value: str) -> None:
    assert refused(f"{name}={value}") == (422, "pagination.count")


@pytest.mark.parametrize(
    "query",
    ["pagination=", "pagination=10", "pagination=[1]", "pagination=null", 'pagination="x"',
     "pagination={", "pagination=" + "[" * 3000, "pagination=%FF", "pagination=NaN"],
)  # fmt: skip
def test_a_page_that_is_no_object_is_refused(query: str) -> None:
    assert refused(query) == (422, "pagination")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ('pagination={"count":10}&pagination.count=11', "pagination.count"),
        ("pagination.count=10&pagination.count=11", "pagination.count"),
        ("pagination[count]=10&pagination.count=11", "pagination.count"),
        ('pagination={"cursor":"a"}&pagination[cursor]=b', "pagination.cursor"),
        ('pagination={"cursor":7}', "pagination.cursor"),
        ('pagination={"limit":10}', "pagination.limit"),
        ("pagination[limit]=10", "pagination.limit"),
        ("pagination.limit=10", "pagination.limit"),
    ],
)
def test_contradictions_and_unknown_members_are_refused(query: str, field: str) -> None:
    assert refused(query) == (422, field)


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("2026-11-01", "2026-11-01"),
        ("2026-11-30", "2026-11-01"),
        ("2024-02-29", "2024-02-01"),
        ("2026-11-23T10:00:00Z", "2026-11-01"),
        ("2026-11-23T10:00:00.123456789z", "2026-11-01"),
        ("2026-12-01T00:30:00%2B01:00", "2026-11-01"),
        ("2026-10-31T23:30:00-01:00", "2026-11-01"),
    ],
)
def test_any_date_names_its_month_in_utc(text: str, month: str) -> None:
    assert str(parse_period_param(pairs_of(f"period={text}".encode()))) == month


@pytest.mark.parametrize(
    "query",
    ["", "period=", "period=2026-11", "period=2026-13-01", "period=2026-02-30", "period=20261101",
     "period=2026-11-01T00:00:00", "period=2026-11-01T00:00:00+01:00", "period=november",
     "period=%00", "period=2026-11-01%0A", "period=0000-01-01", "period=1793491200",
     "period=%D9%A2%D9%A0%D9%A2%D9%A6-11-01", "period=2026-11-01&period=2026-10-01"],
)  # fmt: skip
def test_a_malformed_period_names_the_field(query: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_period_param(pairs_of(query.encode()))
    assert (caught.value.status, caught.value.error.field) == (422, "period")


def test_an_equal_repetition_is_no_contradiction() -> None:
    assert parse_value_param(pairs_of(b"a=1&a=1"), "a") == "1"


def status_of(read: Callable[[Pairs], object], query: bytes) -> int:
    try:
        read(pairs_of(query))
    except Problem as problem:
        return problem.status
    return 200


@given(
    st.binary(max_size=200)
    | st.text(max_size=60).map(lambda text: b"pagination=" + text.encode("utf-8", "replace"))
)
def test_no_query_string_is_an_error_of_ours(query: bytes) -> None:
    assert {status_of(parse_page_param, query), status_of(parse_period_param, query)} <= {200, 422}
