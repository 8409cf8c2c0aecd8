"""Archives as vendors, warehouses and queues lay them down, made by the programs that write such.

All hold the same messages, so whatever form they are read in, usage is the same.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow
from pyarrow import parquet

__all__ = [
    "EVENTS",
    "SOURCES",
    "as_csv",
    "as_parquet",
    "files_of",
    "lines",
    "rows_of",
    "rudder_archive",
    "rudder_logs",
    "segment_logs",
    "warehouse",
    "zip_of",
]

SOURCES = ("qXz81", "pLm20")
"""What the vendors call the two sources."""

_TABLES = {
    "track": "tracks", "identify": "identifies", "page": "pages", "screen": "screens",
    "group": "groups", "alias": "aliases",
}  # fmt: skip
_SNAKE = {
    "messageId": "id", "receivedAt": "received_at", "userId": "user_id",
    "anonymousId": "anonymous_id", "previousId": "previous_id", "groupId": "group_id",
    "event": "event", "originalTimestamp": "original_timestamp",
}  # fmt: skip


def _event(number: int) -> dict[str, Any]:
    kind = tuple(_TABLES)[number % 6]
    moment = datetime(2026, 10, 1 + number % 28, number % 24, number % 60, tzinfo=UTC)
    event: dict[str, Any] = {
        "type": kind,
        "messageId": f"m-{number}",
        "receivedAt": f"{moment:%Y-%m-%dT%H:%M:%S}.{number % 1000:03d}Z",
        "originalTimestamp": f"{moment - timedelta(days=2):%Y-%m-%dT%H:%M:%S}Z",
        "anonymousId": f"a-{number % 31}",
        "context": {"library": {"name": "analytics.js"}, "ip": "10.0.0.1"},
        "properties": {"note": 'quoted, "and" é\nbroken'},
    }
    if kind in ("identify", "group", "alias") or number % 4 == 0:
        event["userId"] = f"u-{number % 17}"
    if kind == "alias":
        event["previousId"] = f"a-{number % 13}"
    if kind == "group":
        event["groupId"] = "g"
    if kind == "track":
        event["event"] = "Order Completed" if number % 12 else "Opened"
    return event


EVENTS = [_event(number) for number in range(240)]
"""Messages of one month, of all types."""


def _of_source(place: int) -> list[dict[str, Any]]:
    """The messages of one of the two sources."""
    return EVENTS[place::2]


def lines(records: list[dict[str, Any]]) -> bytes:
    """An object a line."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def segment_logs() -> dict[str, bytes]:
    """`segment-logs/{source}/{day}/*.gz`, gzip with a member for each append."""
    files = {}
    for place, source in enumerate(SOURCES):
        records = [
            event | {"projectId": source, "writeKey": f"vendor-{source}", "version": 2}
            for event in _of_source(place)
        ]
        for part in range(3):
            mine = records[part::3]
            name = f"segment-logs/{source}/{1_790_812_800_000 + part * 86_400_000}/{part}.1.2.gz"
            files[name] = gzip.compress(lines(mine[:9])) + gzip.compress(lines(mine[9:]))
    return files


def rudder_logs() -> dict[str, bytes]:
    """`rudder-logs/{source}/{day}/*.json.gz`; nothing in a record says whose it is."""
    return {
        f"prefix/rudder-logs/{source}/{day}/17908.{source}.{place}-x.json.gz": gzip.compress(
            lines([event | {"channel": "web"} for event in _of_source(place)[part::2]])
        )
        for place, source in enumerate(SOURCES)
        for part, day in enumerate(("2026-10-01", "10-02-2026"))
    }  # fmt: skip


def rudder_archive() -> dict[str, bytes]:
    """`{source}/gw/{day}/{hour}/{instance}/*.json.gz`: each message inside of a record."""
    return {
        f"raw/{source}/gw/2026-10-01/9/1/1_2_w_{place}.json.gz": gzip.compress(
            lines([
                {"userId": "job", "createdAt": event["receivedAt"], "messageId": event["messageId"],
                 "payload": {name: value for name, value in event.items() if name != "receivedAt"}}
                for event in _of_source(place)
            ])
        )
        for place, source in enumerate(SOURCES)
    }  # fmt: skip


def rows_of(kind: str) -> list[dict[str, Any]]:
    """The table of a type of messages, as it is in a warehouse."""
    rows = []
    for event in EVENTS:
        if event["type"] == kind:
            row = {snake: event.get(name) for name, snake in _SNAKE.items()}
            row["context_ip"] = event["context"]["ip"]
            row["note"] = event["properties"]["note"]
            if row["event"]:
                row |= {"event_text": row["event"], "event": row["event"].lower().replace(" ", "_")}
            rows.append(row)
    return rows


def as_csv(rows: list[dict[str, Any]], upper: bool = False, **form: Any) -> bytes:
    """A table in text, as PostgreSQL and others write times."""
    text = io.StringIO()
    writer = csv.writer(text, **form)
    writer.writerow(name.upper() if upper else name for name in rows[0])
    for row in rows:
        times = {
            name: row[name].replace("T", " ").replace("Z", "+00")
            for name in row.keys() & {"received_at", "original_timestamp"}
        }
        writer.writerow((row | times).values())
    return text.getvalue().encode()


def as_parquet(rows: list[dict[str, Any]], **form: Any) -> bytes:
    """A table in Parquet, with times as times."""
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    for name in columns.keys() & {"received_at", "original_timestamp"}:
        columns[name] = [datetime.fromisoformat(text) for text in columns[name]]
    file = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), file, **form)
    return file.getvalue()


def warehouse() -> dict[str, bytes]:
    """The tables of one source, unloaded in various ways; one repeats rows of another."""
    tracks = rows_of("track")
    return {
        "warehouse/tracks_000.csv.gz": gzip.compress(as_csv(tracks[:15])),
        "warehouse/tracks_001.csv": as_csv(tracks[15:], delimiter="\t"),
        "warehouse/order_completed.parquet": as_parquet(
            [row for row in tracks if row["event"] == "order_completed"]
        ),
        "warehouse/IDENTIFIES.CSV": as_csv(rows_of("identify"), upper=True, quoting=csv.QUOTE_ALL),
        "warehouse/pages.parquet": as_parquet(rows_of("page"), row_group_size=7),
        "warehouse/screens/part-00000-1.c000.snappy.parquet": as_parquet(rows_of("screen")[:9]),
        "warehouse/screens/part-00001-1.c000.snappy.parquet": as_parquet(rows_of("screen")[9:]),
        "warehouse/prod.groups.csv": b"\xef\xbb\xbf"
        + as_csv(rows_of("group"), lineterminator="\n"),
        "warehouse/aliases.parquet": as_parquet(rows_of("alias"), compression="zstd"),
    }


def _orders() -> bytes:
    """A table of nobody's making, with numbers for times."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";")
    writer.writerow(("order_number", "customer_id", "guest_id", "placed", "total"))
    for number in range(50):
        customer = f"c{number % 9}" if number % 2 else "NULL"
        writer.writerow((number, customer, f"g{number % 5}", 1_790_812_800 + number * 3600, "9,5"))
    return text.getvalue().encode()


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """A zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


_FILES: Mapping[str, Callable[[], bytes]] = {
    "export.json": lambda: json.dumps(EVENTS, indent=2).encode("utf-8-sig"),
    "orders.csv": _orders,
    "archive.ndjson.xz": lambda: lzma.compress(lines(EVENTS)),
    "events.zip": lambda: zip_of({"events.ndjson": lines(EVENTS)}),
    "archive/one.ndjson": lambda: lines(EVENTS[:120]),
    "archive/two.JSONL.GZ": lambda: gzip.compress(lines(EVENTS[120:]) + b"not a record\n"),
}


def files_of(*names: str) -> dict[str, bytes]:
    """Single files by name; all of them where none is named."""
    return {name: made() for name, made in _FILES.items() if not names or name in names}
