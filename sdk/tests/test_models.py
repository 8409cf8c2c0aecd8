"""Models: JSON in, JSON out, numbers and dates beside the API's text."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import segment_public_api as sdk

COUNTS = st.integers(0, 2**70).map(str)
MTU_ROW = {
    "sourceId": "src",
    "periodStart": 1612137600,
    "periodEnd": 1614556800,
    "anonymous": "9",
    "anonymousIdentified": "4",
    "identified": "30",
    "neverIdentified": "5",
    "timestamp": "2021-02-03T00:00:00.000Z",
}


def test_numbers_and_dates_of_tracked_users() -> None:
    row = sdk.UsersPerSourceSnapshotV1.model_validate(MTU_ROW)
    assert row.mtu == 35
    assert (row.anonymous_int, row.anonymous_identified_int) == (9, 4)
    assert (row.identified_int, row.never_identified_int) == (30, 5)
    assert row.day == datetime.date(2021, 2, 3)
    assert row.day_starts_at == datetime.datetime(2021, 2, 3, tzinfo=datetime.UTC)
    assert row.period_starts_at == datetime.datetime(2021, 2, 1, tzinfo=datetime.UTC)
    assert row.period_ends_at == datetime.datetime(2021, 3, 1, tzinfo=datetime.UTC)
    assert (row.identified, row.period_start) == ("30", 1612137600)


def test_records_for_a_data_frame() -> None:
    per_source = sdk.UsersPerSourceSnapshotV1.model_validate(MTU_ROW)
    unsourced = {name: value for name, value in MTU_ROW.items() if name != "sourceId"}
    workspace = sdk.MtuSnapshotV1.model_validate(unsourced)
    calls = sdk.SourceAPICallSnapshotV1(source_id="s", api_calls="7", timestamp="2021-02-01")
    counts = {
        "mtu": 35,
        "identified": 30,
        "never_identified": 5,
        "anonymous": 9,
        "anonymous_identified": 4,
    }
    day = datetime.date(2021, 2, 3)
    assert sdk.to_records([per_source, workspace]) == [
        {"day": day, "source_id": "src", **counts},
        {"day": day, **counts},
    ]
    assert sdk.to_records([calls]) == [
        {"day": datetime.date(2021, 2, 1), "source_id": "s", "api_calls": 7}
    ]


@pytest.mark.parametrize("field", ["identified", "timestamp", "sourceId"])
def test_text_is_text(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        sdk.UsersPerSourceSnapshotV1.model_validate({**MTU_ROW, field: 5})


@pytest.mark.parametrize("value", ["1612137600", None, True])
def test_a_period_is_a_number(value: Any) -> None:
    with pytest.raises(ValidationError, match="periodStart"):
        sdk.MtuSnapshotV1.model_validate({**MTU_ROW, "periodStart": value})


def test_a_period_may_be_a_fraction() -> None:
    row = sdk.MtuSnapshotV1.model_validate({**MTU_ROW, "periodStart": 1.5})
    assert row.period_start == 1.5
    assert type(sdk.MtuSnapshotV1.model_validate(MTU_ROW).period_start) is int


def test_both_kinds_of_names_are_taken() -> None:
    by_alias = sdk.APICallSnapshotV1.model_validate({"apiCalls": "1", "timestamp": "x"})
    by_name = sdk.APICallSnapshotV1(api_calls="1", timestamp="x")
    assert by_alias == by_name
    assert by_name.to_dict() == {"apiCalls": "1", "timestamp": "x"}
    assert "'apiCalls': '1'" in by_name.to_str()


def test_assignment_is_checked() -> None:
    page = sdk.PaginationInput(count=1)
    with pytest.raises(ValidationError):
        page.count = "ten"  # type: ignore[assignment]


def test_none_stays_out_and_null_comes_in() -> None:
    assert sdk.PaginationInput().to_dict() == {}
    assert sdk.PaginationInput(count=None).to_json() == "{}"
    assert sdk.PaginationInput.from_json("null") is None
    assert sdk.PaginationInput.from_dict(None) is None


def test_what_the_api_calls_nullable_is_there_when_it_was_read_as_none() -> None:
    page = {"current": "a"}
    whole = {"current": "a", "next": None, "previous": None}
    body = {"data": {"dailyWorkspaceAPICallsUsage": [], "pagination": page}}
    kind = sdk.GetDailyWorkspaceAPICallsUsage200Response
    for read in (kind.from_dict(body), kind.from_json(json.dumps(body))):
        assert read is not None
        assert read.to_dict()["data"]["pagination"] == whole
        assert kind.from_json(read.to_json()) == read
    refused = {"errors": [{"type": "t"}, {"type": "u", "message": "m", "data": {"n": None}}]}
    envelope = sdk.RequestErrorEnvelope.from_dict(refused)
    assert envelope is not None
    assert envelope.to_dict() == {
        "errors": [
            {"type": "t", "data": None},
            {"type": "u", "message": "m", "data": {"n": None}},
        ]
    }


def test_what_a_program_leaves_out_stays_out() -> None:
    assert sdk.PaginationOutput(current="a").to_dict() == {"current": "a"}
    given = sdk.PaginationOutput(current="a", next=None)
    assert given.to_dict() == {"current": "a", "next": None}
    later = sdk.PaginationOutput(current="a")
    later.previous = None
    assert later.to_dict() == {"current": "a", "previous": None}


@given(
    st.lists(st.tuples(st.text(), COUNTS), max_size=5),
    st.one_of(st.none(), st.text()),
    st.dictionaries(st.text().map("x_".__add__), st.integers(), max_size=3),
)
def test_json_survives_the_way_through(
    rows: list[tuple[str, str]], following: str | None, unknown: dict[str, int]
) -> None:
    pagination = {"current": "a", "next": following, "previous": None}
    body = {
        "data": {
            "dailyPerSourceAPICallsUsage": [
                {"sourceId": source, "apiCalls": count, "timestamp": "2021-02-01", **unknown}
                for source, count in rows
            ],
            "pagination": pagination,
        }
    }
    kind = sdk.GetDailyPerSourceAPICallsUsage200Response
    model = kind.from_json(json.dumps(body))
    assert model is not None
    assert model.to_dict() == body
    assert kind.from_json(model.to_json()) == model
    assert [row.api_calls_int for row in model.rows] == [int(count) for _, count in rows]


def test_an_answer_without_data() -> None:
    empty = sdk.GetDailyWorkspaceMTUUsage200Response()
    assert (empty.rows, empty.pagination) == ([], None)


def test_dumped_counts_are_numbers_and_attributes_stay_text() -> None:
    row = sdk.UsersPerSourceSnapshotV1.model_validate(MTU_ROW)
    dumped = row.model_dump()
    assert dumped == {
        "source_id": "src",
        "period_start": 1612137600,
        "period_end": 1614556800,
        "anonymous": 9,
        "anonymous_identified": 4,
        "identified": 30,
        "never_identified": 5,
        "timestamp": "2021-02-03T00:00:00.000Z",
    }
    assert all(isinstance(dumped[name], int) for name in ("identified", "anonymous"))
    assert sum(each["identified"] for each in (dumped, dumped)) == 60
    assert (row.identified, row.anonymous) == ("30", "9")
    # What a model gives, it takes back; a number of somebody else's is as wrong as before.
    assert sdk.UsersPerSourceSnapshotV1(**dumped) == row
    assert sdk.UsersPerSourceSnapshotV1.model_validate(dumped) == row
    with pytest.raises(ValidationError, match="identified"):
        sdk.UsersPerSourceSnapshotV1(**{**dumped, "identified": 30})


def test_under_the_apis_names_and_as_json_counts_are_the_apis_text() -> None:
    row = sdk.UsersPerSourceSnapshotV1.model_validate(MTU_ROW)
    assert row.model_dump(by_alias=True) == row.to_dict() == json.loads(row.to_json()) == MTU_ROW
    assert json.loads(row.model_dump_json())["identified"] == "30"
    assert sdk.UsersPerSourceSnapshotV1.model_validate_json(row.model_dump_json()) == row


@given(st.one_of(COUNTS, st.text(max_size=5), st.sampled_from(["007", " 7", "7_0", "٣", "-0"])))
def test_whatever_text_a_server_counts_in_comes_back_as_it_was(text: str) -> None:
    row = sdk.APICallSnapshotV1(api_calls=text, timestamp="2021-02-01")
    dumped = row.model_dump()["api_calls"]
    assert str(dumped) == text
    assert sdk.APICallSnapshotV1.model_validate(row.model_dump()) == row
