"""What waits to be forwarded: whether it can be opened, how much and how old it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headcount.backlog import duration_text
from headcount.catalog.view import catalog_view
from headcount.datafolder import DataFolder
from headcount.doctor.findings import Finding, ok, problem, warning
from headcount.errors import DataFolderError
from headcount.spool.delivered import read_progress
from headcount.spool.segment_files import (
    folder_of_source,
    opened_segment,
    segments_of,
    sources_in,
)
from headcount.spool.segments import FIRST_RECORD, RECORD_HEAD_BYTES
from headcount.spool.spool_key import fingerprint_of, read_spool_key, spool_key_place
from headcount.wording import number_of

__all__ = ["check_spool"]

_BEHIND_MS = 3_600_000


def check_spool(folder: DataFolder, hash_key: Path | None, now_ms: int) -> Iterator[Finding]:
    """Look at what waits for vendors; reads the heads of records, and opens none."""
    with catalog_view(folder.catalog) as catalog:
        names = catalog.source_names()
    sources = [number for number in sources_in(folder.spool) if number in names]
    waiting = {number: segments_of(folder_of_source(folder.spool, number)) for number in sources}
    if not any(waiting.values()):
        yield ok("spool", "Nothing waits to be forwarded.")
        return
    key_id = None
    try:
        key_id = fingerprint_of(read_spool_key(spool_key_place(folder, hash_key)))
    except DataFolderError as error:
        yield problem("spool", error.problem, error.remedy)
    for number, paths in waiting.items():
        place = folder_of_source(folder.spool, number)
        yield from _of_source(place, (number, names[number]), paths, key_id, now_ms)


def _of_source(
    folder: Path, source: tuple[int, str], paths: list[Path], key_id: bytes | None, now_ms: int
) -> Iterator[Finding]:
    number, name = source
    progress = read_progress(folder)
    messages = nbytes = damaged = other_key = 0
    oldest_ms: int | None = None
    for path in paths:
        try:
            with opened_segment(path) as segment:
                nbytes += segment.size
                mark = segment.mark()
                if segment.head is None:
                    damaged += segment.size >= FIRST_RECORD
                    continue
                other_key += key_id is not None and segment.head.key_id != key_id
                at = progress.delivered.get(path.name, FIRST_RECORD)
                end = at if mark is None else mark.end
                while at < end:
                    record = segment.record_at(at)
                    if record is None:
                        damaged += 1
                        at = segment.next_record(at + 1, end)
                        continue
                    messages += record.messages
                    oldest_ms = min(oldest_ms or record.received_at_ms, record.received_at_ms)
                    at += RECORD_HEAD_BYTES + record.sealed_bytes
        except FileNotFoundError:  # it has just been delivered
            continue
    details = {"source": number, "messages": messages, "bytes": nbytes}
    if damaged:
        yield problem(
            "spool",
            f"Of what source {name} is to forward,"
            f" {number_of(damaged, 'record', 'is', 'are')} damaged.",
            "They are passed over and tallied as damaged; what they held is counted all the same.",
            **details,
        )
    if other_key:
        yield problem(
            "spool",
            f"What source {name} is to forward was sealed under another key.",
            "Put that key back (spool.key, beside the hash key); else it is dropped when its days"
            " are over.",
            **details,
        )
    behind_ms = 0 if oldest_ms is None else now_ms - oldest_ms
    waiting = number_of(messages, "message")
    said = f"Source {name} has {waiting} to forward ({nbytes:,} bytes)"
    if behind_ms > _BEHIND_MS:
        yield warning(
            "spool",
            f"{said}, the oldest for {duration_text(behind_ms)}.",
            "See what the vendor answers: headcount source forward SOURCE --show",
            **details,
        )
    else:
        yield ok("spool", f"{said}.", **details)
