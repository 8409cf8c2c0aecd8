"""Wrong uses that a type checker must find, one on every line that says so; never run."""

from __future__ import annotations

import segment_public_api as sdk
from segment_public_api import aio

sync_api = sdk.APICallsApi(sdk.ApiClient(sdk.Configuration(retries="3")))  # wrong
async_api = aio.APICallsApi(sdk.ApiClient())  # wrong
sync_api.get_daily_workspace_api_calls_usage(20210201)  # wrong
sync_api.get_daily_workspace_api_calls_usage("2021-02-01", count=5)  # wrong
print(sync_api.get_daily_workspace_api_calls_usage("2021-02-01").rows[0].identified)  # wrong
sdk.iter_rows(async_api.get_daily_workspace_api_calls_usage, "2021-02-01")  # wrong
print(sdk.no_such_name)  # wrong
