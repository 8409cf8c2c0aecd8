"""The operations of the usage API. Takes their arguments; gives requests and types. No I/O."""

from __future__ import annotations

import datetime
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, ParamSpec, TypeVar, cast

from pydantic import Field, StrictFloat, StrictInt, StrictStr, validate_call

from ._hosts import SERVERS
from .exceptions import ApiException
from .models.get_daily_per_source_api_calls_usage200_response import (
    GetDailyPerSourceAPICallsUsage200Response,
)
from .models.get_daily_per_source_mtu_usage200_response import (
    GetDailyPerSourceMTUUsage200Response,
)
from .models.get_daily_workspace_api_calls_usage200_response import (
    GetDailyWorkspaceAPICallsUsage200Response,
)
from .models.get_daily_workspace_mtu_usage200_response import GetDailyWorkspaceMTUUsage200Response
from .models.pagination_input import PaginationInput

if TYPE_CHECKING:
    from ._core import ClientCore, RequestSerialized

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

ACCEPT = "application/vnd.segment.v1+json"

Seconds = Annotated[StrictFloat, Field(gt=0)]

Period = Annotated[
    StrictStr | Annotated[datetime.date, Field(strict=True)],
    Field(description="A day of the usage month, in ISO 8601 or as a date."),
]
Pagination = Annotated[PaginationInput | None, Field(description="Which page to give.")]
RequestTimeout = Seconds | tuple[Seconds, Seconds] | None
RequestAuth = dict[StrictStr, Any] | None
ContentType = StrictStr | None
Headers = dict[StrictStr, Any] | None
HostIndex = Annotated[StrictInt, Field(ge=0, lt=len(SERVERS))]


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One documented GET: its method name, its path, and the model of its answer."""

    name: str
    path: str
    response: type[T]


DAILY_PER_SOURCE_API_CALLS = Operation(
    "get_daily_per_source_api_calls_usage",
    "/usage/api-calls/sources/daily",
    GetDailyPerSourceAPICallsUsage200Response,
)
DAILY_WORKSPACE_API_CALLS = Operation(
    "get_daily_workspace_api_calls_usage",
    "/usage/api-calls/daily",
    GetDailyWorkspaceAPICallsUsage200Response,
)
DAILY_PER_SOURCE_MTU = Operation(
    "get_daily_per_source_mtu_usage",
    "/usage/mtu/sources/daily",
    GetDailyPerSourceMTUUsage200Response,
)
DAILY_WORKSPACE_MTU = Operation(
    "get_daily_workspace_mtu_usage",
    "/usage/mtu/daily",
    GetDailyWorkspaceMTUUsage200Response,
)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call of an operation, with the arguments that every operation takes."""

    operation: Operation[T]
    period: str | datetime.date
    pagination: PaginationInput | None
    timeout: float | tuple[float, float] | None
    auth: dict[str, Any] | None
    content_type: str | None
    headers: dict[str, Any] | None
    host_index: int

    @property
    def response_types(self) -> dict[str, Any]:
        """Status to the model of its body."""
        return {"200": self.operation.response}

    @property
    def secret(self) -> str | None:
        """The credential given with this call alone, if any."""
        return None if self.auth is None else str(self.auth.get("value", ""))

    def request(self, client: ClientCore) -> RequestSerialized:
        """The request that `client` would send. Raises `ApiValueError`."""
        period = self.period
        if isinstance(period, datetime.date):
            period = period.strftime(client.configuration.date_format)
        query: list[tuple[str, Any]] = [("period", period)]
        pagination = client.sanitize_for_serialization(self.pagination)
        # An empty object says nothing, and not every server reads it as nothing.
        if pagination:
            query.append(("pagination", pagination))
        headers = {"Accept": ACCEPT, **(self.headers or {})}
        if self.content_type is not None:
            headers["Content-Type"] = self.content_type
        host = client.configuration.host_for_operation(self.operation.name, self.host_index)
        return client.param_serialize(
            method="GET",
            resource_path=self.operation.path,
            query_params=query,
            header_params=headers,
            auth_settings=["token"],
            _host=host,
            _request_auth=self.auth,
        )

    def named(self) -> _Named:
        """Errors that leave the block say which operation failed."""
        return _Named(self.operation.name)


class _Named:
    """Of a class, since a block by a generator takes three times as long."""

    __slots__ = ("_operation",)

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ApiException):
            error.operation = self._operation


def checked(method: Callable[P, R]) -> Callable[P, R]:
    """A method of an API class whose arguments are validated, unless the client says not to.

    The validator is built at the first call, which keeps importing cheap. A wrong or missing
    argument raises pydantic's `ValidationError`.
    """
    validating: list[Callable[..., Any]] = []

    def chosen(api: Any) -> Callable[..., Any]:
        if not api.api_client.client_side_validation:
            return method
        if not validating:
            validating.append(validate_call(method))
        return validating[0]

    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def later(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            return await chosen(self)(self, *args, **kwargs)

        return cast("Callable[P, R]", later)

    @functools.wraps(method)
    def now(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return chosen(self)(self, *args, **kwargs)

    return cast("Callable[P, R]", now)
