"""Every address of the tracking API: takes a path, gives what to do there, by which methods."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from headcount.counting.facts import MESSAGE_TYPES

__all__ = ["Action", "Route", "all_paths", "other_paths", "route_of"]


class Action(Enum):
    """What an address does."""

    MESSAGE = auto()
    BATCH = auto()
    IMPORT = auto()
    PIXEL = auto()
    SETTINGS = auto()
    IGNORE = auto()
    HEALTH = auto()
    DESCRIPTION = auto()


class Route(NamedTuple):
    """An address.

    Attributes:
        action: what it does.
        methods: the methods that it takes.
        argument: the message type, or the write key of SETTINGS.
        short: whether it has the one-letter form, which browsers use.
    """

    action: Action
    methods: tuple[str, ...]
    argument: str = ""
    short: bool = False


_GET = ("GET", "HEAD", "OPTIONS")
_POST = ("POST", "OPTIONS")

_ROUTES: dict[str, Route] = {
    "/healthz": Route(Action.HEALTH, _GET),
    "/openapi.json": Route(Action.DESCRIPTION, _GET),
    "/v1/batch": Route(Action.BATCH, _POST),
    "/v1/b": Route(Action.BATCH, _POST, short=True),
    "/v1/import": Route(Action.IMPORT, _POST),
    "/v1/m": Route(Action.IGNORE, _POST),
    **{f"/v1/{name}": Route(Action.MESSAGE, _POST, name) for name in MESSAGE_TYPES},
    **{f"/v1/{name[0]}": Route(Action.MESSAGE, _POST, name, True) for name in MESSAGE_TYPES},
    **{f"/v1/pixel/{name}": Route(Action.PIXEL, _GET, name) for name in MESSAGE_TYPES},
}

_SETTINGS_START, _SETTINGS_END = "/v1/projects/", "/settings"


def route_of(path: str) -> Route | None:
    """The route of a path; None when there is nothing at that address."""
    route = _ROUTES.get(path)
    if route is None and path.startswith(_SETTINGS_START) and path.endswith(_SETTINGS_END):
        write_key = path[len(_SETTINGS_START) : -len(_SETTINGS_END)]
        if write_key and "/" not in write_key:
            return Route(Action.SETTINGS, _GET, write_key)
    return route


def all_paths() -> list[str]:
    """Every path that is there as it stands, without those that hold a write key."""
    return list(_ROUTES)


def other_paths(path: str) -> list[str]:
    """The other paths that do the same as one."""
    wanted = _ROUTES[path]
    return [
        other
        for other, route in _ROUTES.items()
        if other != path and (route.action, route.argument) == (wanted.action, wanted.argument)
    ]
