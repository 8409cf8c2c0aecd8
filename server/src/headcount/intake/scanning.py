"""Finds values in JSON bytes: takes bytes and a position, gives spans, refuses malformed JSON.

This is the grammar of the tolerant decoder. It decodes only what is asked for: a string that
nobody reads may hold lone surrogates or bytes that are no UTF-8.

Its cost is linear in the bytes, whatever is in them, and spent from a budget. Values of few levels
are passed over by one match of a regular expression, all of whose repetitions are possessive, so
that none is ever tried a second way. What is deeper is taken apart with a stack of its own, in
runs of opening and of closing brackets, so that nesting costs no recursion and little time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import cast

from headcount.intake.work import StepBudget, TooComplex

__all__ = [
    "BYTES_A_STEP",
    "JSON_SPACE",
    "NO_BRACKETS",
    "SCALAR",
    "WS",
    "Malformed",
    "Span",
    "is_object",
    "members",
    "name_at",
    "only_value",
    "opened_object",
    "separator",
    "skip_space",
    "string_of",
    "text_of",
    "value_end",
    "without_bom",
]

_BOM = b"\xef\xbb\xbf"

JSON_SPACE = b" \t\n\r"
"""The white space of JSON, for `bytes.strip`, which by itself takes off more than that."""

Span = tuple[int, int]
"""Start and end of a value in the bytes that were scanned."""

# How many levels of brackets one match passes over. The pattern doubles with each of them.
_LEVELS = 3
BYTES_A_STEP = 32
"""A step is for a match; for so many bytes it takes one more."""

_MEMBER_STEPS = 2

WS = rb"[ \t\n\r]*+"
"""The pattern of white space."""
_STRING = rb'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"'
_PLAIN_STRING = _STRING.replace(rb'[^"\\', rb'[^"\\\[\]{}')
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
SCALAR = _STRING + rb"|" + _NUMBER + rb"|true|false|null"
"""The pattern of what has no brackets."""
_NAME = _STRING + WS + rb":" + WS
_PLAIN_NAME = _PLAIN_STRING + WS + rb":" + WS


def _shallow(levels: int) -> bytes:
    """A value whose brackets are no more than some levels deep."""
    if not levels:
        return SCALAR
    inner = rb"(?:" + _shallow(levels - 1) + rb")" + WS
    filled = [
        opening + WS + rb"(?:(?:" + name + inner + rb"(?:," + WS + rb"(?!" + closing + rb")|(?="
        + closing + rb")))++)?+" + closing
        for opening, name, closing in ((rb"\[", b"", rb"\]"), (rb"\{", _NAME, rb"\}"))
    ]  # fmt: skip
    return rb"|".join((SCALAR, *filled))


_VALUE = rb"(?:" + _shallow(_LEVELS) + rb")"


class _LatePattern:
    """A pattern that is compiled when it is first used: such a long one takes milliseconds, and
    most processes meet nothing that it is for.

    Args:
        pattern: what it consists of.

    Attributes:
        match: as compiled patterns have it.
    """

    __slots__ = ("_pattern", "match")

    match: Callable[..., re.Match[bytes] | None]

    def __init__(self, pattern: bytes) -> None:
        self._pattern = pattern

    def __getattr__(self, name: str) -> Callable[..., re.Match[bytes] | None]:
        if name != "match":
            raise AttributeError(name)
        self.match = re.compile(self._pattern).match
        return self.match


_space = re.compile(WS)
_value = _LatePattern(_VALUE)
# Brackets that open one inside the other, each with the name of what comes next. No name in a run
# of them holds a bracket itself, so that the others are the brackets of the run.
_openings = re.compile(rb"(?:\[" + WS + rb"|\{" + WS + _PLAIN_NAME + rb")++")
_opening = re.compile(rb"\{" + WS + _NAME)
_closings = re.compile(rb"(?:" + WS + rb"[\]}])++")
_closing = re.compile(rb"[\]}]")
# What follows a value in its container: siblings that are shallow, and how another begins.
_more_elements = _LatePattern(rb"(?:" + WS + rb"," + WS + _VALUE + rb")*+")
_more_members = _LatePattern(rb"(?:" + WS + rb"," + WS + _NAME + _VALUE + rb")*+")
_next_element = re.compile(WS + rb"," + WS)
_next_member = _LatePattern(WS + rb"," + WS + _NAME)
# A member of the object that is read, with what separates it from the next one.
_member = _LatePattern(
    rb"(" + _STRING + rb")" + WS + rb":" + WS + rb"(?:(" + _VALUE + rb")" + WS + rb"([,}])"
    + WS + rb")?"
)  # fmt: skip
_member_name = re.compile(rb"(" + _STRING + rb")" + WS + rb":" + WS)
_separator = re.compile(WS + rb"([,\]}])" + WS)

_ARRAY = b"["[0]
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
"""All bytes but brackets, for `bytes.translate`."""
_decode = json.JSONDecoder().raw_decode
# How values begin that may be longer than a budget reaches.
_LONG = frozenset(b'[{"-0123456789'[n : n + 1] for n in range(14))
_OPENED_BY = bytes.maketrans(b"]}", b"[{")


class Malformed(ValueError):
    """The bytes are not JSON."""


def skip_space(data: bytes, at: int) -> int:
    """The position of the first byte from `at` on that is no white space."""
    return cast(re.Match[bytes], _space.match(data, at)).end()


def without_bom(data: bytes) -> bytes:
    """The data without the byte order mark of UTF-8 that some editors and clients put in front."""
    return data.removeprefix(_BOM)


def is_object(data: bytes) -> bool:
    """Whether the data begins like an object."""
    at = skip_space(data, 0)
    return data[at : at + 1] == b"{"


def only_value(data: bytes, budget: StepBudget) -> Span:
    """The span of the value that makes up the data, all of it checked.

    Raises:
        Malformed: not JSON, or something other than white space comes after the value.
        TooComplex: that would take more than the budget.
    """
    start = skip_space(data, 0)
    end = value_end(data, start, budget)
    if skip_space(data, end) != len(data):
        raise Malformed
    return start, end


def members(data: bytes, budget: StepBudget) -> Iterator[tuple[bytes, Span]]:
    """The names and values of the object that makes up the data, in order, repeats included.

    Raises:
        Malformed: not an object, or something other than white space comes after it.
        TooComplex: that would take more than the budget.
    """
    mark, at = opened_object(data)
    while mark == b",":
        budget.spend(_MEMBER_STEPS)
        member = _member.match(data, at)
        if member is None:
            raise Malformed
        if member[3] is not None:
            budget.spend((member.end() - at) // BYTES_A_STEP)
            yield _name_of(member[1]), member.span(2)
            mark, at = member[3], member.end()
        else:
            start = member.end()
            end = value_end(data, start, budget)
            yield _name_of(member[1]), (start, end)
            mark, at = separator(data, end, b"}")
    if at != len(data):
        raise Malformed


def opened_object(data: bytes) -> tuple[bytes, int]:
    """How the object that makes up the data begins: a comma and where its first member is.

    Of an empty one: its closing bracket, and the position of what follows it.

    Raises:
        Malformed: not an object.
    """
    at = skip_space(data, 0)
    if data[at : at + 1] != b"{":
        raise Malformed
    at = skip_space(data, at + 1)
    return (b"}", skip_space(data, at + 1)) if data[at : at + 1] == b"}" else (b",", at)


def name_at(data: bytes, at: int) -> tuple[bytes, int]:
    """The name of the member that starts at `at`, and where its value starts.

    Raises:
        Malformed: there is no name.
    """
    member = _member_name.match(data, at)
    if member is None:
        raise Malformed
    return _name_of(member[1]), member.end()


def separator(data: bytes, at: int, closing: bytes) -> tuple[bytes, int]:
    """The comma or closing bracket that comes next, and where what follows it starts.

    Raises:
        Malformed: neither of them comes next.
    """
    found = _separator.match(data, at)
    if found is None or found[1] not in (b",", closing):
        raise Malformed
    return found[1], found.end()


def text_of(string: bytes) -> str:
    """The text of a JSON string, quotes included; lone surrogates stay what they are.

    Raises:
        Malformed: the bytes are no UTF-8.
    """
    try:
        text = string.decode()
    except UnicodeDecodeError:
        raise Malformed from None
    return cast(str, _decode(text)[0]) if "\\" in text else text[1:-1]


def string_of(token: bytes) -> str | None:
    """The text of a value that is a string; None for any other.

    Raises:
        Malformed: the bytes are no UTF-8.
    """
    return text_of(token) if token.startswith(b'"') else None


def value_end(data: bytes, at: int, budget: StepBudget) -> int:
    """The end of the value that starts at `at`, all of it checked against the grammar.

    Raises:
        Malformed: it is not JSON.
        TooComplex: that would take more than the budget.
    """
    if shallow := _within(_value, data, at, budget):
        return shallow.end()
    open_brackets = bytearray()
    while True:
        if opening := _within(_openings, data, at, budget):
            open_brackets += opening[0].translate(None, NO_BRACKETS)
        elif opening := _within(_opening, data, at, budget):
            open_brackets += b"{"
        else:
            raise _wrong(data, at, budget)
        at = opening.end()
        if open_brackets[-1] != _ARRAY or data[at : at + 1] != b"]":
            innermost = _within(_value, data, at, budget)
            if innermost is None:
                continue
            at = innermost.end()
        while open_brackets:
            in_array = open_brackets[-1] == _ARRAY
            siblings = _within(_more_elements if in_array else _more_members, data, at, budget)
            at = cast(re.Match[bytes], siblings).end()
            if closing := _within(_closings, data, at, budget):
                at = _closed(data, at, closing[0], open_brackets, budget)
                continue
            following = (_next_element if in_array else _next_member).match(data, at)
            if following is None:
                raise Malformed
            at = following.end()
            break
        else:
            return at


def _within(
    pattern: re.Pattern[bytes] | _LatePattern, data: bytes, at: int, budget: StepBudget
) -> re.Match[bytes] | None:
    """A match at `at` that the budget has paid for, and which looks no further than it reaches."""
    match = pattern.match(data, at, _reach(at, budget))
    budget.spend(1 + (match.end() - at) // BYTES_A_STEP if match else 1)
    return match


def _reach(at: int, budget: StepBudget) -> int:
    return at + (budget.left + 1) * BYTES_A_STEP


def _wrong(data: bytes, at: int, budget: StepBudget) -> Exception:
    """Why there is no value at `at`."""
    is_cut_off = _reach(at, budget) < len(data) and data[at : at + 1] in _LONG
    return TooComplex() if is_cut_off else Malformed()


def _closed(data: bytes, at: int, run: bytes, open_brackets: bytearray, budget: StepBudget) -> int:
    """Take what a run of closing brackets closes off the open ones; the position after that."""
    closing = run.translate(None, JSON_SPACE)[: len(open_brackets)]
    count = len(closing)
    if closing[::-1].translate(_OPENED_BY) != open_brackets[-count:]:
        raise Malformed
    del open_brackets[-count:]
    # A run may close more than was opened here; the rest belongs to what is around.
    if not run[:count].translate(None, b"]}"):
        return at + count
    budget.spend(count)
    *_, last = islice(_closing.finditer(data, at), count)
    return last.end()


def _name_of(string: bytes) -> bytes:
    # Names are compared as bytes; one without escapes, even if no UTF-8, is its own bytes.
    if b"\\" not in string:
        return string[1:-1]
    try:
        return text_of(string).encode("utf-8", "surrogatepass")
    except Malformed:  # so it is no name that anybody looks for
        return string[1:-1]
