"""Usage as the demo reads it: takes rows as every command reads them, gives them by day and scope.

Whoever runs the demo hands in how rows are read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Literal

from headcount.demo.expected import Key, Usage

__all__ = ["Rows", "RowsOf", "differences", "read_usage", "wait_for_calls"]

Rows = Callable[[Literal["workspace", "source"], date, date], Sequence[Mapping[str, Any]]]
"""The rows of a workspace, or of its sources, of the months from one day's to another's."""

RowsOf = Callable[[str, str], Rows]
"""How rows are read from a host, which is the beginning of a URL, with a token."""

_POLL_S = 0.25
_VISIBLE_WITHIN_S = 30.0


def read_usage(rows: Rows, first: date, last: date, names: Mapping[str, str]) -> dict[Key, Usage]:
    """Every row of some months.

    Args:
        rows: reads them.
        first, last: a day of the first month and one of the last.
        names: source names by source id.
    """
    read = {Key(row["day"], None): row for row in rows("workspace", first, last)}
    # Lists are read one after the other, and a day may begin meanwhile: it is left out.
    last_day = max(key.day for key in read)
    for row in rows("source", first, last):
        read[Key(row["day"], names[row["source_id"]])] = row
    return {
        key: Usage(*(row[name] for name in Usage._fields))
        for key, row in read.items()
        if key.day <= last_day and row["mtu"] is not None
    }


def wait_for_calls(rows: Rows, today: date, api_calls: int) -> bool:
    """Whether the workspace's API calls of this month become at least so many, soon."""
    ends_at_s = time.monotonic() + _VISIBLE_WITHIN_S
    while max(row["api_calls"] or 0 for row in rows("workspace", today, today)) < api_calls:
        if time.monotonic() > ends_at_s:
            return False
        time.sleep(_POLL_S)
    return True


def differences(expected: Mapping[Key, Usage], read: Mapping[Key, Usage]) -> Iterator[str]:
    """Where usage is not what it must be, a line each."""
    for key in sorted(expected.keys() | read.keys(), key=lambda key: (key.day, key.source or "")):
        if expected.get(key) != read.get(key):
            scope = key.source or "workspace"
            yield f"{key.day} {scope}: expected {expected.get(key)}, read {read.get(key)}"
