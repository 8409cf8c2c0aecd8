"""The synchronous client. Takes serialised requests; gives answers; keeps the connections."""

# Made of aio/api_client.py by scripts/synchronous.py: change that file, and run it.

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from segment_public_api._core import ClientCore, RequestSerialized, locate
from segment_public_api._exchange import Wait
from segment_public_api.exceptions import ApiException, ConnectionException

from .rest import RESTClientObject, RESTResponse

if TYPE_CHECKING:
    from collections.abc import Generator

    from segment_public_api._exchange import Step
    from segment_public_api.configuration import Configuration, Timeout

__all__ = ["ApiClient", "RequestSerialized"]


class ApiClient(ClientCore):
    """Calls the API and waits for its answers. A context manager; safe to share among threads.

    Args:
        configuration: default `Configuration.get_default()`.
        header_name, header_value: one more header for every request.
        cookie: a `Cookie` header for every request.
    """

    def __init__(
        self,
        configuration: Configuration | None = None,
        header_name: str | None = None,
        header_value: str | None = None,
        cookie: str | None = None,
    ) -> None:
        super().__init__(configuration, header_name, header_value, cookie)
        self.rest_client = RESTClientObject(self.configuration)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The client can be used again and then opens new ones."""
        self.rest_client.close()

    def call_api(
        self,
        method: str,
        url: str,
        header_params: dict[str, str] | None = None,
        body: Any | None = None,
        post_params: list[tuple[str, str]] | None = None,
        _request_timeout: Timeout = None,
        *,
        _preload_content: bool = True,
        _secret: str | None = None,
    ) -> RESTResponse:
        """Send a request, again where the configuration's `retries` say so.

        Args:
            method, url, header_params, body, post_params: what `param_serialize` gave.
            _request_timeout: seconds for one request, or (connect, read).
            _preload_content: whether to read the body, within the same bounds.
            _secret: a credential outside the headers, to keep out of messages.

        Raises:
            ConnectionException: no whole answer came in time. An answer of any status is returned.
        """
        steps: Generator[Step, RESTResponse | None, RESTResponse]
        steps, secrets = self.exchange(
            (method, url, header_params or {}, body, post_params or []), _request_timeout, _secret
        )
        try:
            step = next(steps)
            while True:
                if isinstance(step, Wait):
                    time.sleep(step.seconds)
                    step = steps.send(None)
                    continue
                try:
                    answer = self.rest_client.send(step, read=_preload_content)
                except ConnectionException as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
                    answer.discard()
        except StopIteration as done:
            last: RESTResponse = done.value
            last.secrets = secrets
            return last
        except ApiException as error:
            locate(error, url, secrets)
            raise
