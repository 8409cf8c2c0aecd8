"""What both clients share. Takes calls; gives requests; turns answers into data or errors. No I/O.

`ClientCore` holds every method of the documented `ApiClient` that does not wait for the network;
the two clients add who sends, who sleeps and how to close.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self
from urllib.parse import quote, urlencode, urlsplit

from urllib3 import HTTPHeaderDict

from . import _wire
from ._exchange import REDIRECT_STATUSES, AnswerT, RetryPolicy, Send, Step, Timeouts, exchange
from ._hosts import address_of, base_url, same_origin_target
from ._version import __version__
from .api_response import ApiResponse
from .configuration import Configuration
from .exceptions import ApiException, ApiValueError, InvalidResponseException, class_for_status

if TYPE_CHECKING:
    from .configuration import Timeout

RequestSerialized = tuple[str, str, dict[str, str], Any | None, list[tuple[str, str]]]
"""Method, URL, headers, body and form fields: what `param_serialize` gives and `call_api` takes."""


class ReadAnswer(Protocol):
    """A response whose body was read."""

    status: int
    reason: str | None
    data: bytes | None
    secrets: tuple[str, ...]
    url: str

    def getheaders(self) -> Mapping[str, str]: ...

    def getheader(self, name: str, default: str | None = None) -> str | None: ...


class ClientCore:
    """Serialises calls and decodes answers for one configuration.

    Args:
        configuration: default `Configuration.get_default()`.
        header_name, header_value: one more header for every request.
        cookie: a `Cookie` header for every request.
    """

    _default: ClassVar[Any] = None

    def __init__(
        self,
        configuration: Configuration | None = None,
        header_name: str | None = None,
        header_value: str | None = None,
        cookie: str | None = None,
    ) -> None:
        self.configuration = configuration or Configuration.get_default()
        self.default_headers: dict[str, str] = {}
        if header_name is not None and header_value is not None:
            self.default_headers[header_name] = header_value
        self.cookie = cookie
        self.user_agent = f"segment-public-api-python/{__version__}"

    @property
    def client_side_validation(self) -> bool:
        """Whether arguments are checked before they are sent."""
        return self.configuration.client_side_validation

    @property
    def user_agent(self) -> str:
        """The `User-Agent` header of every request."""
        return self.default_headers["User-Agent"]

    @user_agent.setter
    def user_agent(self, value: str) -> None:
        self.default_headers["User-Agent"] = value

    def set_default_header(self, header_name: str, header_value: str) -> None:
        """Send this header with every request."""
        self.default_headers[header_name] = header_value

    @classmethod
    def get_default(cls) -> Self:
        """The client that API classes without one use; made at the first call."""
        if cls._default is None:
            cls._default = cls()
        default: Self = cls._default
        return default

    @classmethod
    def set_default(cls, default: Self | None) -> None:
        """Make `default` what API classes without a client use; None forgets it."""
        cls._default = default

    def select_header_accept(self, accepts: list[str]) -> str | None:
        """The first of `accepts` that is JSON, else the first; None of an empty list."""
        return next((accept for accept in accepts if "json" in accept.lower()), None) or (
            accepts[0] if accepts else None
        )

    def select_header_content_type(self, content_types: list[str]) -> str | None:
        """The first of `content_types` that is JSON, else the first; None of an empty list."""
        return self.select_header_accept(content_types)

    def sanitize_for_serialization(self, obj: Any) -> Any:
        """`obj` as plain JSON types: models by their API names, dates as ISO 8601."""
        return _wire.sanitized(obj)

    def parameters_to_url_query(
        self,
        params: Mapping[str, Any] | list[tuple[str, Any]],
        collection_formats: Mapping[str, str] | None,
    ) -> str:
        """A query string: objects as JSON, lists as their collection format says."""
        return _wire.url_query(params, collection_formats)

    def param_serialize(
        self,
        method: str,
        resource_path: str,
        path_params: Mapping[str, Any] | None = None,
        query_params: Mapping[str, Any] | list[tuple[str, Any]] | None = None,
        header_params: Mapping[str, Any] | None = None,
        body: Any | None = None,
        post_params: list[tuple[str, Any]] | None = None,
        auth_settings: list[str] | None = None,
        collection_formats: Mapping[str, str] | None = None,
        _host: str | None = None,
        _request_auth: Mapping[str, Any] | None = None,
    ) -> RequestSerialized:
        """A request, ready for `call_api`.

        Args:
            method: HTTP method.
            resource_path: path below the host, with `{names}` of path parameters.
            path_params: values for these names.
            query_params: names and values of the query; objects travel as JSON.
            header_params: headers of this request; they go before the client's own.
            body: a model or plain value for a JSON body.
            post_params: fields of a form body.
            auth_settings: names in `Configuration.auth_settings()` to authenticate with.
            collection_formats: name to the form of a list in the query.
            _host: instead of the configuration's host.
            _request_auth: instead of `auth_settings`: `type`, `in`, `key`, `value`.

        Raises:
            ApiValueError: a host, header or authentication that cannot be used.
        """
        headers: dict[str, Any] = {**self.default_headers, **(header_params or {})}
        if self.cookie:
            headers["Cookie"] = self.cookie
        headers = _wire.sanitized(headers)
        if path_params:
            safe = self.configuration.safe_chars_for_path_param
            for name, value in _wire.sanitized(path_params).items():
                resource_path = resource_path.replace(f"{{{name}}}", quote(str(value), safe=safe))
        pairs = query_params if isinstance(query_params, list) else dict(query_params or {}).items()
        queries = [(name, _wire.sanitized(value)) for name, value in pairs]
        if _request_auth is not None:
            _wire.apply_auth(headers, queries, _request_auth)
        else:
            settings = self.configuration.auth_settings()
            for name in auth_settings or ():
                if name in settings:
                    _wire.apply_auth(headers, queries, settings[name])
        host = base_url(
            _host or self.configuration.host, require_https=self.configuration.require_https
        )
        url = host + resource_path
        if queries:
            url += "?" + _wire.url_query(queries, collection_formats)
        fields = [(name, _wire.sanitized(value)) for name, value in post_params or ()]
        return method, url, _wire.checked_headers(headers), _wire.sanitized(body), fields

    def exchange(
        self,
        request: RequestSerialized,
        timeout: Timeout,
        secret: str | None = None,
    ) -> tuple[Generator[Step, AnswerT | None, AnswerT], tuple[str, ...]]:
        """The steps of a call, and the secrets that no message about it may show."""
        method, url, headers, body, fields = request
        headers = dict(headers)
        payload: bytes | None = None
        if fields:
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            payload = urlencode(fields).encode()
        elif body is not None:
            headers.setdefault("Content-Type", "application/json")
            payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        timeouts = Timeouts.of(self.configuration.request_timeout if timeout is None else timeout)
        send = Send(method.upper(), url, headers, payload, timeouts)
        steps: Generator[Step, AnswerT | None, AnswerT] = exchange(
            send, RetryPolicy.of(self.configuration), time.monotonic
        )
        return steps, _wire.credentials(headers, secret)

    def response_deserialize(
        self,
        response_data: ReadAnswer,
        response_types_map: Mapping[str, Any] | None = None,
    ) -> ApiResponse[Any]:
        """The data of an answer whose body was read.

        Args:
            response_data: what `call_api` gave.
            response_types_map: status, or `2XX`, to the type of its body.

        Raises:
            ApiException: the class that belongs to a status outside 200 to 299.
            InvalidResponseException: the body is not what it should be.
        """
        from ._decode import decode

        status, raw = response_data.status, response_data.data
        if raw is None:
            raise ApiValueError("the answer's body was not read; call its read() first")
        if not 200 <= status <= 299:
            raise self._refusal(response_data, raw)
        types = response_types_map or {}
        response_type = types.get(str(status), types.get(f"{status // 100}XX"))
        try:
            data = decode(raw, response_type, response_data.getheader("content-type"))
        except InvalidResponseException as error:
            error.status = status
            error.headers = _redacted_headers(response_data)
            error.body = _wire.redacted(raw.decode("utf-8", "replace"), response_data.secrets)
            locate(error, response_data.url, response_data.secrets)
            raise
        headers = response_data.getheaders()
        return ApiResponse(status_code=status, headers=headers, data=data, raw_data=raw)

    def deserialize(
        self, response_text: str, response_type: Any, content_type: str | None = "application/json"
    ) -> Any:
        """`response_text` as `response_type`, a type or its name."""
        from ._decode import decode_text

        return decode_text(response_text, response_type, content_type)

    def _refusal(self, response_data: ReadAnswer, raw: bytes) -> ApiException:
        from ._decode import error_envelope

        secrets = response_data.secrets
        text = _wire.redacted(raw.decode("utf-8", "replace"), secrets)
        reason = response_data.reason
        if response_data.status in REDIRECT_STATUSES:
            reason = f"{reason}: {_redirect_words(response_data, secrets)}"
        elif response_data.status == 401 and not secrets:
            reason = f"{reason}: no access_token was sent; give Configuration(access_token=…)"
        error = class_for_status(response_data.status)(
            status=response_data.status,
            reason=reason,
            body=text,
            data=error_envelope(text.encode()),
        )
        error.headers = _redacted_headers(response_data)
        locate(error, response_data.url, secrets)
        return error


def _redacted_headers(response_data: ReadAnswer) -> HTTPHeaderDict:
    headers = HTTPHeaderDict()
    for name, text in response_data.getheaders().items():
        headers.add(name, _wire.redacted(text, response_data.secrets))
    return headers


def _redirect_words(response_data: ReadAnswer, secrets: tuple[str, ...]) -> str:
    location = response_data.getheader("location") or ""
    if same_origin_target(response_data.url, location):
        return "the server redirects again and again"
    where = address_of(_wire.redacted(location, secrets))
    return (
        f"the server points to {where}, and the access token does not follow; if that is the right "
        "place, make it the host"
    )


def locate(error: ApiException, url: str, secrets: tuple[str, ...]) -> None:
    """Give `error` the host it came from, and take secrets out of its words."""
    error.host = urlsplit(url).netloc
    error.reason = _wire.redacted(str(error.reason), secrets)
    error.args = (error.status, error.reason)
