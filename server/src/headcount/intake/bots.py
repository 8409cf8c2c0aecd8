"""Whether a User-Agent is that of a known bot: takes its text, asks a list that others keep.

The list is that of the package `crawler-user-agents`. What programs send through is no bot:
tracking libraries of servers use the clients of HTTP that crawlers use as well. User-Agents that
differ in the numbers of releases alone are looked at once. Compiling the list takes as long as
answering hundreds of posts, so a worker does it before it takes any.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from time import monotonic

import msgspec

__all__ = ["is_known_bot", "prepare_bots"]

_log = logging.getLogger(__name__)

_PACKAGE, _FILE = "crawleruseragents", "crawler-user-agents.json"
_CLIENTS = re.compile(
    r"(?i)(?:python|go-http-client|okhttp|axios|node|undici|got\b|curl|wget|apache-httpclient|"
    r"aiohttp|httpx|java|ruby|faraday|guzzle|libwww|dart|dalvik|cfnetwork|postman|restsharp|http\.rb|"
    # What stands for every visitor behind it, where it passes no User-Agent on.
    r"amazon cloudfront)"
)
# By the convention of crawlers, also of those that no list has yet.
_SAYS_WHERE_TO_ASK = r"compatible; [^)]*\+https?://"
# Of releases; numbers within names and builds tell some bots apart, and two are known by them.
_RELEASE = re.compile(r"(?<=[/ ;:_])(?<!Code/)(?!008/)[0-9]+(?:[._][0-9]+)*(?![^ ;)_/])")
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
                    "more than %d new User-Agents a second: the others are taken for no bots until"
                    " they can be looked at",
                    _NEW_A_SECOND,
                )
            return False
        self._left -= 1
        return True


_allowance = _Allowance()


# By the text without the numbers of releases; the oldest leave first.
_looked_at: dict[str, bool] = {}
_LOOKED_AT_MAX = 4096


def is_known_bot(user_agent: str, *, in_time: bool = True) -> bool | None:
    """Whether a browser calls itself what a known bot does.

    Args:
        user_agent: what it calls itself.
        in_time: whether others wait meanwhile, so that only so many new ones are looked at.

    Returns:
        None where too many new ones came at once: it may be looked at another time.
    """
    if not user_agent or _CLIENTS.match(user_agent):
        return False
    key = _RELEASE.sub("0", user_agent)
    found = _looked_at.get(key)
    if found is None:
        if in_time and not _allowance.take():
            return None
        found = _patterns().search(user_agent) is not None
        if len(_looked_at) >= _LOOKED_AT_MAX:
            del _looked_at[next(iter(_looked_at))]
        _looked_at[key] = found
    return found


def prepare_bots() -> None:
    """Compile the list, so that no message has to wait for it."""
    _patterns()


@lru_cache(maxsize=1)
def _patterns() -> re.Pattern[str]:
    # Read as a file: the package keeps all that it knows of each bot in memory.
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        _log.error("the package crawler-user-agents is not installed: no bot is recognised")
        return re.compile(_SAYS_WHERE_TO_ASK)
    try:
        entries = msgspec.json.decode(
            Path(spec.origin).with_name(_FILE).read_bytes(), type=list[_Entry]
        )
        return re.compile("|".join([*(each.pattern for each in entries), _SAYS_WHERE_TO_ASK]))
    except (OSError, msgspec.DecodeError, re.error) as error:
        # Its patterns are written for many languages; one that is none here must stop no message.
        _log.error(
            "the list of the package crawler-user-agents cannot be used, so that no bot is"
            " recognised: %s",
            error,
        )
        return re.compile(_SAYS_WHERE_TO_ASK)
