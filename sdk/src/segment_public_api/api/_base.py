"""What the synchronous API classes share. Takes a `Call`; gives its answer."""

# Made of aio/_base.py by scripts/synchronous.py: change that file, and run it.

from __future__ import annotations

from typing import TypeVar

from urllib3 import BaseHTTPResponse

from segment_public_api._operations import Call
from segment_public_api.api_client import ApiClient
from segment_public_api.api_response import ApiResponse

T = TypeVar("T")


class UsageApi:
    """Makes calls with one client."""

    def __init__(self, api_client: ApiClient | None = None) -> None:
        self.api_client = api_client or ApiClient.get_default()

    def _fetch(self, call: Call[T]) -> ApiResponse[T]:
        client = self.api_client
        with call.named():
            answer = client.call_api(
                *call.request(client), _request_timeout=call.timeout, _secret=call.secret
            )
            return client.response_deserialize(answer, call.response_types)

    def _raw(self, call: Call[T]) -> BaseHTTPResponse:
        client = self.api_client
        with call.named():
            answer = client.call_api(
                *call.request(client),
                _request_timeout=call.timeout,
                _preload_content=False,
                _secret=call.secret,
            )
            return answer.response
