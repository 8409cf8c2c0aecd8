"""How JSON is laid out in a file: takes its beginning, says whether each line holds an object.

Refuses what holds none, and objects that are only wrapped around the messages.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import msgspec

from headcount.importing.columns_map import FIELDS
from headcount.importing.compression import Unfit
from headcount.intake.reasons import Reason
from headcount.intake.scanning import JSON_SPACE, Malformed, value_end
from headcount.intake.work import StepBudget, TooComplex, message_steps

__all__ = ["decoded", "first_object", "keeps_to_lines", "refuse_other_text", "refuse_wrapped"]

_SHOWN_BYTES = 24
_BROKEN_LINES_MAX = 8
_BETWEEN = JSON_SPACE + b",\x1e"
_WRAPPED = re.compile(rb'\{\s*"([A-Za-z_]\w*)"\s*:\s*\[\s*\{', re.ASCII)


def refuse_wrapped(text: bytes, name: str) -> None:
    """Refuse objects whose only sense is to hold an array of messages, as bodies of requests do.

    Args:
        text: the beginning of a file that begins with an object.
        name: what the file is called.

    Raises:
        Unfit: it holds such objects; the text has the command that takes the messages out.
    """
    found = first_object(text)
    if found is None:
        # It is too long to be seen whole, unless it is only the first line that is wrong.
        match = None if _has_line_of_json(text) else _WRAPPED.match(text)
        inside = None if match is None else match[1].decode()
    elif found.keys() & set(FIELDS):
        return
    else:
        arrays = (
            key for key, value in found.items()
            if isinstance(value, list) and value and isinstance(value[0], dict)
        )  # fmt: skip
        inside = next(arrays, None)
    if inside is not None:
        file, selected = shlex.quote(name), shlex.quote(f".{inside}[]")
        is_gzip = name.lower().endswith(".gz")
        jq = f"gzip -dc {file} | jq -c {selected}" if is_gzip else f"jq -c {selected} {file}"
        raise Unfit(
            f'it is an object around the messages, which are its "{inside}"; use: {jq} | headcount'
            " import -"
        )


def first_object(text: bytes) -> dict[str, Any] | None:
    """The object with which a file begins; None where it cannot be seen whole."""
    line = text.partition(b"\n")[0]
    try:
        end = len(line) if _is_value(line) else value_end(text, 0, _budget(text))
    except (Malformed, TooComplex):
        return None
    found = decoded(text[:end])
    return found if isinstance(found, dict) else None


def _budget(text: bytes) -> StepBudget:
    return StepBudget(message_steps(len(text)))


def keeps_to_lines(text: bytes, is_whole: bool) -> bool:
    """Whether a file that begins with an object has one on each line.

    Args:
        text: its beginning.
        is_whole: whether that is all of it.
    """
    if b"\n" not in text and not is_whole and not _is_value(text):
        # One line, as long as can be seen: of many records, or of a single one that is too long.
        return False
    at, broken = 0, 0
    while at < len(text) and broken < _BROKEN_LINES_MAX:
        end = text.find(b"\n", at)
        if end < 0:
            end = len(text)
            if not is_whole:
                break
        line = text[at:end]
        if line.lstrip(JSON_SPACE).startswith(b"{") and not _is_value(line):
            broken += 1
            if _goes_on(text, at, end):
                return False
        at = end + 1
    # A line that is wrong is that line alone, as long as others are right, or begin as they should.
    return broken == 0 or _has_line_of_json(text) or _begin_as_objects(text)


def _goes_on(text: bytes, at: int, end: int) -> bool:
    """Whether a value ends in a later line than it begins in, or is followed by others there."""
    at += len(text[at:end]) - len(text[at:end].lstrip(JSON_SPACE))
    try:
        ends_at = value_end(text, at, _budget(text))
    except (Malformed, TooComplex):
        return False
    rest = text[ends_at:end].lstrip(_BETWEEN)
    return ends_at > end or not rest or rest.startswith((b"{", b"["))


def refuse_other_text(text: bytes, is_whole: bool) -> None:
    """Refuse what holds no line of JSON.

    Args:
        text: the beginning of a file that is no array and no table.
        is_whole: whether that is all of it.

    Raises:
        Unfit: it does not.
    """
    if not text or _has_line_of_json(text) or (text[:1] == b"{" and b"\n" not in text):
        return
    begin = text[:_SHOWN_BYTES].partition(b"\n")[0].strip()
    shown = begin.decode("utf-8", "backslashreplace")
    if not is_whole and b"\n" not in text:
        shown += "..."
    raise Unfit(
        f"none of its lines that were looked at is a JSON object, it is no array of them, and no"
        f' table with a heading; it begins with "{shown}"'
    )


def _has_line_of_json(text: bytes) -> bool:
    return any(
        line.lstrip(JSON_SPACE).startswith(b"{") and _is_value(line) for line in text.split(b"\n")
    )


def _begin_as_objects(text: bytes) -> bool:
    lines = (line.strip(JSON_SPACE) for line in text.split(b"\n"))
    return all(line.startswith(b"{") and line != b"{" for line in lines if line)


def _is_value(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # What that decoder refuses may still be taken: half a character, or deep nesting.
        try:
            at = len(line) - len(line.lstrip(JSON_SPACE))
            end = value_end(line, at, _budget(line))
        except (Malformed, TooComplex):
            return False
        return not line[end:].strip(JSON_SPACE)
    return True


def decoded(raw: bytes) -> dict[str, Any] | Reason:
    """The object in a piece of JSON, or why there is none."""
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        try:
            found = json.loads(raw)
        except UnicodeDecodeError:
            return Reason.NOT_UTF8
        except RecursionError:
            return Reason.TOO_COMPLEX
        except ValueError:
            return Reason.MALFORMED_JSON
    return found if isinstance(found, dict) else Reason.NOT_AN_OBJECT
