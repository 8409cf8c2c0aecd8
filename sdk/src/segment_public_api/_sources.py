"""Names of sources, as Headcount tells them beside the usage API. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .exceptions import InvalidResponseException

if TYPE_CHECKING:
    from ._core import ClientCore, RequestSerialized

OPERATION = "source_names"
PATH = "/headcount/v1/sources"
RESPONSE_TYPES = {"200": "object"}


def sources_request(client: ClientCore) -> RequestSerialized:
    """The request for all sources of the token's workspace."""
    return client.param_serialize(
        "GET", PATH, header_params={"Accept": "application/json"}, auth_settings=["token"]
    )


def names_by_id(told: Any) -> dict[str, str]:
    """The names in an answer. Raises `InvalidResponseException` for another shape."""
    try:
        names = {source["id"]: source["name"] for source in told["data"]["sources"]}
    except (KeyError, TypeError):
        names = {None: None}
    if not all(isinstance(text, str) for pair in names.items() for text in pair):
        raise InvalidResponseException(reason="the answer does not list sources by id and name")
    return names
