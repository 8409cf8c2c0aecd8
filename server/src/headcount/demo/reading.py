"""Usage as the demo reads it: takes an API address and a token, gives rows by day and scope.

Everything comes through `segment_public_api`, as it would for anybody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import date
from types import TracebackType

from headcount.demo.expected import Key, Usage
from segment_public_api import (
    APICallsApi,
    ApiClient,
    Configuration,
    MonthlyTrackedUsersApi,
    iter_rows,
)

__all__ = ["UsageReader", "differences"]

_POLL_S = 0.25
_VISIBLE_WITHIN_S = 30.0


class UsageReader:
    """Reads the usage of one workspace.

    Args:
        host: where usage is read, as the beginning of a URL.
        token: an API token of the workspace.
        names: source names by source id.
    """

    def __init__(self, host: str, token: str, names: Mapping[str, str]) -> None:
        self._client = ApiClient(Configuration(host=host, access_token=token))
        self._calls = APICallsApi(self._client)
        self._users = MonthlyTrackedUsersApi(self._client)
        self._names = names

    def month(self, first_day: date) -> dict[Key, Usage]:
        """Every row of a month: its four lists, put together by day and scope.

        The lists are read one after the other, and a day may begin meanwhile: its rows are in the
        later lists only, and left out.
        """
        period = first_day.isoformat()
        calls: dict[Key, int] = {}
        rows: dict[Key, Usage] = {}
        for call in iter_rows(self._calls.get_daily_workspace_api_calls_usage, period):
            calls[Key(_day(call.timestamp), None)] = int(call.api_calls)
        last_day = max(key.day for key in calls)
        for each in iter_rows(self._calls.get_daily_per_source_api_calls_usage, period):
            key = Key(_day(each.timestamp), self._names[each.source_id])
            if key.day <= last_day:
                calls[key] = int(each.api_calls)
        for user in iter_rows(self._users.get_daily_workspace_mtu_usage, period):
            key = Key(_day(user.timestamp), None)
            if key.day > last_day:
                continue
            rows[key] = Usage(
                calls.pop(key),
                int(user.identified),
                int(user.anonymous),
                int(user.anonymous_identified),
            )
        for per_source in iter_rows(self._users.get_daily_per_source_mtu_usage, period):
            key = Key(_day(per_source.timestamp), self._names[per_source.source_id])
            if key.day > last_day:
                continue
            rows[key] = Usage(
                calls.pop(key),
                int(per_source.identified),
                int(per_source.anonymous),
                int(per_source.anonymous_identified),
            )
        assert not calls, "both counts have rows for the same days and scopes"
        return rows

    def wait_for_calls(self, today: date, api_calls: int) -> bool:
        """Whether the workspace's API calls of this month become at least so many, soon."""
        ends_at_s = time.monotonic() + _VISIBLE_WITHIN_S
        while self._calls_to_date(today) < api_calls:
            if time.monotonic() > ends_at_s:
                return False
            time.sleep(_POLL_S)
        return True

    def _calls_to_date(self, today: date) -> int:
        rows = iter_rows(
            self._calls.get_daily_workspace_api_calls_usage, today.isoformat(), count=31
        )
        return max(int(row.api_calls) for row in rows)

    def __enter__(self) -> UsageReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.__exit__(kind, error, trace)


def differences(expected: Mapping[Key, Usage], read: Mapping[Key, Usage]) -> Iterator[str]:
    """Where usage is not what it must be, a line each."""
    for key in sorted(expected.keys() | read.keys(), key=lambda key: (key.day, key.source or "")):
        if expected.get(key) != read.get(key):
            scope = key.source or "workspace"
            yield f"{key.day} {scope}: expected {expected.get(key)}, read {read.get(key)}"


def _day(timestamp: str) -> date:
    return date.fromisoformat(timestamp[:10])
