"""A map says what columns are, and its errors say which of its keys is wrong and what would do."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headcount.errors import UsageError
from headcount.importing.columns_map import ColumnsMap, read_map
from headcount.importing.forms import Records
from headcount.importing.inputs import Input
from headcount.importing.line_files import UnreadRecord


def mapped(folder: Path, text: str) -> ColumnsMap:
    (folder / "map.toml").write_text(text)
    return read_map(folder / "map.toml")


def read(folder: Path, name: str, content: str, mapping: ColumnsMap) -> tuple[list[Any], str]:
    """Its records, or the reasons why they are none; and the failure."""
    (folder / name).write_text(content)
    with closing(Records(Input(name, folder / name, None), mapping)) as records:
        found = [
            raw.reason.value if isinstance(raw, UnreadRecord) else json.loads(raw)
            for _, raw in records.lines()
        ]
        return found, records.failure or ""


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ("colums = {}", "colums in the map", 'Did you mean "columns"?'),
        ("[columns]\nuserid = 'x'", "columns.userid in the map", 'Did you mean "userId"?'),
        ("[columns]\nzzz = 'x'", "columns.zzz in the map", "The fields are type, event, userId"),
        ("[columns]\nuserId = 5", "columns.userId in the map", "Give it in quotes"),
        ("[columns]\nuserId = []", "columns.userId in the map", "Give it in quotes"),
        ("[columns]\nuserId = ['a', 1]", "columns.userId in the map", "Give it in quotes"),
        ("columns = 'x'", "columns in the map", "Write a line [columns]"),
        ("[values]\ntype = 'tracks'", "values.type in the map", "Give one of track, identify"),
        ("[values]\nevents = 'x'", "values.events in the map", 'Did you mean "event"?'),
        ("[values]\nuserId = true", "values.userId in the map", "Give it in quotes"),
        ("[columns]\ntype='a'\n[values]\ntype='track'", "columns.type in the map", "Leave one"),
        ("[times]\nunit = 'min'", "times.unit in the map", "Give one of s, ms, us, ns"),
        ("[times]\nzone = 'CET'", "times.zone in the map", '"+02:00"'),
        ("[times]\nzones = 'UTC'", "times.zones in the map", 'Did you mean "zone"?'),
        ("[csv]\ndelimiter = ';;'", "csv.delimiter in the map", "Give one, such as"),
        ("[csv]\nescape = '\"'", "csv.escape in the map", "Give one, such as"),
        ("[csv]\nnulls = 'NULL'", "csv.nulls in the map", 'Did you mean "null"?'),
        ("[sources]\nqX = 5", "sources.qX in the map", "Give it in quotes"),
        ("[columns\n", "is not TOML", "under a line [columns]"),
    ],
)
def test_what_a_map_says_wrongly_is_named_by_its_key(
    tmp_path: Path, text: str, key: str, remedy: str
) -> None:
    with pytest.raises(UsageError) as raised:
        mapped(tmp_path, text)
    assert key in raised.value.problem
    assert "map.toml" in raised.value.problem
    assert remedy in raised.value.remedy


def test_a_map_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_map(tmp_path / "none.toml")


MAP = """
[columns]
messageId = "order"
userId = ["who.id", "guest"]
receivedAt = "placed"
[values]
type = "track"
event = "Ordered"
[times]
unit = "s"
"""
RECORD = {"type": "track", "event": "Ordered", "receivedAt": "2025-11-05T10:00:00.500Z"}


def test_members_of_objects_are_found_by_a_map(tmp_path: Path) -> None:
    objects = [
        {"order": 1, "who": {"id": "u"}, "guest": "g", "placed": 1_762_336_800.5, "type": "order"},
        {"order": 2, "who": {"id": None}, "guest": "g", "placed": "1762336800.5"},
        {"order": 3, "who": "none", "placed": 1_762_336_800.5, "anonymousId": "a"},
        {"who.id": "dotted \ud800", "placed": "soon"},
        [],
    ]
    content = "".join(json.dumps(each) + "\n" for each in objects) + '{"order": \n'
    found, failure = read(tmp_path, "x.json", content, mapped(tmp_path, MAP))
    assert failure == ""
    assert found[:3] == [
        RECORD | {"messageId": 1, "userId": "u"},
        RECORD | {"messageId": 2, "userId": "g"},
        RECORD | {"messageId": 3, "anonymousId": "a"},
    ]
    # What has no id is told apart by all that is in it.
    assert found[3].pop("row")
    assert found[3] == RECORD | {"userId": "dotted \ud800", "receivedAt": "soon"}
    assert found[4:] == ["not_an_object", "malformed_json"]


def test_columns_of_tables_are_found_by_a_map(tmp_path: Path) -> None:
    map_of_csv = mapped(
        tmp_path,
        MAP.replace("who.id", "customer") + "[csv]\ndelimiter = ':'\nescape = '\\'\nnull = ['-']",
    )
    content = 'order:customer:guest:placed\n1:-:"g\\"\\:":1762336800.5\n2:u::1762336800.5\n'
    found, failure = read(tmp_path, "orders.csv", content, map_of_csv)
    assert failure == ""
    assert found == [
        RECORD | {"messageId": "1", "userId": 'g":'},
        RECORD | {"messageId": "2", "userId": "u"},
    ]


def test_objects_in_cells_are_looked_into(tmp_path: Path) -> None:
    mapping = mapped(
        tmp_path,
        '[columns]\ntype = "raw.type"\nuserId = "raw.who.id"\nreceivedAt = "at"\nmessageId = "n"',
    )
    cell = '"{""type"": ""page"", ""who"": {""id"": 7}}"'
    content = f'n,raw,at\n1,{cell},2026-11-05T10:00:00Z\n2,"{{nope",2026-11-05T10:00:00Z\n'
    found, _ = read(tmp_path, "x.csv", content, mapping)
    at = {"receivedAt": "2026-11-05T10:00:00Z"}
    assert found == [at | {"type": "page", "userId": 7, "messageId": "1"}, at | {"messageId": "2"}]


def test_a_column_that_is_not_there_is_named_with_its_key(tmp_path: Path) -> None:
    found, failure = read(tmp_path, "x.csv", "order,guest,at\n1,g,2\n", mapped(tmp_path, MAP))
    assert found == []
    assert "columns.receivedAt in the map" in failure
    assert "names 'placed', which is no column here; there are order, guest, at" in failure


@pytest.mark.parametrize(
    ("unit", "number"),
    [("s", 1_762_336_800), ("ms", 1_762_336_800_000), ("us", "1762336800000000"),
     ("ns", 1_762_336_800_000_000_000)],
)  # fmt: skip
def test_times_that_are_numbers_are_of_a_unit(tmp_path: Path, unit: str, number: object) -> None:
    content = json.dumps({"type": "page", "userId": "u", "messageId": "m", "receivedAt": number})
    [record], _ = read(tmp_path, "x.json", content, mapped(tmp_path, f"[times]\nunit = '{unit}'"))
    assert record["receivedAt"] == "2025-11-05T10:00:00.000Z"


@pytest.mark.parametrize("number", [True, 1e300, "1e999999", "NaN", "", "-", [1]])
def test_what_is_no_time_stays_what_it_is(tmp_path: Path, number: object) -> None:
    content = json.dumps({"type": "page", "userId": "u", "messageId": "m", "receivedAt": number})
    [record], _ = read(tmp_path, "x.json", content, mapped(tmp_path, "[times]\nunit = 'ms'"))
    assert record.get("receivedAt", "") == number
