"""What the asynchronous API classes share. Takes a `Call`; gives its answer."""

from __future__ import annotations

from typing import TypeVar

from aiohttp import ClientResponse

from segment_public_api._operations import Call
from segment_public_api.api_response import ApiResponse

from .api_client import ApiClient

T = TypeVar("T")


class AsyncUsageApi:
    """Makes calls with one client."""

    def __init__(self, api_client: ApiClient | None = None) -> None:
        self.api_client = api_client or ApiClient.get_default()

    async def _fetch(self, call: Call[T]) -> ApiResponse[T]:
        client = self.api_client
        with call.named():
            answer = await client.call_api(
                *call.request(client), _request_timeout=call.timeout, _secret=call.secret
            )
            return client.response_deserialize(answer, call.response_types)

    async def _raw(self, call: Call[T]) -> ClientResponse:
        client = self.api_client
        with call.named():
            answer = await client.call_api(
                *call.request(client),
                _request_timeout=call.timeout,
                _preload_content=False,
                _secret=call.secret,
            )
            return answer.response
