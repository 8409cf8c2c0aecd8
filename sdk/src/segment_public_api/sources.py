"""Names of sources: takes a client; gives what Headcount calls each source id."""

# Made of aio/sources.py by scripts/synchronous.py: change that file, and run it.

from __future__ import annotations

from typing import TYPE_CHECKING

from segment_public_api._sources import OPERATION, RESPONSE_TYPES, names_by_id, sources_request
from segment_public_api.api_client import ApiClient
from segment_public_api.exceptions import ApiException

if TYPE_CHECKING:
    from segment_public_api.configuration import Timeout

__all__ = ["source_names"]


def source_names(
    api_client: ApiClient | None = None, *, _request_timeout: Timeout = None
) -> dict[str, str]:
    """The names of all sources of the token's workspace, by source id.

    Headcount tells them at an endpoint of its own; a server that has none, such as Segment's,
    answers 404.

    Args:
        api_client: default `ApiClient.get_default()`.
        _request_timeout: seconds for one request, or (connect, read). None is
            `Configuration.request_timeout`.

    Raises:
        NotFoundException: the server tells no names.
        ApiException: the class that belongs to the answer's status; see `exceptions`.
        ConnectionException: no whole answer came in time.
    """
    client = api_client or ApiClient.get_default()
    try:
        answer = client.call_api(*sources_request(client), _request_timeout=_request_timeout)
        return names_by_id(client.response_deserialize(answer, RESPONSE_TYPES).data)
    except ApiException as error:
        error.operation = OPERATION
        raise
