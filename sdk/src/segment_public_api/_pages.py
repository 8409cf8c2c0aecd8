"""Takes pages as they are read; gives the next one to ask for, and rows as records. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from .exceptions import RepeatedCursorException
from .models.pagination_input import PaginationInput
from .models.pagination_output import PaginationOutput

ROWS_MAX = 1000
"""The most rows that a page may hold."""

RowT_co = TypeVar("RowT_co", covariant=True)


class Page(Protocol[RowT_co]):
    """What walking needs of an answer."""

    @property
    def rows(self) -> Sequence[RowT_co]: ...

    @property
    def pagination(self) -> PaginationOutput | None: ...


class Record(Protocol):
    """Anything that can become one flat row."""

    def to_record(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a walk has come.

    Attributes:
        pages: pages read.
        rows: rows read.
        rows_total: rows of all pages, as the last page said; None where the server does not say.
        cursor: where the next page begins, to go on later; None before the first page is read and
            after the last.
    """

    pages: int = 0
    rows: int = 0
    rows_total: int | None = None
    cursor: str | None = None


class PageWalk:
    """Which page comes next. Refuses a cursor that it has seen before."""

    def __init__(self, count: int | None, cursor: str | None) -> None:
        self.progress = Progress(cursor=cursor)
        self._count = count
        self._seen = {cursor}
        self._ended = False

    def next_pagination(self) -> PaginationInput | None:
        """What to ask for next; None once the walk has ended.

        Raises:
            RepeatedCursorException: the last page named one that was read before as its next.
        """
        if self._ended:
            return None
        progress = self.progress
        if progress.pages and progress.cursor in self._seen:
            raise RepeatedCursorException(
                status=0,
                reason=f"the server names page {progress.cursor!r} again, after {progress.rows} "
                f"of {progress.rows_total or 'an unknown number of'} rows",
            )
        self._seen.add(progress.cursor)
        return PaginationInput(cursor=progress.cursor, count=self._count)

    def took(self, page: Page[Any]) -> None:
        """Note a page that was read."""
        where = page.pagination
        following = where.next if where else None
        total = where.total_entries if where else None
        if where:
            self._seen.add(where.current)
        self.progress = Progress(
            pages=self.progress.pages + 1,
            rows=self.progress.rows + len(page.rows),
            rows_total=None if total is None else int(total),
            cursor=following,
        )
        # A server that repeats itself after its last row has still given everything.
        whole = total is not None and self.progress.rows >= total
        self._ended = following is None or (whole and following in self._seen)


def to_records(
    snapshots: Iterable[Record], names: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Snapshots as flat rows with numbers and dates, as `pandas.DataFrame` and `polars` take them.

    Args:
        snapshots: rows of any of the four operations.
        names: of sources, by id, as `source_names` gives them: rows of a source get a `source`
            beside their `source_id`; the id itself where it has no name.
    """
    records = [snapshot.to_record() for snapshot in snapshots]
    return records if names is None else [_with_name(record, names) for record in records]


def _with_name(record: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    made = {}
    for key, value in record.items():
        made[key] = value
        if key == "source_id":
            made["source"] = names.get(value, value)
    return made
