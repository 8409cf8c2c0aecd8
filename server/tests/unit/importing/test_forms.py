"""Files as other programs write them give the records that are in them, or one error, by name."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psutil
import pyarrow
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from headcount.importing.columns_map import ColumnsMap
from headcount.importing.forms import Records
from headcount.importing.inputs import Input
from headcount.importing.line_files import UnreadRecord
from headcount.importing.rejects import Rejects

MESSAGES = [
    {
        "type": "track",
        "event": 'Opened {["it\\',
        "userId": f"u{number}",
        "messageId": f"m{number}",
        "receivedAt": "2026-11-05T10:00:00Z",
        "properties": {"deep": [{"a": None}, [], {}, "}{", "\u2028é"]},
    }
    for number in range(200)
]


@dataclass(frozen=True)
class Read:
    """What reading a file gave.

    Attributes:
        records: those that could be read.
        unread: why the others could not, by their numbers.
        numbers: of all of them, in order.
    """

    records: list[dict[str, Any]]
    unread: dict[int, str]
    numbers: list[int]
    failure: str | None
    notes: list[str]
    unit: str


def read(path: Path, mapping: ColumnsMap | None = None, size_max: int = 131_072) -> Read:
    source = Input(path.name, path, path.stat().st_size)
    with closing(Records(source, mapping or ColumnsMap(), record_bytes_max=size_max)) as records:
        given = list(records.lines())
        return Read(
            [json.loads(raw) for _, raw in given if type(raw) is bytes],
            {number: raw.reason.value for number, raw in given if isinstance(raw, UnreadRecord)},
            [number for number, _ in given],
            records.failure,
            records.notes,
            records.unit,
        )


def made(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lines_of(messages: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(each) + "\n" for each in messages)


SHAPES = {
    "lines": lines_of(MESSAGES),
    "lines without a last end": lines_of(MESSAGES)[:-1],
    "array": json.dumps(MESSAGES),
    "pretty array": json.dumps(MESSAGES, indent=2),
    "an object a line in an array": "[\n" + ",\n".join(map(json.dumps, MESSAGES)) + "\n]\n",
    "arrays, one a line": json.dumps(MESSAGES[:70]) + "\n" + json.dumps(MESSAGES[70:]) + "\n",
    "one behind the other": "".join(map(json.dumps, MESSAGES)),
    "several behind one another on each line": "".join(
        json.dumps(each) + ("\n" if number % 7 == 6 else "") for number, each in enumerate(MESSAGES)
    ),
    "pretty, one behind the other": "".join(json.dumps(each, indent=4) for each in MESSAGES),
    "pretty, one below the other": "\n".join(json.dumps(each, indent=4) for each in MESSAGES),
    "first one, then several on a line": json.dumps(MESSAGES[0])
    + "\n"
    + "".join(
        json.dumps(each) + ("\n" if number % 3 else "") for number, each in enumerate(MESSAGES[1:])
    ),
    "lines, then pretty": lines_of(MESSAGES[:50])
    + "\n".join(json.dumps(each, indent=1) for each in MESSAGES[50:]),
    "a sequence of RFC 7464": "".join("\x1e" + json.dumps(each) + "\n" for each in MESSAGES),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_json_of_any_shape_gives_the_objects_in_it(tmp_path: Path, shape: str) -> None:
    found = read(made(tmp_path, "x.json", SHAPES[shape]))
    assert (found.records, found.failure, found.unread) == (MESSAGES, None, {})
    assert found.numbers == list(range(1, len(MESSAGES) + 1))


ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32")
BYTE_ORDERS = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}


@pytest.mark.parametrize("shape", ["lines", "array", "pretty, one below the other"])
@pytest.mark.parametrize("encoding", [*ENCODINGS, *BYTE_ORDERS])
def test_byte_order_marks_and_line_ends_change_nothing(
    tmp_path: Path, shape: str, encoding: str
) -> None:
    text = SHAPES[shape].replace("\n", "\r\n")
    content = BYTE_ORDERS.get(encoding, b"") + text.encode(encoding)
    assert read(made(tmp_path, "x.json", content)).records == MESSAGES


def compressed(ending: str, content: bytes) -> bytes:
    """In several parts, as programs write it that append to a file."""
    compress = {".gz": gzip.compress, ".zst": zstandard.compress}[ending]
    cut = len(content) // 3
    return compress(content[:cut]) + compress(content[cut : 2 * cut]) + compress(content[2 * cut :])


@pytest.mark.parametrize("name", ["x.gz", "X.NDJSON.GZ", "x.Json.Zst", "x.json"])
@pytest.mark.parametrize("shape", ["lines", "array", "one behind the other"])
def test_compressed_in_several_parts_under_any_name(tmp_path: Path, name: str, shape: str) -> None:
    ending = ".zst" if name.lower().endswith(".zst") else ".gz"
    content = compressed(ending, SHAPES[shape].encode())
    assert read(made(tmp_path, name, content)).records == MESSAGES


@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text() | st.text('{}[]",\\ \n'),
            lambda inner: st.lists(inner) | st.dictionaries(st.text('a{}[]"\\'), inner),
        ).map(lambda value: {"event": value})
    ),
    st.sampled_from([None, 0, 1, 3]),
    st.sampled_from(["", " ", "\n", ",\r\n", "\x1e"]),
    st.booleans(),
    st.integers(1, 30),
)
def test_any_objects_are_found_whatever_stands_between_them(
    tmp_path_factory: pytest.TempPathFactory,
    objects: list[dict[str, Any]],
    indent: int | None,
    between: str,
    in_array: bool,
    size_max: int,
) -> None:
    text = between.join(json.dumps(each, indent=indent) for each in objects)
    text = json.dumps(objects, indent=indent) if in_array else text
    path = made(tmp_path_factory.mktemp("any"), "x.json", text)
    assert read(path).records == objects
    # However little a record may be, one that is too long costs only itself, and is cut.
    with closing(Records(Input("x", path, None), ColumnsMap(), None, size_max)) as records:
        given = [raw for _, raw in records.lines()]
    # A line is only cut where there is much more of it.
    more = 8 if records.unit == "line" else 1
    assert max(map(len, given), default=0) <= size_max + more
    assert len(given) == len(objects) or not in_array
    assert records.failure is None


def test_a_record_of_an_array_that_is_wrong_costs_only_itself(tmp_path: Path) -> None:
    good = json.dumps(MESSAGES[0])
    text = f'[{good}, {{"a": nope}}, 5, "x", [1], {{"s": "{"y" * 900_000}"}},\n {good}]'
    source = Input("x.json", made(tmp_path, "x.json", text), None)
    with closing(Rejects(tmp_path / "kept")) as rejects:
        with closing(Records(source, ColumnsMap(), rejects)) as records:
            given = list(records.lines())
            records.keep([2, 4])
        assert records.unit == "record"
    assert [number for number, _ in given] == [1, 2, 3, 4, 5, 6, 7]
    assert [len(raw) for _, raw in given] == [len(good), 11, 1, 3, 3, 131_073, len(good)]
    assert (tmp_path / "kept").read_bytes() == b'{"a": nope}\n"x"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"a": 1}, {"b": 2}', "it ends in an array, after record 2"),
        ('[{"a": 1}, {"b": ', "record 2 has no end"),
        ('[{"a": 1}, {"b": "x}]', "record 2 has no end"),
        ('{\n"a": 1\n}\n}\n', 'after record 1 comes a "}" too many'),
        ('{\n"a": 1\n}\n]\n', 'after record 1 comes a "]" too many'),
    ],
)
def test_json_that_breaks_off_gives_what_came_before_and_says_where(
    tmp_path: Path, text: str, words: str
) -> None:
    found = read(made(tmp_path, "x.json", text))
    assert found.records[0] == {"a": 1}
    assert found.failure is not None
    assert words in found.failure


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, SHAPES["lines"])
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("x.ndjson")
        entry.size = len(SHAPES["lines"].encode())
        archive.addfile(entry, io.BytesIO(SHAPES["lines"].encode()))
    return file.getvalue()


def database(folder: Path) -> bytes:
    with closing(sqlite3.connect(folder / "made.db")) as made_here:
        made_here.execute("CREATE TABLE tracks (id TEXT)")
    return (folder / "made.db").read_bytes()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x.zip", "it is a zip file; use: unzip -p"),
        ("x.xlsx", "it is a zip file"),
        ("x.tar", "it is a tar file"),
        ("x.tar.gz", "it is a tar file"),
        ("x.bz2", "compressed with bzip2; use: bzip2 -dc"),
        ("x.xz", "compressed with xz; use: xz -dc"),
        ("x.gz.gz", "compressed twice; use: gzip -dc"),
        ("x.db", "it is a SQLite database"),
        ("notes.txt", 'no table with a heading; it begins with "Dear all,"'),
        ("numbers.json", 'is a JSON object, it is no array of them, and no table'),
        ("bytes.json", 'it begins with "'),
        ("body.json", "which are its \"batch\"; use: jq -c '.batch[]' "),
        ("long body.json", "which are its \"batch\"; use: jq -c '.batch[]' "),
        ("bodies.json.gz", "which are its \"data\"; use: gzip -dc "),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_one_error_about_the_file(
    tmp_path: Path, name: str, words: str
) -> None:
    lines = SHAPES["lines"].encode()
    content = {
        "x.zip": zipped("x.ndjson"), "x.xlsx": zipped("xl/workbook.xml"), "x.tar": tarred(),
        "x.tar.gz": gzip.compress(tarred()), "x.bz2": bz2.compress(lines),
        "x.xz": lzma.compress(lines), "x.gz.gz": gzip.compress(gzip.compress(lines)),
        "x.db": database(tmp_path), "notes.txt": b"Dear all,\n\nplease find...\n",
        "numbers.json": b"1\n2\n3\n", "bytes.json": bytes(range(256)) * 300,
        "body.json": json.dumps({"sentAt": "now", "batch": MESSAGES[:9]}, indent=1).encode(),
        "long body.json": json.dumps({"batch": MESSAGES * 20}).encode(),
        "bodies.json.gz": gzip.compress(lines_of([{"data": MESSAGES[:3]}] * 9).encode()),
    }[name]  # fmt: skip
    found = read(made(tmp_path, name, content))
    assert (found.records, found.numbers) == ([], [])
    assert found.failure is not None
    assert found.failure.startswith("is not taken: ")
    assert words in found.failure


def test_a_bad_first_line_is_that_line_alone(tmp_path: Path) -> None:
    assert _lines(made(tmp_path, "x.json", '{"cut": "of')) == [(1, b'{"cut": "of')]
    text = '{"cut": "of\n' + SHAPES["lines"] + '{"cut": \n' + SHAPES["lines"]
    found = [raw for _, raw in _lines(made(tmp_path, "x.ndjson", text))]
    assert found[0] == b'{"cut": "of'
    assert found[201] == b'{"cut":'
    assert [json.loads(raw) for raw in found[1:201] + found[202:]] == MESSAGES * 2


def _lines(path: Path) -> list[tuple[int, bytes]]:
    with closing(Records(Input(path.name, path, None), ColumnsMap())) as records:
        return list(records.lines())


# Tables.

HEADING = ("id", "received_at", "user_id", "anonymous_id", "event", "event_text", "context_ip")
ROWS = [
    (f"m{n}", datetime(2026, 11, 5, 10, 0, n % 60, 123_000, UTC), f"u{n}" if n % 2 else None,
     f"a{n}", "opened_it", "Opened It", "10.0.0.1")
    for n in range(100)
]  # fmt: skip
EXPECTED = [
    {"type": "track", "messageId": row[0], "receivedAt": f"2026-11-05T10:00:{n % 60:02d}.123Z",
     "anonymousId": row[3], "event": "opened_it"} | ({"userId": row[2]} if row[2] else {})
    for n, row in enumerate(ROWS)
]  # fmt: skip


def csv_of(rows: list[tuple[Any, ...]], heading: tuple[str, ...] = HEADING, **form: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, **form)
    writer.writerow(heading)
    writer.writerows(
        [each.isoformat() if isinstance(each, datetime) else each for each in row] for row in rows
    )
    return text.getvalue()


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    """Whether records are the same, whatever the zone in which a time is written."""

    def plain(record: dict[str, Any]) -> dict[str, Any]:
        moment = datetime.fromisoformat(record["receivedAt"]).astimezone(UTC)
        return record | {"receivedAt": moment}

    return list(map(plain, found)) == list(map(plain, expected))


@pytest.mark.parametrize("form", [
    {}, {"delimiter": ";"}, {"delimiter": "\t"}, {"delimiter": "|"}, {"quoting": csv.QUOTE_ALL},
    {"lineterminator": "\n"},
])  # fmt: skip
@pytest.mark.parametrize("name", ["tracks.csv", "TRACKS.CSV", "tracks.csv.gz"])
def test_csv_of_a_warehouse_is_read_however_it_was_written(
    tmp_path: Path, name: str, form: dict[str, Any]
) -> None:
    content = csv_of(ROWS, **form).encode("utf-8-sig")
    if name.endswith(".gz"):
        content = gzip.compress(content)
    found = read(made(tmp_path, name, content))
    assert (found.failure, found.unread, found.notes) == (None, {}, [])
    assert same(found.records, EXPECTED)
    assert found.numbers == list(range(2, 102))  # the line in the file


def table_of(rows: list[tuple[Any, ...]], heading: tuple[str, ...] = HEADING) -> pyarrow.Table:
    return pyarrow.table({name: [row[place] for row in rows] for place, name in enumerate(heading)})


@pytest.mark.parametrize("kind", ["s", "ms", "us", "ns", "other zone", "dictionaries", "binary"])
@pytest.mark.parametrize("form", [
    {}, {"compression": "gzip"}, {"compression": "zstd", "row_group_size": 7},
    {"compression": "none", "version": "1.0", "use_dictionary": False},
])  # fmt: skip
def test_parquet_of_a_warehouse_is_read_whatever_kinds_its_columns_have(
    tmp_path: Path, kind: str, form: dict[str, Any]
) -> None:
    table = table_of(ROWS)
    place = table.schema.get_field_index("received_at")
    times = table.column("received_at")
    if kind in ("s", "ms", "us", "ns"):
        times = times.cast(pyarrow.timestamp(kind, "UTC"), safe=False)
    if kind == "other zone":
        times = times.cast(pyarrow.timestamp("us", "+02:00"))
    table = table.set_column(place, "received_at", times)
    if kind in ("dictionaries", "binary"):
        for at, name in enumerate(table.schema.names):
            if name in ("user_id", "anonymous_id", "id"):
                column = table.column(name)
                column = (
                    column.dictionary_encode() if kind == "dictionaries"
                    else column.cast(pyarrow.binary())
                )  # fmt: skip
                table = table.set_column(at, name, column)
    parquet.write_table(table, tmp_path / "Tracks.parquet", **form)
    found = read(tmp_path / "Tracks.parquet")
    assert (found.failure, found.unread, found.unit) == (None, {}, "row")
    expected = [
        each | ({"receivedAt": each["receivedAt"].replace(".123", ".000")} if kind == "s" else {})
        for each in EXPECTED
    ]
    assert same(found.records, expected)


def test_parquet_inside_of_gzip_is_read_too(tmp_path: Path) -> None:
    file = io.BytesIO()
    parquet.write_table(table_of(ROWS), file)
    found = read(made(tmp_path, "tracks.parquet.gz", gzip.compress(file.getvalue())))
    assert same(found.records, EXPECTED)


@pytest.mark.parametrize("damage", ["cut", "scrambled", "only its beginning"])
def test_damaged_parquet_is_one_error(tmp_path: Path, damage: str) -> None:
    parquet.write_table(table_of(ROWS), tmp_path / "whole.parquet", compression="zstd")
    whole = (tmp_path / "whole.parquet").read_bytes()
    broken = {
        "cut": whole[:-100],
        "scrambled": whole[:300] + bytes(500) + whole[800:],
        "only its beginning": b"PAR1",
    }[damage]
    found = read(made(tmp_path, "tracks.parquet", broken))
    assert found.failure is not None
    assert "it is no whole Parquet" in found.failure


def test_parquet_in_one_large_piece_takes_little_memory(tmp_path: Path) -> None:
    rows = 400_000
    path = tmp_path / "tracks.parquet"
    parquet.write_table(
        pyarrow.table(
            {
                "id": [f"message-{number:032d}" for number in range(rows)],
                "user_id": [f"user-{number % 90_000:032d}" for number in range(rows)],
                "received_at": pyarrow.array([1_762_336_800_000] * rows, pyarrow.timestamp("ms")),
                "event": ["opened"] * rows,
                "unread": [f"{number:0200d}" for number in range(rows)],
            }
        ),
        path,
        row_group_size=rows,
    )
    pyarrow.default_memory_pool().release_unused()
    before = psutil.Process().memory_info().rss
    most = count = 0
    with closing(Records(Input(path.name, path, path.stat().st_size), ColumnsMap())) as records:
        for count, _ in records.lines():
            if not count % 20_000:
                most = max(most, psutil.Process().memory_info().rss)
            assert records.bytes_read <= path.stat().st_size
        assert records.bytes_read == path.stat().st_size
    assert count == rows
    # The two columns of ids alone are 32 MB, and the one that is not read 80 MB.
    assert most - before < 60_000_000


def test_times_without_a_zone_are_taken_for_utc_and_it_is_said(tmp_path: Path) -> None:
    heading = ("id", "user_id", "received_at")
    for text in ("2026-11-05 10:00:00", "2026-11-05T10:00:00.000", "2026-11-05 10:00:00.123456"):
        found = read(made(tmp_path, "pages.csv", csv_of([("m", "u", text)], heading)))
        assert datetime.fromisoformat(found.records[0]["receivedAt"]).hour == 10
        assert found.records[0]["receivedAt"].endswith("Z")
        assert "taken for UTC" in found.notes[0]
    parquet.write_table(
        table_of([("m", "u", datetime(2026, 11, 5, 10))], heading),  # noqa: DTZ001
        tmp_path / "pages.parquet",
    )
    found = read(tmp_path / "pages.parquet")
    assert found.records[0]["receivedAt"] == "2026-11-05T10:00:00.000Z"
    assert "taken for UTC" in found.notes[0]
    with_zone = read(tmp_path / "pages.parquet", ColumnsMap(zone="+02:00"))
    assert with_zone.records[0]["receivedAt"] == "2026-11-05T10:00:00.000+02:00"
    assert with_zone.notes == []


def test_rows_that_are_none_are_named_and_cost_only_themselves(tmp_path: Path) -> None:
    content = (
        b"id,user_id,received_at,note\r\n"
        b"m1,u1,2026-11-05T10:00:00Z,\r\n"
        b"m2,u2,2026-11-05T10:00:00Z\r\n"  # line 3: a cell is missing
        b'm3,u3,2026-11-05T10:00:00Z,"a\r\nb"\r\n'  # lines 4 and 5
        b'm4,"u"4,2026-11-05T10:00:00Z,x\r\n'  # line 6: a quote in the middle
        b"\r\n"
        b"m5,u\xff,2026-11-05T10:00:00Z,x\r\n"  # line 8: no UTF-8
        b"m6,u6,2026-11-05T10:00:00Z,\xff\r\n"  # line 9: no UTF-8 where nobody looks
        b"m7,\\N,2026-11-05T10:00:00Z,x\r\n"
    )
    found = read(made(tmp_path, "identifies.csv", content))
    assert found.unread == {3: "malformed_row", 6: "malformed_row", 8: "not_utf8"}
    assert [each["messageId"] for each in found.records] == ["m1", "m3", "m6", "m7"]
    assert found.numbers == [2, 3, 4, 6, 8, 9, 10]
    assert "userId" not in found.records[3]


@pytest.mark.parametrize("first", ["PARENT_ID", "ORC_ID", "BZh9", "Rar!", "ARROW1"])
def test_a_heading_may_begin_like_a_file_of_another_form(tmp_path: Path, first: str) -> None:
    text = f"{first},ID,USER_ID,RECEIVED_AT\né,m,u,2026-11-05T10:00:00Z\n"
    found = read(made(tmp_path, "pages.csv", text))
    assert [each["messageId"] for each in found.records] == ["m"]


def test_a_row_without_an_end_takes_no_memory(tmp_path: Path) -> None:
    content = csv_of(ROWS) + 'm,2026-11-05T10:00:00Z,"' + "x\n" * 3_000_000
    found = read(made(tmp_path, "tracks.csv", content))
    assert len(found.records) == 100
    assert found.failure is not None
    assert "in line 102 has no end within 4 MiB: perhaps a quote is not closed" in found.failure


@pytest.mark.parametrize("cut_bytes", range(9, 2_000, 131))
def test_the_row_in_which_a_file_breaks_off_is_none(tmp_path: Path, cut_bytes: int) -> None:
    heading = ("id", "received_at", "user_id")
    rows = [(f"m{n}", "2026-11-05T10:00:00Z", f"user-{n}") for n in range(9_000)]
    whole = csv_of(rows, heading).encode()
    found = read(made(tmp_path, "pages.csv.gz", gzip.compress(whole, 1)[:-cut_bytes]))
    assert found.failure is not None
    assert found.unread == {}
    assert 1_000 < len(found.records) <= 9_000
    ids = [(each["messageId"], each["userId"]) for each in found.records]
    assert ids == [(f"m{n}", f"user-{n}") for n in range(len(ids))]


@pytest.mark.parametrize(
    ("name", "heading", "words"),
    [
        ("users.csv", "id,received_at,email,user_id", "a table of people or companies"),
        ("x.csv", "id,received_at,user_id", "nothing says of which type its messages are"),
        ("tracks.csv", "id,user_id,event", "no column is receivedAt or timestamp, a time"),
        ("tracks.csv", "id,received_at,event", "no column is userId or anonymousId"),
        ("pages.csv", "id,received_at,user_id,userId", "both 'user_id' and 'userId' could be"),
        ("pages.csv", "m1,u1,2026-11-05", "there are m1, u1, 2026-11-05"),
    ],
)
def test_a_table_of_which_no_messages_can_be_made_is_one_error(
    tmp_path: Path, name: str, heading: str, words: str
) -> None:
    found = read(made(tmp_path, name, f"{heading}\n" + ",".join("x" * (heading.count(",") + 1))))
    assert found.records == []
    assert found.failure is not None
    assert words in found.failure


def test_the_name_of_a_table_comes_before_a_property_called_type(tmp_path: Path) -> None:
    content = "id,user_id,received_at,type\nm,u,2026-11-05T10:00:00Z,product\n"
    [named] = read(made(tmp_path, "pages.csv", content)).records
    [unnamed] = read(made(tmp_path, "export.csv", content.replace("product", "group"))).records
    assert (named["type"], unnamed["type"]) == ("page", "group")


@pytest.mark.parametrize("shape", ["lines", "array"])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_rows_that_were_unloaded_as_json_are_read_too(
    tmp_path: Path, shape: str, case: Callable[[str], str]
) -> None:
    # As BigQuery and others write them: without what is empty, and times without a T.
    objects = [
        {case(name): value.strftime("%Y-%m-%d %H:%M:%S.%f UTC") if name == "received_at" else value
         for name, value in zip(HEADING, row, strict=True) if value is not None}
        for row in ROWS
    ]  # fmt: skip
    text = json.dumps(objects) if shape == "array" else lines_of(objects)
    found = read(made(tmp_path, "tracks-000000000000.json", text))
    assert (found.failure, found.unread, found.notes) == (None, {}, [])
    assert same(found.records, EXPECTED)
    nameless = {"user_id": "u", "received_at": "2026-11-05 10:00:00"}
    found = read(made(tmp_path, "x.json", json.dumps(nameless)))
    assert "nothing says of which type its messages are" in str(found.failure)
    found = read(made(tmp_path, "pages.json", json.dumps(nameless)))
    assert [each["type"] for each in found.records] == ["page"]
    assert len(found.notes) == 2


def test_a_table_without_ids_gives_rows_that_differ_where_anything_does(tmp_path: Path) -> None:
    heading = ("received_at", "user_id", "event", "price")
    rows = [(ROWS[0][1], "u", "bought", price) for price in (1, 2, 2)]
    parquet.write_table(table_of(rows, heading), tmp_path / "tracks.parquet")
    for path in (made(tmp_path, "tracks.csv", csv_of(rows, heading)), tmp_path / "tracks.parquet"):
        found = read(path)
        assert "No column holds message ids" in found.notes[0]
        first, second, third = found.records
        assert first != second == third
        assert read(path).records == found.records
    # Where there are ids, what else is in a row does not matter.
    with_ids = read(made(tmp_path, "tracks.csv", csv_of(ROWS)))
    assert "row" not in with_ids.records[0]


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9),
            st.none() | st.text('a1",;\n\r\t |\'é', max_size=4),
            st.datetimes(
                datetime(2001, 1, 1), datetime(2025, 1, 1),  # noqa: DTZ001
                timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7, minutes=-30))]),
            ),
            st.none() | st.sampled_from(["x", "y"]),
        ),
        min_size=1,
    ),
    st.sampled_from([",", ";", "\t"]),
)  # fmt: skip
def test_csv_and_parquet_of_the_same_rows_are_the_same_records(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], delimiter: str
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    heading = ("ID", "User_Id", "RECEIVED_AT", "anonymousId")
    rows = [row for row in rows if row[0] != "\\N"]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    kinds = [pyarrow.string()] * 2 + [pyarrow.timestamp("us", "UTC"), pyarrow.string()]
    parquet.write_table(
        pyarrow.table({
            name: pyarrow.array(column, kind)
            for name, column, kind in zip(heading, columns, kinds, strict=True)
        }),
        folder / "pages.parquet",
    )  # fmt: skip
    text = csv_of(rows, heading, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    of_csv = read(made(folder, "pages.csv", text))
    of_parquet = read(folder / "pages.parquet")
    assert (of_csv.unread, of_csv.failure, of_parquet.failure) == ({}, None, None)
    cut = [
        each | {"receivedAt": each["receivedAt"][:19] + each["receivedAt"][-6:]}
        for each in of_csv.records
    ]
    exact = [each | {"receivedAt": each["receivedAt"][:19] + "Z"} for each in of_parquet.records]
    assert same(cut, exact)
