"""Whether a User-Agent is that of a known bot: takes its text, asks a list that others keep.

The list is that of the package `crawler-user-agents`. What programs send through is no bot:
tracking libraries of servers use the clients of HTTP that crawlers use as well.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from time import monotonic

import msgspec

__all__ = ["is_known_bot"]

_log = logging.getLogger(__name__)

_PACKAGE, _FILE = "crawleruseragents", "crawler-user-agents.json"
_CLIENTS = re.compile(
    r"(?i)(?:python|go-http-client|okhttp|axios|node|undici|got\b|curl|wget|apache-httpclient|"
    r"aiohttp|httpx|java|ruby|faraday|guzzle|libwww|dart|dalvik|cfnetwork|postman|restsharp|http\.rb)"
)
# Looking at one that was never seen takes a third of a millisecond; whoever makes up a new one with
# each message must not take the worker's time.
_NEW_A_SECOND, _NEW_AT_ONCE = 100, 200


class _Entry(msgspec.Struct):
    pattern: str


class _Allowance:
    """How many that were never seen may still be looked at."""

    def __init__(self) -> None:
        self._left: float = _NEW_AT_ONCE
        self._at_s = monotonic()
        self._is_said = False

    def take(self) -> bool:
        """Take one, if there is any."""
        now_s = monotonic()
        self._left = min(_NEW_AT_ONCE, self._left + (now_s - self._at_s) * _NEW_A_SECOND)
        self._at_s = now_s
        if self._left < 1:
            if not self._is_said:
                self._is_said = True
                _log.warning(
                    "more than %d new User-Agents a second: the others are taken for no bots",
                    _NEW_A_SECOND,
                )
            return False
        self._left -= 1
        return True


_allowance = _Allowance()


class _NotLookedAtError(Exception):
    """It may be looked at another time."""


def is_known_bot(user_agent: str) -> bool:
    """Whether a browser calls itself what a known bot does."""
    if not user_agent or _CLIENTS.match(user_agent):
        return False
    try:
        return _is_listed(user_agent)
    except _NotLookedAtError:
        return False


@lru_cache(maxsize=4096)
def _is_listed(user_agent: str) -> bool:
    if not _allowance.take():
        raise _NotLookedAtError
    return _patterns().search(user_agent) is not None


@lru_cache(maxsize=1)
def _patterns() -> re.Pattern[str]:
    # Read as a file: the package keeps all that it knows of each bot in memory.
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        _log.error("the package crawler-user-agents is not installed: no bot is recognised")
        return re.compile("(?!)")
    entries = msgspec.json.decode(
        Path(spec.origin).with_name(_FILE).read_bytes(), type=list[_Entry]
    )
    return re.compile("|".join(each.pattern for each in entries))
