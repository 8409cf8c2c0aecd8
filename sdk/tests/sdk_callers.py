"""The two clients behind one face: a configuration and a call in, what it gave or raised out."""

from __future__ import annotations

import asyncio
from typing import Any

import segment_public_api
from segment_public_api import Configuration, aio

API_BY_METHOD = {"api_calls": "APICallsApi", "mtu": "MonthlyTrackedUsersApi"}


def api_name(method: str) -> str:
    return next(api for part, api in API_BY_METHOD.items() if part in method)


def call_sync(configuration: Configuration, method: str, *args: Any, **kwargs: Any) -> Any:
    with segment_public_api.ApiClient(configuration) as client:
        api = getattr(segment_public_api, api_name(method))(client)
        return getattr(api, method)(*args, **kwargs)


def call_async(configuration: Configuration, method: str, *args: Any, **kwargs: Any) -> Any:
    async def run() -> Any:
        async with aio.ApiClient(configuration) as client:
            api = getattr(aio, api_name(method))(client)
            return await getattr(api, method)(*args, **kwargs)

    return asyncio.run(run())
