"""Whom to ask: takes settings, gives a client with its token; words what goes wrong.

Refuses to start without a token, and never shows one.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from headcount.cli.addresses import announced, api_url
from headcount.cli.client import check_client
from headcount.cli.options import settings_options
from headcount.config import SETTINGS, TOKEN_ENV
from headcount.errors import OperatorError, UsageError
from headcount.terminal import say

if TYPE_CHECKING:
    from pathlib import Path

    from headcount.config import Settings
    from segment_public_api import ApiClient, ApiException, Configuration

__all__ = ["ApiConnection", "connected", "connected_to", "reading_options", "token_in"]

_REGIONS = ("us", "eu")
_SEGMENT = "segmentapis.com"
_RETRIES = 3
_RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
_BACKOFF_S = 0.25
_TOKEN_BYTES_MAX = 10_000

reading_options = settings_options("host", "token_file", "data")
"""Give a command the options that say from where it reads usage, and `settings`."""


@dataclass(frozen=True, slots=True)
class ApiConnection:
    """A client and how it was decided whom it asks.

    Attributes:
        client: carries the token.
        host: beginning of the URL.
        how: how the host was found, to say so when it does not answer.
        is_theirs: whether it is the other side of a comparison, which others run.
    """

    client: ApiClient
    host: str
    how: str
    is_theirs: bool = False

    @property
    def is_segment(self) -> bool:
        """Whether this is Segment, which has none of Headcount's own endpoints."""
        name = urlsplit(self.host).hostname or ""
        return name == _SEGMENT or name.endswith("." + _SEGMENT)


@contextmanager
def connected(settings: Settings) -> Iterator[ApiConnection]:
    """A client for the server that the settings name, or for the one that is found.

    What the server refuses inside the block is raised as an OperatorError.

    Raises:
        UsageError: no token, or a host or token that cannot be used.
        OperatorError: the token's file cannot be read, or the server refuses or does not answer;
            or the client is another one.
    """
    with connected_to(*_host(settings), _token(settings)) as connection:
        yield connection


@contextmanager
def connected_to(
    host: str, how: str, token: str, *, is_theirs: bool = False
) -> Iterator[ApiConnection]:
    """A client for a server; as `connected`.

    Args:
        host: the beginning of its addresses, or a region of Segment.
        how: how it was found, for errors.
        token: to read with.
        is_theirs: as of an `ApiConnection`.
    """
    check_client()
    from segment_public_api import ApiClient, ApiException, ApiValueError

    try:
        configuration = _configuration(host, token)
    except ApiValueError as error:
        raise UsageError(
            f"The host {host!r} cannot be used: {error}.",
            "Name an address such as https://usage.example.com, or us or eu, with"
            f" {'--theirs' if is_theirs else '--host'}.",
        ) from None
    with ApiClient(configuration) as client:
        connection = ApiConnection(client, configuration.host, how, is_theirs)
        try:
            yield connection
        except ApiException as error:
            raise explain_refusal(error, connection) from error


def _configuration(host: str, token: str) -> Configuration:
    from urllib3 import Retry

    from segment_public_api import Configuration

    # A server that refuses connections is not running, so a person at a terminal need not wait.
    retries = Retry(
        total=_RETRIES, connect=0, status_forcelist=_RETRIED_STATUSES, backoff_factor=_BACKOFF_S
    )
    named: dict[str, Any] = {"region": host} if host in _REGIONS else {"host": host}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        configuration = Configuration(**named, access_token=token, retries=retries)
    for warning in caught:
        say(f"Warning: {warning.message}")
    return configuration


def _host(settings: Settings) -> tuple[str, str]:
    """Where to read, and how that was decided."""
    if settings.host is not None:
        return settings.host, "as --host or HEADCOUNT_HOST names it"
    if (running := announced(settings.data, "api")) is not None:
        return running, f"the server that runs on the data folder {settings.data}"
    return api_url(settings), "the API address of the settings"


def _token(settings: Settings) -> str:
    flag_given = click.get_current_context().params.get("token_file") is not None
    if not flag_given and (token := os.environ.get(TOKEN_ENV)):
        return _checked(token, f"The variable {TOKEN_ENV}")
    file = settings.token_file
    if file is None:
        raise UsageError(
            "There is no API token to read with.",
            "Make one with `headcount token add --workspace W`, keep it in a file that only you"
            f" can read, and name the file with {SETTINGS['token_file'].flag} or"
            f" {SETTINGS['token_file'].env}; or set {TOKEN_ENV} to the token.",
        )
    return token_in(file, "--token-file")


def token_in(file: Path, option: str) -> str:
    """The token that a file holds.

    Args:
        file: it.
        option: the option that names it, for errors.

    Raises:
        UsageError: it holds no token.
        OperatorError: it cannot be read.
    """
    try:
        with file.open("rb") as opened:
            token = opened.read(_TOKEN_BYTES_MAX).decode("utf-8", "replace")
    except OSError as error:
        raise OperatorError(
            f"The token file {file} cannot be read: {error.strerror}.",
            f"Name another one with {option}, or fix its permissions.",
        ) from error
    return _checked(token, f"The file {file}")


def _checked(text: str, place: str) -> str:
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        # What is there is not shown: it may be a secret all the same.
        raise UsageError(
            f"{place} does not hold an API token.",
            "Put in nothing but the token that `headcount token add` printed.",
        )
    return token


def explain_refusal(error: ApiException, connection: ApiConnection) -> OperatorError:
    """What a failed call means to the person at the terminal, and what to do about it."""
    import segment_public_api.exceptions as failed

    said = _said(error)
    where = f"{connection.host} ({connection.how})"
    # A refusal without the API's own words comes from something else that speaks HTTP.
    foreign = (
        isinstance(error, failed.NotFoundException | failed.UnprocessableEntityException)
        and error.data is None
    )
    if connection.is_theirs:
        return _explain_theirs(error, where, said)
    kinds: tuple[tuple[type[ApiException], str, str], ...] = (
        (
            failed.UnauthorizedException,
            f"{where} does not take the API token: {said}",
            "Make one with `headcount token add --workspace W` and put it into the token file.",
        ),
        (
            failed.NotFoundException,
            f"{where}: {said}",
            "Name months since the workspace's first usage with --period, and what is beside it.",
        ),
        (
            failed.TooManyRequestsException,
            f"{where} was asked too often: {said}",
            "Wait a minute, or read with another token.",
        ),
        (
            failed.TlsException,
            f"{where} cannot be trusted: {said}",
            "Check the name in --host, and the certificate of that server.",
        ),
        (
            failed.ConnectionException,
            f"There is no answer from {where}: {said}",
            "Start it with `headcount serve`, or name the right one with --host.",
        ),
        (
            failed.UnprocessableEntityException,
            f"{where} refuses what it was asked: {said}",
            "Correct the option that is meant, and ask again.",
        ),
        (
            failed.ServiceException,
            f"{where} failed: {said}",
            "Try again; the server's log says more.",
        ),
    )
    if "not available in a cluster" in said:
        return OperatorError(f"{where}: {said}", "Days and sources are in headcount usage.")
    for kind, problem, remedy in kinds:
        if isinstance(error, kind) and not foreign:
            return OperatorError(problem, remedy)
    return OperatorError(
        f"{where} did not answer as a usage API does: {said}",
        "Check --host: usage is read at the API address, not at the tracking one.",
    )


def _explain_theirs(error: ApiException, where: str, said: str) -> OperatorError:
    """The same of a server that others run."""
    import segment_public_api.exceptions as failed

    kinds: tuple[tuple[type[ApiException], str, str], ...] = (
        (
            failed.UnauthorizedException,
            "does not take the token for it",
            "Make one there that may read usage, and name its file with --theirs-token-file.",
        ),
        (
            failed.ForbiddenException,
            "does not let this token read usage",
            "Make one there that may read usage, and name its file with --theirs-token-file.",
        ),
        (failed.NotFoundException, "has no such usage", "Name another month with --period."),
        (
            failed.UnprocessableEntityException,
            "refuses what it was asked",
            "Name another month with --period.",
        ),
        (
            failed.TooManyRequestsException,
            "was asked too often",
            "Try again later; nothing was compared.",
        ),
        (failed.TlsException, "cannot be trusted", "Check the name in --theirs."),
        (
            failed.ConnectionException,
            "gave no whole answer",
            "Check the address in --theirs, and try again; nothing was compared.",
        ),
        (failed.ServiceException, "failed", "Try again later; nothing was compared."),
    )
    # As above: a refusal of a path without the API's own words is somebody else's.
    foreign = isinstance(error, failed.NotFoundException) and error.data is None
    for kind, problem, remedy in kinds:
        if isinstance(error, kind) and not foreign:
            return OperatorError(f"{where} {problem}: {said}", remedy)
    return OperatorError(
        f"{where} did not answer as a usage API does: {said}",
        "Check --theirs: us or eu for Segment, or the address at which usage is read.",
    )


def _said(error: ApiException) -> str:
    """The server's own words if it has any, as one sentence on one line."""
    said = [each.message for each in getattr(error.data, "errors", None) or () if each.message]
    text = " ".join((said[0] if said else str(error.reason)).split())
    return text if text.endswith(".") else f"{text}."
