"""Which month and day a row of an invoice is about: read where it is sure, or else refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from headcount.counting.calendar import parse_period
from headcount.errors import UsageError
from headcount.reconciling.counts import CountedMonth
from headcount.reconciling.statement import read_statement

OCTOBER = parse_period("2026-10-01")
NO_COLUMN = "no column is called day, date or month"


def read(tmp_path: Path, text: str) -> CountedMonth:
    path = tmp_path / "invoice.csv"
    path.write_text(text, "utf-8")
    return read_statement(path, OCTOBER, are_new=False)


def refused(tmp_path: Path, text: str) -> UsageError:
    with pytest.raises(UsageError) as found:
        read(tmp_path, text)
    assert found.value.remedy
    return found.value


@pytest.mark.parametrize(
    "written",
    ["2026-10", "2026/10", "10/2026", "10-2026", "Oct 2026", "Oct. 2026", "october 2026",
     "October, 2026", "2026 Oct", "2026-Oct", "2026-10-01", "2026-10-31", "1 Oct 2026"],
)  # fmt: skip
def test_a_month_is_read_as_it_may_be_written(tmp_path: Path, written: str) -> None:
    found = read(tmp_path, f'Month,MTU\nSep 2026,4\n"{written}",5\n2026-11,6\n')
    assert found.workspace["mtu"] == [None] * 30 + [5]
    assert found.notes == []


@pytest.mark.parametrize(
    "written",
    ["2026-10-03", "20261003", "3 Oct 2026", "03-Oct-2026", "Oct 3, 2026", "October 3rd, 2026"],
)
def test_a_day_is_read_as_it_may_be_written(tmp_path: Path, written: str) -> None:
    found = read(tmp_path, f'Date,Source,Events\n"{written}",May,5\n')
    assert found.sources["May"].days["api_calls"][:4] == [0, 0, 5, None]


@pytest.mark.parametrize(
    "written",
    ["Oct-26", "October", "10", "202610", "10/26", "2026-10-01 - 2026-10-31", "13/2026", "Q4 2026",
     "Oktober 2026"],
)  # fmt: skip
def test_a_month_that_may_be_another_is_no_month(tmp_path: Path, written: str) -> None:
    error = refused(tmp_path, f"Source,Month,MTU\nWeb,{written},5\n")
    assert f'line 2: "{written}" in the column Month is no date' in error.problem
    assert "2026-10" in error.remedy


@pytest.mark.parametrize(
    "written",
    ["Oct 2026", "September 2026", "10/2026", "9/2026", "2026/09", "Oct-26", "Sept. '26", "Oct",
     "3 Oct", "3/10/26", "2026-09-03T11:20:00Z", "Oktober 2026", "octobre 2026", "2026年10月",
     "Okt-26", "Q3", "Q3 2026", "FY26 Q3", "week 40", "KW 40", "09/26", "from 2026-09-15",
     "Sep 1 - Sep 30", "2026", "202609", "20260930", "1790812800", "1790812800000"],
)  # fmt: skip
def test_what_looks_like_a_time_is_never_passed_over(tmp_path: Path, written: str) -> None:
    error = refused(tmp_path, f"Abrechnung;MTU\n{written};5\n")
    assert f'line 2: {NO_COLUMN}, and "{written}" in the column Abrechnung' in error.problem
    # In a heading it says of the whole file what it is about.
    if not written.isdigit():
        error = refused(tmp_path, f"{written};MTU\nWeb;5\n")
        assert f'line 1: {NO_COLUMN}, and "{written}" looks like a time' in error.problem


def test_what_looks_like_none_is_taken_for_the_month_and_said(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "Invoice,Plan,Source,Amount,MTU\n"
        "INV-2026-0042,Business,Mayfair,2026,5\nINV-2026-0043,Team 2,May,1.50,7\n",
    )
    assert found.sources["Mayfair"].days["mtu"][-1] == 5
    assert found.sources["May"].days["mtu"][-1] == 7
    [note] = found.notes
    assert "each of its rows was taken for all of 2026-10" in note


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # The day of the invoice, in the month after that of the usage.
        ("Date,Month,MTU\n2026-10-02,2026-09,5\n", 'Month another month, "2026-09"'),
        ("Date,Service period,MTU\n2026-10-02,2026-09-01 - 2026-09-30,5\n", "Service period"),
        ("Month,Usage from,MTU\n2026-10,Sep 2026,5\n", "Usage from"),
        # A month that begins on the 15th is none of the calendar.
        ("Billing period start,MTU\n2026-10-15,5\n", "is inside of a month"),
        ("Billing period start,MTU\n2026-10-31,5\n", "is inside of a month"),
        ("Month,MTU\n2026-10-15,5\n", "is inside of a month"),
    ],
)
def test_a_row_about_two_months_is_refused(tmp_path: Path, text: str, words: str) -> None:
    assert words in refused(tmp_path, text).problem


def test_when_something_was_written_and_ends_says_no_month(tmp_path: Path) -> None:
    text = "Day,MTU,Exported,Billing period end\n2026-10-31,5,2026-11-01,2026-11-01\n"
    assert read(tmp_path, text).workspace["mtu"][-1] == 5


@pytest.mark.parametrize(
    "column",
    ["MTU %", "MTU ($)", "MTU\u8d39\u7528", "MTU 09/2026", "API calls (thousands)", "API calls €",
     "MTU 2"],
)  # fmt: skip
def test_a_column_of_another_number_is_no_count(tmp_path: Path, column: str) -> None:
    error = refused(tmp_path, f"Month,{column}\n2026-10,5\n")
    assert f'no column of counts: its first line has "Month", "{column}"' in error.problem
    assert "api_calls or mtu" in error.remedy
    found = read(tmp_path, f"Month,{column},M.T.U.\n2026-10,5,7\n")
    assert found.workspace["mtu"][-1] == 7


def test_days_of_another_time_zone_are_no_days(tmp_path: Path) -> None:
    assert NO_COLUMN in refused(tmp_path, "Date (UTC+9),MTU\n2026-10-03,5\n").problem
    assert read(tmp_path, "Date (UTC+0),MTU\n2026-10-03,5\n").workspace["mtu"][2] == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # A spreadsheet whose cells were joined has the source in its first row alone.
        ("Source,Date,Events\nWeb,2026-10-01,5\n,2026-10-02,7\n", "line 3: it has no source"),
        ("Source,Month,Events\nWeb,2026-10,5\nTotal,2026-10,5\n", 'a source called "Total"'),
        ('[{"month": "2026-10", "mtu": 5}]', "invoice.csv is JSON, and no CSV"),
        ('{"month": "2026-10", "mtu": 5}\n{"month": "2026-10", "mtu": 6}\n', "is JSON"),
        ("Acme Inc,,\nDate,Source,Events\n", 'its first line has "Acme Inc"'),
    ],
)
def test_a_file_of_another_form_is_refused_by_what_it_is(
    tmp_path: Path, text: str, words: str
) -> None:
    assert words in refused(tmp_path, text).problem


def test_rows_of_the_workspace_stand_beside_those_of_sources(tmp_path: Path) -> None:
    text = "Date,Source,Events\n2026-10-01,Web,5\n2026-10-01,,6\n2026-10-02,,9\n2026-10,App,4\n"
    found = read(tmp_path, text)
    assert found.workspace["api_calls"][:3] == [6, 9, 9]
    assert found.sources["Web"].days["api_calls"][-1] == 5
    # One that is really called so has an id beside its name.
    named = read(tmp_path, "Source ID,Source name,MTU\ns1,Total,5\n")
    assert named.sources["s1"].name == "Total"


DAYS = ("2026-10-01", "2026-10-02", "2026-10-03")


@pytest.mark.parametrize(
    ("headings", "cells"),
    [
        # A cycle of bills that began in the month before, and has the days of the rows.
        ("billing_period_start,billing_period_end", "2026-09-15,2026-10-15"),
        ("billingPeriodStart,billingPeriodEnd", "2026-09-15,2026-10-14"),
        ("Service start date,Service end date", "2024-03-01,2027-02-28"),
        # When something was written down, and what is no time of this row.
        ("Usage updated at,Period created", "2026-11-02T03:04:05Z,2026-11-02 00:10"),
        ("usageRefreshedAt,Previous month,Service since", "2026-11-01,2026-09,2025-01-01"),
        ("Plan,Currency,Region,ID,Notes,updated_at", "Team,USD,eu,2024,see 2026-09,2026-11-02"),
    ],
)
def test_days_are_read_whatever_else_a_vendor_tells_beside_them(
    tmp_path: Path, headings: str, cells: str
) -> None:
    rows = "".join(f"{day},Web,{at}00,{cells}\n" for at, day in enumerate(DAYS, 1))
    found = read(tmp_path, f"DATE,Source,API Calls,{headings}\n{rows}")
    assert found.sources["Web"].days["api_calls"][:4] == [100, 200, 300, None]


def test_numbers_of_which_one_looks_like_a_month_say_no_month(tmp_path: Path) -> None:
    found = read(tmp_path, "Date,Usage cost,MTU\n2026-10-01,4.2031,5\n2026-10-02,4.55,6\n")
    assert found.workspace["mtu"][:2] == [5, 6]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # Of these names none says when something ends.
        ("Date,Calendar month,MTU\n2026-10-02,2026-09,5\n", 'Calendar month another month, "2026'),
        ("Date,Spend period,MTU\n2026-10-02,2026-09,5\n", "Spend period another month"),
        # Invoices are written on one day each, or on several behind what they are about.
        ("Date,Period start,Period end,MTU\n2026-10-01,2026-09-01,2026-10-01,5\n", "start another"),
        (
            "Date,Period start,Period end,MTU\n2026-10-01,2026-09-01,2026-09-30,5\n"
            "2026-10-05,2026-09-01,2026-09-30,5\n",
            "start another",
        ),
        (
            "Date,Service start,Service end,MTU\n2026-10-01,2026-01-01,2026-12-31,5\n"
            "2026-11-01,2026-01-01,2026-12-31,6\n",
            "Service start another",
        ),
        # The last month that there is.
        ("Month,MTU\n9999-12-31,5\n", "no row of 2026-10"),
    ],
)
def test_another_month_is_seen_by_all_that_says_it(tmp_path: Path, text: str, words: str) -> None:
    assert words in refused(tmp_path, text).problem


@pytest.mark.parametrize(
    "made",
    ["3f2b2a3c-2019-4aaf-8a2b-1c2d3e4f5a6b", "rh5BDZp2026abXFCkibm1pR", "w1@example.com",
     "x2024abc", "v1.2.34", "Team 50", "1987"],
)  # fmt: skip
def test_what_machines_make_is_no_time(tmp_path: Path, made: str) -> None:
    found = read(tmp_path, f"Source,MTU,Of\nWeb,5,{made}\n")
    assert found.sources["Web"].days["mtu"][-1] == 5
