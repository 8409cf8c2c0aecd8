"""Takes a method of an API class and a period; gives every page, or every row, when needed."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Generic, Self, TypeVar

from segment_public_api._pages import ROWS_MAX, Page, PageWalk, Progress, to_records

__all__ = ["PageIterator", "Progress", "RowIterator", "iter_pages", "iter_rows", "to_records"]

RowT = TypeVar("RowT")
PageT = TypeVar("PageT", bound=Page[Any])


class PageIterator(Generic[PageT]):
    """Pages, each read when it is asked for, with `async for`.

    Attributes:
        progress: how far the walk has come.
    """

    def __init__(
        self,
        method: Callable[..., Awaitable[PageT]],
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

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PageT:
        pagination = self._walk.next_pagination()
        if pagination is None:
            raise StopAsyncIteration
        page = await self._method(self._period, pagination, **self._options)
        self._walk.took(page)
        return page


class RowIterator(Generic[RowT]):
    """Rows, whose pages are each read when their first row is asked for, with `async for`.

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

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RowT:
        while True:
            for row in self._rows:
                return row
            self._rows = iter((await anext(self._pages)).rows)


def iter_pages(
    method: Callable[..., Awaitable[PageT]],
    period: str | datetime.date,
    *,
    count: int | None = None,
    cursor: str | None = None,
    **options: Any,
) -> PageIterator[PageT]:
    """Every page of a period, read lazily, with `async for`.

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
    method: Callable[..., Awaitable[Page[RowT]]],
    period: str | datetime.date,
    *,
    count: int | None = None,
    cursor: str | None = None,
    **options: Any,
) -> RowIterator[RowT]:
    """Every row of a period, its pages read lazily, with `async for`.

    Arguments and errors are those of `iter_pages`, save that without a `count` the largest pages
    are asked for: who wants all rows wants few requests.
    """
    count = ROWS_MAX if count is None else count
    return RowIterator(PageIterator(method, period, count=count, cursor=cursor, **options))
