"""Every address of the tracking API: takes a path, gives what to do there, by which methods.

`ROUTES` is the one table: whatever else speaks of addresses (answers, descriptions, the nearest
one to a path that is none) reads it. Slashes decide nothing: SDKs put host and path together in
every way, with two of them between or one at the end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from headcount.counting.facts import MESSAGE_TYPES

__all__ = ["ROUTES", "Action", "Form", "Route", "Router", "label_of", "nearest_path", "other_paths"]


class Action(Enum):
    """What an address does."""

    MESSAGE = auto()
    BATCH = auto()
    IMPORT = auto()
    ANY = auto()
    PIXEL = auto()
    SETTINGS = auto()
    SOURCE_CONFIG = auto()
    LIBRARY = auto()
    IGNORE = auto()
    HEALTH = auto()
    DESCRIPTION = auto()


class Form(Enum):
    """What an address takes; the value says so to whoever sent something else."""

    NOTHING = "no body"
    MESSAGE = "one message, a JSON object; several go to /v1/batch"
    TYPED = 'one message, a JSON object with a "type"; several go to /v1/batch'
    BATCH = 'a JSON object whose "batch" is an array of messages, each with a "type"'
    ANY = (
        'a message with its "type" as a JSON object, a JSON array of them, or CloudEvents around'
        " them (structured, batched or binary)"
    )
    PIXEL = (
        'a message in the query string: its JSON in base64 as "data", or its fields as plain'
        " parameters such as userId, anonymousId and event"
    )


class Route(NamedTuple):
    """An address.

    Attributes:
        action: what it does.
        methods: the methods that it takes.
        form: what it takes by those.
        argument: the message type, empty where the message says its own; or the write key in a
            path that holds one.
        short: whether it has the one-letter form, which browsers use.
        cors: whether pages of any site may use it.
        prefix: what stood before the path, of a server that is reached under a prefix.
        vendor_type: what a single message is forwarded as; empty where its body says it.
    """

    action: Action
    methods: tuple[str, ...]
    form: Form = Form.NOTHING
    argument: str = ""
    short: bool = False
    cors: bool = True
    prefix: str = ""
    vendor_type: str = ""


_GET = ("GET", "HEAD", "OPTIONS")
_POST = ("POST", "OPTIONS")
_WEBHOOK = ("POST", "PUT", "PATCH", "OPTIONS")

# Types in paths beside the six: RudderStack's merge says of two ids that they are one person's, and
# is counted by the ids at its top, as an identify is.
_TYPED = {**{name: name for name in MESSAGE_TYPES}, "merge": "identify"}
# Jitsu's: there a message of type "event" says its own type in its body.
_JITSU = {**{name: name for name in MESSAGE_TYPES}, "event": ""}

ROUTES: Mapping[str, Route] = {
    **{
        f"/v1/{name}": Route(Action.MESSAGE, _POST, Form.MESSAGE, t, vendor_type=name)
        for name, t in _TYPED.items()
    },
    **{
        f"/v1/{t[0]}": Route(Action.MESSAGE, _POST, Form.MESSAGE, t, short=True, vendor_type=t)
        for t in MESSAGE_TYPES
    },
    "/v1/batch": Route(Action.BATCH, _POST, Form.BATCH),
    "/v1/b": Route(Action.BATCH, _POST, Form.BATCH, short=True),
    "/v1/import": Route(Action.IMPORT, _POST, Form.BATCH),
    "/v1/webhook": Route(Action.ANY, _WEBHOOK, Form.ANY),
    "/beacon/v1/batch": Route(Action.BATCH, _POST, Form.BATCH),
    **{
        f"{place}/{t}": Route(Action.PIXEL, _GET, Form.PIXEL, t, vendor_type=t)
        for place in ("/v1/pixel", "/pixel/v1")
        for t in MESSAGE_TYPES
    },
    **{
        f"{place}/{name}": Route(
            Action.MESSAGE, _POST, Form.MESSAGE if t else Form.TYPED, t, vendor_type=t
        )
        for place in ("/api/s", "/api/s/s2s")
        for name, t in _JITSU.items()
    },
    "/v1/projects/{writeKey}/settings": Route(Action.SETTINGS, _GET),
    "/sourceConfig": Route(Action.SOURCE_CONFIG, _GET),
    "/analytics.js/v1/{writeKey}/analytics.min.js": Route(Action.LIBRARY, _GET),
    "/v1/m": Route(Action.IGNORE, _POST),
    "/healthz": Route(Action.HEALTH, _GET, cors=False),
    "/openapi.json": Route(Action.DESCRIPTION, _GET, cors=False),
}
"""Path to what is there; `{writeKey}` stands for one part of a path."""

_IN_PATH = "{writeKey}"
_SLASHES = re.compile("/{2,}")
# What a path is compared by has no more characters, so that no path costs much.
_COMPARED_CHARACTERS_MAX = 60
_FIXED = {path: route for path, route in ROUTES.items() if _IN_PATH not in path}
_WITH_KEY = [
    (path.partition(_IN_PATH)[0], path.partition(_IN_PATH)[2], route)
    for path, route in ROUTES.items()
    if _IN_PATH in path
]


class Router:
    """Finds the route of a path.

    Args:
        prefix: what stands before every path of a server that is reached under a prefix, such as
            "/analytics"; it is reached without it as well.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._known = dict(_FIXED)
        if prefix:
            under = {prefix + path: _FIXED[path]._replace(prefix=prefix) for path in _FIXED}
            self._known |= under

    def posted_to(self) -> dict[str, Route]:
        """The routes that messages in the usual form are posted to, by path."""
        wanted = (Action.MESSAGE, Action.BATCH)
        return {path: route for path, route in self._known.items() if route.action in wanted}

    def find(self, path: str) -> Route | None:
        """The route of a path; None when there is nothing at that address."""
        return self._known.get(path) or self._find(_SLASHES.sub("/", path).rstrip("/"))

    def nearest(self, path: str) -> str:
        """The known path that is most like one that is none; under the prefix where that one is."""
        path = _SLASHES.sub("/", path[: len(self._prefix) + _COMPARED_CHARACTERS_MAX])
        if self._prefix and path.startswith(self._prefix + "/"):
            return self._prefix + nearest_path(path[len(self._prefix) :])
        return nearest_path(path)

    def _find(self, path: str) -> Route | None:
        route = self._known.get(path)
        if route is not None:
            return route
        for prefix in (self._prefix, ""):
            if not path.startswith(prefix):
                continue
            rest = path[len(prefix) :]
            for start, end, with_key in _WITH_KEY:
                write_key = rest[len(start) : -len(end)]
                if rest.startswith(start) and rest.endswith(end) and "/" not in write_key:
                    found = with_key._replace(argument=write_key, prefix=prefix)
                    return found if write_key else None
        return None


def label_of(path: str, route: Route | None) -> str:
    """What a path is called in the log: itself, unless it may hold a write key or anything else."""
    if path in _FIXED:
        return path
    return "an unknown address" if route is None else route.action.name.lower()


def other_paths(path: str) -> list[str]:
    """The other paths that do the same as one."""
    wanted = ROUTES[path]
    return [
        other
        for other, route in ROUTES.items()
        if other != path and (route.action, route.argument) == (wanted.action, wanted.argument)
    ]


def nearest_path(path: str) -> str:
    """The known path that is most like one that is none."""
    return _nearest(_SLASHES.sub("/", path[:_COMPARED_CHARACTERS_MAX]).rstrip("/"))


@lru_cache(maxsize=256)
def _nearest(path: str) -> str:
    like = SequenceMatcher(b=path)
    best, best_ratio = "", -1.0
    for known in ROUTES:
        like.set_seq1(known)
        if like.real_quick_ratio() > best_ratio and like.quick_ratio() > best_ratio:
            ratio = like.ratio()
            if ratio > best_ratio:
                best, best_ratio = known, ratio
    return best
