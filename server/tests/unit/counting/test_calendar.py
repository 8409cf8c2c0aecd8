"""Days, periods and moments: round trips over the whole calendar, and what the grammar refuses."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.calendar import (
    MS_PER_DAY,
    Period,
    day_of_ms,
    day_text,
    moment_text,
    parse_moment_ms,
    parse_period,
    second_text,
)

EPOCH = date(1970, 1, 1)
DAYS = st.dates().map(lambda day: (day - EPOCH).days)
MONTHS = st.builds(Period, st.integers(12, 12 * 9999 + 11))


@given(DAYS)
def test_every_day_is_in_its_period_and_nowhere_else(day: int) -> None:
    period = Period.of_day(day)
    assert period.first_day <= day <= period.last_day
    assert period.last_day - period.first_day + 1 == period.length
    assert 28 <= period.length <= 31
    assert (EPOCH + timedelta(days=day)).isoformat() == day_text(day)


@given(MONTHS)
def test_a_period_is_named_by_its_first_day(period: Period) -> None:
    assert str(period) == day_text(period.first_day)
    assert parse_period(str(period)) == period
    assert parse_period(day_text(period.last_day)) == period
    assert Period.of_day(period.first_day) == Period.of_day(period.last_day) == period


@given(st.builds(Period, st.integers(12 * 1000, 12 * 3000)), st.integers(-600, 600))
def test_neighbours_follow_each_other_without_a_gap(period: Period, months: int) -> None:
    assert period.shifted(1).first_day == period.last_day + 1
    assert period.shifted(months).shifted(-months) == period
    assert (period.shifted(months) < period) == (months < 0)


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),  # noqa: DTZ001
    st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)),
    st.integers(0, 9),
    st.sampled_from("Tt "),
)
def test_a_moment_is_its_place_on_the_time_line_whatever_its_zone(
    local: datetime, offset: timedelta, digits: int, separator: str
) -> None:
    offset = timedelta(minutes=offset // timedelta(minutes=1))
    sign = "-" if offset < timedelta(0) else "+"
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    fraction = f"{local.microsecond:06d}000"[:digits]
    text = (
        f"{local:%Y}".zfill(4) + f"{local:-%m-%d}{separator}{local:%H:%M:%S}"
        f"{'.' if fraction else ''}{fraction}{sign}{hours:02d}:{minutes:02d}"
    )
    shown = local.replace(microsecond=int(fraction[:6].ljust(6, "0") or 0))
    since = shown.replace(tzinfo=timezone(offset)) - datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_moment_ms(text) == since // timedelta(milliseconds=1)
    assert day_of_ms(parse_moment_ms(text)) == since // timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "moment_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01 00:00:00+00:00", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1970-01-01T00:00:00.0019999Z", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T16:00:00-08:00", 0),
        # A leap second belongs to the day that it ends.
        ("2016-12-31T23:59:60Z", 1_483_228_799_999),
        ("2017-01-01T08:59:60+09:00", 1_483_228_799_999),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("0001-01-01T00:00:00Z", (date.min - EPOCH).days * MS_PER_DAY),
        ("9999-12-31T23:59:59.999Z", ((date.max - EPOCH).days + 1) * MS_PER_DAY - 1),
    ],
)
def test_moments_by_hand(text: str, moment_ms: int) -> None:
    assert parse_moment_ms(text) == moment_ms


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("2026-11-01", "2026-11-01"),
        ("2026-11-23", "2026-11-01"),
        ("2026-11-23T10:00:00Z", "2026-11-01"),
        # A date-time is converted to UTC first, which may lead into a neighbour.
        ("2026-12-01T00:30:00+01:00", "2026-11-01"),
        ("2026-11-30T23:30:00-01:00", "2026-12-01"),
    ],
)
def test_any_date_or_moment_names_the_month_that_holds_it(text: str, period: str) -> None:
    assert str(parse_period(text)) == period


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-11",
        "2026-1-1",
        "20261101",
        "2026-W45-1",
        "2026-11-31",
        "2026-02-29",
        "2026-00-01",
        "2026-13-01",
        "0000-01-01",
        "26-11-01",
        " 2026-11-01",
        "2026-11-01 ",
        "2026-11-01\n",
        "2026-11-01T10:00:00",
        "2026-11-01T10:00Z",
        "2026-11-01T10:00:00+0100",
        "2026-11-01T10:00:00+01",
        "2026-11-01T10:00:00.Z",
        "2026-11-01T10:00:00,5Z",
        "2026-11-01T24:00:00Z",
        "2026-11-01T10:60:00Z",
        "2026-11-01T10:00:61Z",
        "2026-11-01T10:00:00+24:00",
        "2026-11-01T10:00:00+01:60",
        "2026-11-01T10:00:00Z\n",
        "2026-11-01_10:00:00Z",
        "+2026-11-01",
        "-026-11-01",
        "\u0662\u0660\u0662\u0666-11-01",  # digits, but no ASCII ones
        "1793491200",
        "now",
        # Moments that their zones carry past either end of the calendar.
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    ],
)
def test_nothing_else_is_a_period_or_a_moment(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_period(text)
    with pytest.raises(ValueError):  # noqa: PT011
        parse_moment_ms(text)


@given(st.integers(0, parse_moment_ms("9999-12-31T23:59:59.999Z")))
def test_a_moment_in_text_is_that_moment(moment_ms: int) -> None:
    assert parse_moment_ms(moment_text(moment_ms)) == moment_ms
    assert parse_moment_ms(second_text(moment_ms)) == moment_ms // 1000 * 1000


@given(st.text(max_size=40))
def test_whatever_the_text_the_answer_is_a_period_or_a_value_error(text: str) -> None:
    try:
        period = parse_period(text)
    except ValueError:
        return
    assert parse_period(str(period)) == period
