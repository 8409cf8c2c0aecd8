"""Finds values in JSON bytes: takes bytes and a position, gives spans, refuses malformed JSON.

This is the grammar of the tolerant decoder. It keeps its own stack, so that nesting costs no
recursion, and it decodes only what is asked for: a string that nobody reads may hold lone
surrogates or bytes that are no UTF-8, as the fast decoder lets it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import cast

__all__ = [
    "JSON_SPACE",
    "Malformed",
    "Span",
    "elements",
    "is_object",
    "members",
    "only_value",
    "string_of",
    "text_of",
    "without_bom",
]

_BOM = b"\xef\xbb\xbf"

JSON_SPACE = b" \t\n\r"
"""The white space of JSON, for `bytes.strip`, which by itself takes off more than that."""

Span = tuple[int, int]
"""Start and end of a value in the bytes that were scanned."""

_STRING = rb'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"'
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_SPACE = re.compile(rb"[ \t\n\r]*+")
_SCALAR = re.compile(_STRING + rb"|" + _NUMBER + rb"|true|false|null")
_KEY = re.compile(rb"(" + _STRING + rb")[ \t\n\r]*+:[ \t\n\r]*+")
# Nesting is mostly of arrays when somebody tries how deep it may be, so they are opened together.
_OPENING = re.compile(rb"(?:\[[ \t\n\r]*+)++|\{[ \t\n\r]*+")
# What comes after a value inside a container.
_SEPARATOR = re.compile(rb"[ \t\n\r]*+([,\]}])[ \t\n\r]*+")
# Elements and members that hold nothing further, each with its comma: most of any message, and
# passed over in one step.
_FLAT = rb"(?:" + _SCALAR.pattern + rb"|\[[ \t\n\r]*+\]|\{[ \t\n\r]*+\})[ \t\n\r]*+,[ \t\n\r]*+"
_FLAT_ELEMENTS = re.compile(rb"(?:" + _FLAT + rb")*+")
_FLAT_MEMBERS = re.compile(rb"(?:" + _KEY.pattern + _FLAT + rb")*+")
# For delimiting alone: the next run of brackets, whatever stands before it.
_BRACKETS = re.compile(
    rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+(?:([\[{]++)|([\]}]++))', re.DOTALL
)

_ARRAY, _OBJECT = b"[{"
_CLOSING = {_ARRAY: b"]", _OBJECT: b"}"}


class Malformed(ValueError):
    """The bytes are not JSON."""


def _skip_space(data: bytes, at: int) -> int:
    """The position of the first byte from `at` on that is no white space."""
    return cast(re.Match[bytes], _SPACE.match(data, at)).end()


def without_bom(data: bytes) -> bytes:
    """The data without the byte order mark of UTF-8 that some editors and clients put in front."""
    return data.removeprefix(_BOM)


def is_object(data: bytes) -> bool:
    """Whether the data begins like an object."""
    at = _skip_space(data, 0)
    return data[at : at + 1] == b"{"


def only_value(data: bytes) -> Span:
    """The span of the value that makes up the data, all of it checked.

    Raises:
        Malformed: not JSON, or something other than white space comes after the value.
    """
    start = _skip_space(data, 0)
    end = _value_end(data, start)
    if _skip_space(data, end) != len(data):
        raise Malformed
    return start, end


def members(data: bytes, loose: bytes | None = None) -> Iterator[tuple[bytes, Span]]:
    """The names and values of the object that makes up the data, in order, repeats included.

    Args:
        data: what is scanned.
        loose: name of the member whose value is found by its brackets alone.

    Raises:
        Malformed: not an object, or something other than white space comes after it.
    """
    at = _skip_space(data, 0)
    opening = _OPENING.match(data, at)
    if opening is None or data[at] != _OBJECT:
        raise Malformed
    at = opening.end()
    if data[at : at + 1] == b"}":
        at = _skip_space(data, at + 1)
    else:
        mark = b","
        while mark == b",":
            key = _key(data, at)
            name, start = _name_of(key[1]), key.end()
            end = _delimited_end(data, start) if name == loose else _value_end(data, start)
            yield name, (start, end)
            mark, at = _separator(data, end, b"}")
    if at != len(data):
        raise Malformed


def elements(data: bytes, at: int) -> Iterator[Span]:
    """The elements of the array that starts at `at`.

    An array or object among them is found by its brackets alone: what stands between them may be
    malformed, and so one bad message can be cut out of its batch.

    Raises:
        Malformed: the array never closes, or lacks a comma or an element.
    """
    at = _skip_space(data, at + 1)
    if data[at : at + 1] == b"]":
        return
    mark = b","
    while mark == b",":
        end = _delimited_end(data, at)
        yield at, end
        mark, at = _separator(data, end, b"]")


def text_of(string: bytes) -> str:
    """The text of a JSON string, quotes included; lone surrogates stay what they are.

    Raises:
        Malformed: the bytes are no UTF-8.
    """
    try:
        text = string.decode()
    except UnicodeDecodeError:
        raise Malformed from None
    return cast(str, json.loads(text)) if "\\" in text else text[1:-1]


def string_of(token: bytes) -> str | None:
    """The text of a value that is a string; None for any other.

    Raises:
        Malformed: the bytes are no UTF-8.
    """
    return text_of(token) if token.startswith(b'"') else None


def _name_of(string: bytes) -> bytes:
    # Names are compared as bytes; one without escapes, even if no UTF-8, is its own bytes.
    if b"\\" not in string:
        return string[1:-1]
    try:
        return text_of(string).encode("utf-8", "surrogatepass")
    except Malformed:  # so it is no name that anybody looks for
        return string[1:-1]


def _value_end(data: bytes, at: int) -> int:
    """The end of the value that starts at `at`, all of it checked against the grammar."""
    stack = bytearray()
    while True:
        if opening := _OPENING.match(data, at):
            kind = data[at]
            stack += b"[" * opening[0].count(b"[") if kind == _ARRAY else b"{"
            at = opening.end()
            if data[at : at + 1] != _CLOSING[kind]:
                at = _deep_value_at(data, at, kind)
                continue
            stack.pop()
            at += 1
        elif scalar := _SCALAR.match(data, at):
            at = scalar.end()
        else:
            raise Malformed
        while stack:
            mark, after = _separator(data, at, _CLOSING[stack[-1]])
            if mark == b",":
                at = _deep_value_at(data, after, stack[-1])
                break
            stack.pop()
            at = after
        else:
            return at


def _deep_value_at(data: bytes, at: int, kind: int) -> int:
    """Where the next value of a container starts that may hold others, or is its last one."""
    if kind == _ARRAY:
        return cast(re.Match[bytes], _FLAT_ELEMENTS.match(data, at)).end()
    at = cast(re.Match[bytes], _FLAT_MEMBERS.match(data, at)).end()
    return _key(data, at).end()


def _key(data: bytes, at: int) -> re.Match[bytes]:
    key = _KEY.match(data, at)
    if key is None:
        raise Malformed
    return key


def _separator(data: bytes, at: int, closing: bytes) -> tuple[bytes, int]:
    """The comma or closing bracket that comes next, and where what follows it starts."""
    separator = _SEPARATOR.match(data, at)
    if separator is None or separator[1] not in (b",", closing):
        raise Malformed
    return separator[1], separator.end()


def _delimited_end(data: bytes, at: int) -> int:
    """The end of the value that starts at `at`, for an array or object by its brackets alone."""
    if data[at : at + 1] not in (b"[", b"{"):
        return _value_end(data, at)
    depth = 0
    while True:
        run = _BRACKETS.match(data, at)
        if run is None:
            raise Malformed
        at = run.end()
        if run[1] is not None:
            depth += len(run[1])
            continue
        depth -= len(run[2])
        if depth <= 0:
            # A run may close more than was opened here; the rest belongs to what is around.
            return at + depth
