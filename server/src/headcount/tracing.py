"""What names a request: one id, in its answer and in every line that is logged on its behalf.

Takes the head of a request, gives its id: the one that it brings as `X-Request-ID`, or else the
trace of its `traceparent`, if that is one that can be written down as it stands; or else one made
for it, when it is first asked for. Whoever begins with a request says so, in the task that answers
it; what is logged from there, or from a thread that works for it, is of that request.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

__all__ = [
    "Outcome",
    "begin",
    "current_id",
    "headers_of",
    "id_of",
    "made_id",
    "outcome_of",
    "tell_outcome",
]

Scope = Any  # ASGI's, which each framework writes down in its own way

# Nothing else could be a line, a field of JSON, or something that a terminal acts upon.
_WELL_FORMED = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_ID, _OUTCOME = "headcount.request_id", "headcount.outcome"

_AT_ONCE = 256
_made: list[str] = []

_scope: ContextVar[Scope | None] = ContextVar("request", default=None)


class Outcome(NamedTuple):
    """What became of a request, as far as whoever answered it knows.

    Attributes:
        route: what it asked for, in words of ours: a path may hold a write key or an id.
        reason: why it was refused; empty where the status says all.
    """

    route: str = ""
    reason: str = ""


def begin(scope: Scope) -> None:
    """What this task does from here on, it does for a request."""
    _scope.set(scope)


def current_id() -> str | None:
    """The id of the request on whose behalf this is asked; None where there is none."""
    scope = _scope.get()
    return None if scope is None else id_of(scope)


def id_of(scope: Scope) -> str:
    """The id of a request, in ASGI's terms of it."""
    found: str | None = scope.get(_ID)
    if found is None:
        scope[_ID] = found = _brought(scope) or made_id()
    return found


def headers_of(scope: Scope) -> Mapping[bytes, bytes]:
    """The headers of a request by name, of equal ones the last.

    Where they bring no id the request is given one at once, which saves another look through them.
    """
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    if _ID not in scope and b"x-request-id" not in headers and b"traceparent" not in headers:
        scope[_ID] = made_id()
    return headers


def made_id() -> str:
    """An id for a request that brings none; it says nothing of other requests."""
    while True:
        try:
            return _made.pop()
        except IndexError:
            # Many at once, since asking the system for a few bytes costs more than they do.
            text = os.urandom(16 * _AT_ONCE).hex()
            _made.extend(text[at : at + 32] for at in range(0, len(text), 32))


def _brought(scope: Scope) -> str | None:
    trace = None
    for name, value in scope.get("headers", ()):
        if name == b"x-request-id":
            if _WELL_FORMED.fullmatch(value):
                told: str = value.decode("ascii")
                return told
        elif name == b"traceparent" and (match := _TRACEPARENT.fullmatch(value)):
            trace = match[1].decode("ascii")
    return trace


def tell_outcome(scope: Scope, route: str, reason: str = "") -> None:
    """Say what became of a request that is refused, before it is answered."""
    scope[_OUTCOME] = Outcome(route, reason)


def outcome_of(scope: Scope) -> Outcome:
    """What was said of a request."""
    found: Outcome = scope.get(_OUTCOME) or Outcome()
    return found
