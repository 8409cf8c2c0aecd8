"""Takes a method of an API class and a period; gives every page, or every row, as they are needed.

`PageWalk`, the bookkeeping, does no I/O; the iterators here and in `aio` share it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from .exceptions import RepeatedCursorException
from .models.pagination_input import PaginationInput
from .models.pagination_output import PaginationOutput

__all__ = ["PageIterator", "Progress", "RowIterator", "iter_pages", "iter_rows", "to_records"]

RowT = TypeVar("RowT")
RowT_co = TypeVar("RowT_co", covariant=True)


class Page(Protocol[RowT_co]):
    """What walking needs of an answer."""

    @property
    def rows(self) -> Sequence[RowT_co]: ...

    @property
    def pagination(self) -> PaginationOutput | None: ...


PageT = TypeVar("PageT", bound=Page[Any])


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


class PageIterator(Generic[PageT]):
    """Pages, each read when it is asked for.

    Attributes:
        progress: how far the walk has come.
    """

    def __init__(
        self,
        method: Callable[..., PageT],
        period: str | datetime.date,
        *,
        count: int | None = None,
        cursor: str | None = None,
        **options: Any,
    ) -> None:
        self._method = method
        self._period = period
        self._options = options
        self._walk = PageWalk(count, cursor)

    @property
    def progress(self) -> Progress:
        """How far the walk has come."""
        return self._walk.progress

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> PageT:
        pagination = self._walk.next_pagination()
        if pagination is None:
            raise StopIteration
        page = self._method(self._period, pagination, **self._options)
        self._walk.took(page)
        return page


class RowIterator(Generic[RowT]):
    """Rows, whose pages are each read when their first row is asked for.

    Attributes:
        progress: how far the walk has come; `rows` counts those of every page read.
    """

    def __init__(self, pages: PageIterator[Any]) -> None:
        self._pages = pages
        self._rows: Iterator[RowT] = iter(())

    @property
    def progress(self) -> Progress:
        """How far the walk has come."""
        return self._pages.progress

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> RowT:
        while True:
            for row in self._rows:
                return row
            self._rows = iter(next(self._pages).rows)


def iter_pages(
    method: Callable[..., PageT],
    period: str | datetime.date,
    *,
    count: int | None = None,
    cursor: str | None = None,
    **options: Any,
) -> PageIterator[PageT]:
    """Every page of a period, read lazily.

    Args:
        method: a plain method of an API class, such as
            `APICallsApi(client).get_daily_workspace_api_calls_usage`.
        period: as the method takes it.
        count: rows a page, 1 to 1000; None is the server's default.
        cursor: where to begin, from an earlier walk's `progress.cursor`; None is the beginning.
        options: further arguments of the method, such as `_request_timeout`.

    Raises:
        RepeatedCursorException: while iterating, when the server names a page again and rows are
            missing.
        ApiException: while iterating, as the method does.
    """
    return PageIterator(method, period, count=count, cursor=cursor, **options)


def iter_rows(
    method: Callable[..., Page[RowT]],
    period: str | datetime.date,
    *,
    count: int | None = None,
    cursor: str | None = None,
    **options: Any,
) -> RowIterator[RowT]:
    """Every row of a period, its pages read lazily. Arguments and errors as for `iter_pages`."""
    return RowIterator(PageIterator(method, period, count=count, cursor=cursor, **options))


def to_records(snapshots: Iterable[Record]) -> list[dict[str, Any]]:
    """Snapshots as flat rows with numbers and dates, as `pandas.DataFrame` and `polars` take them.

    Args:
        snapshots: rows of any of the four operations.
    """
    return [snapshot.to_record() for snapshot in snapshots]
