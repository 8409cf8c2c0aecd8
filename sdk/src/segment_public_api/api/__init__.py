"""The classes that make calls, one a module. Each is imported when it is first used."""

from typing import TYPE_CHECKING

from segment_public_api._lazy import lazy

if TYPE_CHECKING:
    from .api_calls_api import APICallsApi
    from .monthly_tracked_users_api import MonthlyTrackedUsersApi

__all__ = ["APICallsApi", "MonthlyTrackedUsersApi"]

MODULE_BY_NAME = {
    "APICallsApi": "api_calls_api",
    "MonthlyTrackedUsersApi": "monthly_tracked_users_api",
}

# Type checkers see the imports above; `__getattr__` would tell them that any name exists.
if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy(__name__, MODULE_BY_NAME)
