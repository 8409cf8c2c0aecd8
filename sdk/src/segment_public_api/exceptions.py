"""Every error of this package. Takes what went wrong; gives an exception that says what to do.

    OpenApiException
    ├── ApiTypeError (TypeError)
    ├── ApiValueError (ValueError)
    ├── ApiAttributeError (AttributeError)
    ├── ApiKeyError (KeyError)
    └── ApiException                        a call that failed; 429 had only this class before
        ├── BadRequestException             400
        ├── UnauthorizedException           401
        ├── ForbiddenException              403
        ├── NotFoundException               404
        ├── ConflictException               409
        ├── UnprocessableEntityException    422
        ├── TooManyRequestsException        429
        ├── ServiceException                500 to 599
        ├── RedirectException               a redirect that the token must not follow
        ├── InvalidResponseException        also ApiValueError: not JSON, or not the promised shape
        ├── RepeatedCursorException         paging that would never end
        └── ConnectionException             also urllib3's MaxRetryError: no whole answer came
            ├── ConnectFailedException      also urllib3's NewConnectionError
            ├── ConnectTimeoutException     also urllib3's ConnectTimeoutError
            ├── ReadTimeoutException        also urllib3's ReadTimeoutError
            ├── BrokenConnectionException   also urllib3's ProtocolError
            └── TlsException                also urllib3's SSLError

The documented client lets urllib3's errors through; a handler written for those still works.
"""

from __future__ import annotations

import email.utils
import time
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from urllib3 import exceptions as urllib3_exceptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ApiAttributeError",
    "ApiException",
    "ApiKeyError",
    "ApiTypeError",
    "ApiValueError",
    "BadRequestException",
    "BrokenConnectionException",
    "ConflictException",
    "ConnectFailedException",
    "ConnectTimeoutException",
    "ConnectionException",
    "ForbiddenException",
    "InvalidResponseException",
    "NotFoundException",
    "OpenApiException",
    "ReadTimeoutException",
    "RedirectException",
    "RepeatedCursorException",
    "ServiceException",
    "TlsException",
    "TooManyRequestsException",
    "UnauthorizedException",
    "UnprocessableEntityException",
]

REQUEST_ID_HEADERS = ("x-request-id", "request-id")


class HttpAnswer(Protocol):
    """What `ApiException` reads of a response; any object that has these attributes will do."""

    @property
    def status(self) -> int: ...

    @property
    def reason(self) -> str | None: ...

    @property
    def data(self) -> bytes | None: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


class OpenApiException(Exception):
    """The base of every error that this package raises."""


class ApiTypeError(OpenApiException, TypeError):
    """A value of the wrong type.

    Args:
        msg: what is wrong.
        path_to_item: keys and places that lead to the value; added to the message.
        valid_classes: the types that would have been right.
        key_type: whether it is a key of a dict (True), a value of one (False), or neither (None).
    """

    def __init__(
        self,
        msg: str,
        path_to_item: Sequence[Any] | None = None,
        valid_classes: tuple[type, ...] | None = None,
        key_type: bool | None = None,
    ) -> None:
        super().__init__(_placed(msg, path_to_item))
        self.path_to_item = path_to_item
        self.valid_classes = valid_classes
        self.key_type = key_type


class ApiValueError(OpenApiException, ValueError):
    """A value of the right type that cannot be used; `path_to_item` leads to it."""

    path_to_item: Sequence[Any] | None = None

    def __init__(self, msg: str, path_to_item: Sequence[Any] | None = None) -> None:
        super().__init__(_placed(msg, path_to_item))
        self.path_to_item = path_to_item


class ApiAttributeError(OpenApiException, AttributeError):
    """An attribute that does not exist; `path_to_item` leads to it."""

    path_to_item: Sequence[Any] | None = None

    def __init__(self, msg: str, path_to_item: Sequence[Any] | None = None) -> None:
        super().__init__(_placed(msg, path_to_item))
        self.path_to_item = path_to_item


class ApiKeyError(OpenApiException, KeyError):
    """A key that does not exist; `path_to_item` leads to it."""

    path_to_item: Sequence[Any] | None = None

    def __init__(self, msg: str, path_to_item: Sequence[Any] | None = None) -> None:
        super().__init__(_placed(msg, path_to_item))
        self.path_to_item = path_to_item

    def __str__(self) -> str:
        return Exception.__str__(self)


class ApiException(OpenApiException):
    """A call that failed.

    Attributes:
        status: HTTP status; 0 where no answer came.
        reason: the status line's words, or what failed.
        body: the answer's body as text, or None.
        data: the decoded error envelope (`RequestErrorEnvelope`), or None.
        headers: the answer's headers, found in any case; or None.
        operation: name of the method that was called, or None.
        host: host and port that were asked, or None.
    """

    def __init__(
        self,
        status: int | None = None,
        reason: str | None = None,
        http_resp: HttpAnswer | None = None,
        *,
        body: str | None = None,
        data: Any | None = None,
    ) -> None:
        self.status = status
        self.reason: Any = reason
        self.body = body
        self.data = data
        self.headers: Mapping[str, str] | None = None
        self.operation: str | None = None
        self.host: str | None = None
        if http_resp is not None:
            self.status = http_resp.status if status is None else status
            self.reason = http_resp.reason if reason is None else reason
            if body is None and http_resp.data is not None:
                self.body = http_resp.data.decode("utf-8", "replace")
            self.headers = http_resp.headers
        # The bases from urllib3 want a pool, which an answerless call does not have.
        Exception.__init__(self, status, reason)

    @classmethod
    def from_response(
        cls, *, http_resp: HttpAnswer, body: str | None, data: Any | None
    ) -> NoReturn:
        """Raise the class that belongs to the status of `http_resp`."""
        raise class_for_status(http_resp.status)(http_resp=http_resp, body=body, data=data)

    @property
    def request_id(self) -> str | None:
        """The id under which the server's own log knows this request, or None."""
        headers = {name.lower(): value for name, value in (self.headers or {}).items()}
        return next((headers[name] for name in REQUEST_ID_HEADERS if name in headers), None)

    def __str__(self) -> str:
        text = f"({self.status})\nReason: {self.reason}\n"
        if self.headers:
            text += f"HTTP response headers: {self.headers}\n"
        if self.body:
            text += f"HTTP response body: {self.body}\n"
        if self.data:
            text += f"HTTP response data: {self.data}\n"
        where = [
            f"{label}: {value}"
            for label, value in (
                ("Operation", self.operation),
                ("Host", self.host),
                ("Request id", self.request_id),
            )
            if value
        ]
        return text + "".join(f"{line}\n" for line in where)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(status={self.status!r}, reason={self.reason!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuilt, (type(self), self.__dict__.copy()))


def _rebuilt(kind: type[ApiException], attributes: dict[str, Any]) -> ApiException:
    exception = kind(attributes.get("status"), attributes.get("reason"))
    exception.__dict__.update(attributes)
    return exception


class BadRequestException(ApiException):
    """400: the server could not read the request."""


class UnauthorizedException(ApiException):
    """401: the access token is missing, unknown, expired or revoked."""


class ForbiddenException(ApiException):
    """403: the token may not do this."""


class NotFoundException(ApiException):
    """404: no such thing, for example a period before the workspace's first usage."""


class ConflictException(ApiException):
    """409: the request contradicts the present state."""


class UnprocessableEntityException(ApiException):
    """422: an argument has no usable value; `data.errors` names the field."""


class TooManyRequestsException(ApiException):
    """429: the token's requests for this while are used up."""

    @property
    def retry_after_s(self) -> float | None:
        """Seconds until the server accepts requests again, counted from now for a date; or None."""
        return retry_after_s(self.headers or {})


class ServiceException(ApiException):
    """500 to 599: the server failed."""


class RedirectException(ApiException):
    """The server pointed elsewhere, to where the access token must not be sent."""


class InvalidResponseException(ApiException, ApiValueError):
    """An answer that is not JSON, or JSON of another shape; the message shows its first bytes."""


class RepeatedCursorException(ApiException):
    """The server named a page as the next one that was read before, with rows still missing."""


class ConnectionException(ApiException, urllib3_exceptions.MaxRetryError):
    """No whole answer came, from the connection to the last byte."""


# urllib3 declares `pool` an attribute in one branch and a property in the other; neither is used.
class ConnectFailedException(  # type: ignore[misc]
    ConnectionException, urllib3_exceptions.NewConnectionError
):
    """No connection could be made: refused, unreachable, or a name that nobody knows."""


class ConnectTimeoutException(ConnectionException, urllib3_exceptions.ConnectTimeoutError):
    """No connection was made in time."""


class ReadTimeoutException(ConnectionException, urllib3_exceptions.ReadTimeoutError):
    """The answer, or its rest, did not come in time."""


class BrokenConnectionException(ConnectionException, urllib3_exceptions.ProtocolError):
    """The connection ended, or turned to nonsense, before the answer was whole."""


class TlsException(ConnectionException, urllib3_exceptions.SSLError):
    """The server's certificate, or the TLS handshake, is not acceptable."""


_CLASS_BY_STATUS: dict[int, type[ApiException]] = {
    400: BadRequestException,
    401: UnauthorizedException,
    403: ForbiddenException,
    404: NotFoundException,
    409: ConflictException,
    422: UnprocessableEntityException,
    429: TooManyRequestsException,
}


def class_for_status(status: int) -> type[ApiException]:
    """The exception class that belongs to an HTTP status."""
    if 500 <= status <= 599:
        return ServiceException
    if 300 <= status <= 399:
        return RedirectException
    return _CLASS_BY_STATUS.get(status, ApiException)


def _placed(msg: str, path_to_item: Sequence[Any] | None) -> str:
    return f"{msg} at {render_path(path_to_item)}" if path_to_item else msg


def render_path(path_to_item: Sequence[Any]) -> str:
    """Keys and places as Python would write them: `['rows'][0]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f"['{part}']" for part in path_to_item)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that a `Retry-After` header asks for, be it a number or a date.

    Returns None where the header is missing or says neither.
    """
    value = next((v for name, v in headers.items() if name.lower() == "retry-after"), None)
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    moment = email.utils.parsedate_tz(value)
    return None if moment is None else max(0.0, email.utils.mktime_tz(moment) - time.time())
