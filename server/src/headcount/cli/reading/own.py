"""What only Headcount answers: takes a connection and a path, gives the answer's `data`.

Refuses nothing by itself; a server that knows no such path, as Segment does not, gives None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headcount.cli.reading.api_connection import ApiConnection
    from headcount.counting.forecast import Forecast

__all__ = ["forecasts_told", "get_own", "require_own", "source_names", "workspace_name"]

_PATH = "/headcount/v1/"


def get_own(connection: ApiConnection, name: str, **query: str) -> Any:
    """What a server says under /headcount/v1/, if it does.

    Args:
        connection: whom to ask.
        name: the rest of the path, such as `"outcomes"`.
        query: names and values of the query.

    Returns:
        The `data` of the answer; None from a server that is not Headcount, or has no such month.

    Raises:
        ApiException: it refused, or did not answer.
    """
    from segment_public_api.exceptions import NotFoundException

    try:
        return require_own(connection, name, **query)
    except NotFoundException:
        return None


def require_own(connection: ApiConnection, name: str, **query: str) -> Any:
    """The same, where what a server that has no such thing says of it is worth more than None.

    Returns:
        The `data` of the answer; None from Segment, which has none of it.

    Raises:
        ApiException: it refused, has no such thing, or did not answer.
    """
    if connection.is_segment:
        return None
    client = connection.client
    request = client.param_serialize(
        "GET", _PATH + name, query_params=query, auth_settings=["token"]
    )
    answer = client.response_deserialize(client.call_api(*request), {"200": "object"})
    return answer.data["data"]


def source_names(connection: ApiConnection) -> dict[str, str]:
    """Names of the workspace's sources by id; empty where the server tells none."""
    told = get_own(connection, "sources")
    sources = [] if told is None else told["sources"]
    return {each["id"]: _writable(each["name"]) for each in sources}


def workspace_name(connection: ApiConnection) -> str | None:
    """The name of the token's workspace; None where the server tells none."""
    told = get_own(connection, "workspace")
    return None if told is None else _writable(told["workspace"]["name"])


def forecasts_told(connection: ApiConnection) -> dict[str, Forecast]:
    """Forecasts of the month that runs, by the API's names; empty where the server tells none."""
    from headcount.counting.forecast import Forecast, Range

    told = get_own(connection, "forecast")
    return {
        name: Forecast(
            int(each["days"][0][-2:]),
            tuple(map(Range, each["likely"], each["low"], each["high"])),
            each["learnedDays"],
            each["learnedMonths"],
        )
        for name, each in ({} if told is None else told["forecasts"]).items()
    }


def _writable(name: str) -> str:
    # Halves of characters, which JSON can hold, can be written nowhere.
    return name.encode("utf-8", "replace").decode()
