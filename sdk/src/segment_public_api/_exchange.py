"""Takes a request and its retry policy; gives what to do next, until there is an answer. Pure.

`exchange` is a generator that never touches a socket or a clock of its own. It yields `Send` (make
this one request; send in the answer, or throw in a `ConnectionException`) and `Wait` (let so many
seconds pass), and returns the last answer. The synchronous and the asynchronous client differ only
in who carries these two out.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Generator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

from urllib3 import Retry
from urllib3.exceptions import MaxRetryError

from ._hosts import same_origin_target
from .exceptions import ApiValueError, ConnectionException, ReadTimeoutException, retry_after_s

if TYPE_CHECKING:
    from .configuration import Configuration, Timeout

RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
REDIRECTS_MAX = 5
RETRIES_DEFAULT = 3
BACKOFF_FIRST_S = 0.25
BACKOFF_MAX_S = 8.0
SPREAD_MAX_S = 1.0

log = logging.getLogger("segment_public_api")


class Answer(Protocol):
    """What deciding needs of a response."""

    status: int

    def getheaders(self) -> Mapping[str, str]: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def get_redirect_location(self) -> str | None: ...


AnswerT = TypeVar("AnswerT", bound=Answer)


# Named tuples, since each call makes some, and a frozen dataclass takes three times as long.
class Timeouts(NamedTuple):
    """Bounds of one request, in seconds; None is no bound."""

    connect_s: float | None
    read_s: float | None
    total_s: float | None

    @classmethod
    def of(cls, value: Timeout) -> Timeouts:
        """From seconds for the whole request, or (connect, read)."""
        if isinstance(value, tuple):
            return cls(value[0], value[1], None)
        return cls(value, value, value)

    def within(self, left_s: float | None) -> Timeouts:
        """The same, and none of them longer than `left_s`."""
        if left_s is None:
            return self

        connect_s, read_s, total_s = self
        return Timeouts(
            left_s if connect_s is None or connect_s > left_s else connect_s,
            left_s if read_s is None or read_s > left_s else read_s,
            left_s if total_s is None or total_s > left_s else total_s,
        )


class Send(NamedTuple):
    """Make this request once."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | str | None
    timeouts: Timeouts


class Wait(NamedTuple):
    """Let this much time pass."""

    seconds: float


Step = Send | Wait


class _SpreadRetry(Retry):
    """The default policy's pauses: doubling, and spread so that clients do not return together."""

    def get_backoff_time(self) -> float:
        whole = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** max(0, len(self.history) - 1))
        # Not for a secret: any spread will do.
        return random.uniform(whole / 2, whole)  # noqa: S311


class RetryPolicy(NamedTuple):
    """How often and how long a call is tried.

    Attributes:
        retry: urllib3's account of what was tried and what is left.
        wait_max_s: longest single wait.
        budget_s: longest whole call; None is no bound.
    """

    retry: Retry
    wait_max_s: float
    budget_s: float | None

    @classmethod
    def of(cls, configuration: Configuration) -> RetryPolicy:
        """From `Configuration.retries` and its two bounds. Raises `ApiValueError`."""
        retries: Any = configuration.retries
        if retries is None or retries is True:
            retries = RETRIES_DEFAULT
        if not isinstance(retries, (int, Retry)) or (isinstance(retries, int) and retries < 0):
            raise ApiValueError(
                f"retries must be a number from 0 on, False or urllib3's Retry, not {retries!r}"
            )
        if not isinstance(retries, Retry):
            retries = _untried(retries)
        return cls(retries, configuration.retry_wait_max_s, configuration.call_budget_s)


@lru_cache(maxsize=16)
def _untried(retries: int) -> Retry:
    # None of them ever changes: to count a try is to make another.
    return _SpreadRetry(total=retries, redirect=REDIRECTS_MAX, status_forcelist=RETRIED_STATUSES)


def exchange(
    request: Send, policy: RetryPolicy, clock: Callable[[], float]
) -> Generator[Step, AnswerT | None, AnswerT]:
    """Carry `request` to its last answer.

    Args:
        request: with the timeouts of a single attempt.
        policy: how often and how long to try.
        clock: seconds that never run backwards.

    Raises:
        ConnectionException: no answer came, and no retry is left.
    """
    started_at = clock()
    ends_at = None if policy.budget_s is None else started_at + policy.budget_s
    redirects = 0
    while True:
        left_s = None if ends_at is None else ends_at - clock()
        if left_s is not None and left_s <= 0:
            raise ReadTimeoutException(
                status=0, reason=f"the call's {policy.budget_s:g} s (call_budget_s) are used up"
            )
        attempt = request._replace(timeouts=request.timeouts.within(left_s))
        answer: AnswerT | None = None
        failure: ConnectionException | None = None
        try:
            answer = yield attempt
        except ConnectionException as error:
            failure = error
        if answer is not None and log.isEnabledFor(logging.DEBUG):
            log.debug("%s %s: status %d", request.method, _path(request), answer.status)
        if answer is not None and (target := _redirect_target(request, answer)) is not None:
            redirects += 1
            if redirects > REDIRECTS_MAX:
                return answer
            request = request._replace(url=target)
            continue
        retry, wait_s = _decision(request, policy, answer, failure)
        too_late = ends_at is not None and wait_s is not None and clock() + wait_s >= ends_at
        if retry is None or wait_s is None or too_late:
            if failure is not None:
                raise failure
            assert answer is not None
            return answer
        policy = policy._replace(retry=retry)
        _log_wait(request, answer, failure, wait_s)
        yield Wait(wait_s)


def _redirect_target(request: Send, answer: Answer) -> str | None:
    """Where to go on, if it is the same origin; elsewhere the token must not follow."""
    location = answer.get_redirect_location()
    if request.method != "GET" or not location:
        return None
    return same_origin_target(request.url, location)


def _decision(
    request: Send, policy: RetryPolicy, answer: Answer | None, failure: ConnectionException | None
) -> tuple[Retry | None, float | None]:
    """What is left to try and how long to wait first; None for either ends the call."""
    retry = policy.retry
    asked_s: float | None = None
    if answer is not None:
        # First as if it asked for a wait, since nearly no answer does, or is one to try again.
        if not retry.is_retry(request.method, answer.status, has_retry_after=True):
            return None, None
        asked_s = retry_after_s(answer.getheaders()) if retry.respect_retry_after_header else None
        if not retry.is_retry(request.method, answer.status, asked_s is not None):
            return None, None
    try:
        retry = retry.increment(
            request.method,
            _path(request),
            response=answer,  # type: ignore[arg-type]
            error=failure,
        )
    except (MaxRetryError, ConnectionException):
        return None, None
    if asked_s is None:
        return retry, min(retry.get_backoff_time(), policy.wait_max_s)
    if asked_s > policy.wait_max_s:
        log.warning(
            "%s %s: the server asks for a wait of %.0f s, longer than retry_wait_max_s (%g s); "
            "giving up",
            request.method,
            _path(request),
            asked_s,
            policy.wait_max_s,
        )
        return None, None
    # Never earlier than asked, and not all clients at the same moment.
    spread_s = min(SPREAD_MAX_S, 0.1 * asked_s)
    return retry, asked_s + random.uniform(0.0, spread_s)  # noqa: S311


def _path(request: Send) -> str:
    # The query is left out of every message: with _request_auth it may hold a secret.
    return urlsplit(request.url).path


def _log_wait(
    request: Send, answer: Answer | None, failure: ConnectionException | None, wait_s: float
) -> None:
    what = f"status {answer.status}" if answer is not None else str(getattr(failure, "reason", ""))
    log.warning("%s %s: %s; trying again in %.2f s", request.method, _path(request), what, wait_s)
