"""Which library sent a message: takes its context and the request's head, gives tallies of names.

`context.library` goes first, since it is of the message and not of whoever passed it on; then the
User-Agent. Nearly all messages of a request say the very same of it, so it is read only where that
is another than the last.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from headcount.counting.calendar import day_of_ms
from headcount.counting.libraries import A_BROWSER, OTHER_LIBRARY, LibraryUse, clean_name
from headcount.intake.decoding import FAST_REFUSALS, NO_LIBRARY
from headcount.intake.ports import SourceRef
from headcount.intake.scanning import Malformed, members, string_of
from headcount.intake.work import StepBudget, TooComplex, message_steps

__all__ = ["LibraryTally", "agent_name", "library_name", "library_strings"]

# Of one request; whoever says more is one that makes names up.
_NAMES_MAX = 32
_AGENT_BYTES_MAX = 120
_KNOWN_BYTES_MAX = 200


class _NamedLibrary(msgspec.Struct, gc=False):
    name: msgspec.Raw = NO_LIBRARY
    version: msgspec.Raw = NO_LIBRARY


_fast_library = msgspec.json.Decoder(_NamedLibrary).decode


def agent_name(user_agent: bytes, *, short: bool) -> str:
    """The name in a User-Agent.

    Args:
        user_agent: the header; empty where there is none.
        short: whether the one-letter addresses are used, which of browsers only analytics.js does.
    """
    return _agent_name(user_agent[:_AGENT_BYTES_MAX], short)


@lru_cache(maxsize=512)
def _agent_name(user_agent: bytes, short: bool) -> str:
    product = user_agent.decode("latin-1").partition("/")[0].partition(" ")[0]
    if product == "Mozilla":
        return "analytics.js" if short else A_BROWSER
    return clean_name(product)


def library_name(library: msgspec.Raw, agent: bytes, *, short: bool) -> str:
    """The library that sent a message.

    Args:
        library: what its context calls it, as it came.
        agent: the request's User-Agent.
        short: as for `agent_name`.
    """
    name = None
    if library != NO_LIBRARY:
        raw = bytes(library)
        # Libraries are few, and say the same of themselves each time.
        name = _known_name(raw) if len(raw) <= _KNOWN_BYTES_MAX else _name_in(raw)
    return name or agent_name(agent, short=short)


def library_strings(library: bytes) -> tuple[str | None, str | None]:
    """The name and the version that a context gives its library, where they are strings."""
    tokens = {b"name": b"", b"version": b""}
    try:
        try:
            found = _fast_library(library)
            tokens = {b"name": bytes(found.name), b"version": bytes(found.version)}
        except FAST_REFUSALS:
            for name, (start, end) in members(library, StepBudget(message_steps(len(library)))):
                if name in tokens:
                    tokens[name] = library[start:end]
        called, version = (string_of(token) for token in tokens.values())
    except (Malformed, TooComplex):
        return None, None
    return clean_name(called) if called else None, version


def _name_in(library: bytes) -> str | None:
    """The name of what a context calls its library; None where it has none."""
    return library_strings(library)[0]


_known_name = lru_cache(maxsize=1024)(_name_in)


class LibraryTally:
    """Tallies the admitted messages of one request by source and library.

    Args:
        received_at_ms: when it came, milliseconds since 1970.
        agent: its User-Agent.
        short: as for `agent_name`.
    """

    __slots__ = ("_agent", "_last", "_last_name", "_messages", "_received_at_ms", "_short")

    def __init__(self, received_at_ms: int, agent: bytes, *, short: bool) -> None:
        self._received_at_ms = received_at_ms
        self._agent, self._short = agent, short
        self._messages: dict[tuple[SourceRef, str], int] = {}
        self._last: msgspec.Raw | None = None
        self._last_name = ""

    def add(self, source: SourceRef, library: msgspec.Raw, messages: int = 1) -> None:
        """Count messages of one source whose contexts call one library; perhaps none."""
        if not messages:
            return
        if library != self._last:
            self._last, self._last_name = library, self._name_of(library)
        place = (source, self._last_name)
        self._messages[place] = self._messages.get(place, 0) + messages

    def _name_of(self, library: msgspec.Raw) -> str:
        name = library_name(library, self._agent, short=self._short)
        if len(self._messages) < _NAMES_MAX:
            return name
        names = {known for _, known in self._messages}
        return name if name in names or len(names) < _NAMES_MAX else OTHER_LIBRARY

    def uses(self) -> tuple[LibraryUse, ...]:
        """What was counted."""
        day = day_of_ms(self._received_at_ms)
        return tuple(
            LibraryUse(source.workspace, source.source, day, name, messages)
            for (source, name), messages in self._messages.items()
        )
