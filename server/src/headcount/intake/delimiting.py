"""Finds the elements of an array in JSON bytes by their brackets alone: gives spans.

So one element that is malformed can be cut out from among the others. What is in them is not
looked at, but for strings, which may hold brackets. Its cost is linear and spent from a budget.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

from headcount.intake.scanning import (
    BYTES_A_STEP,
    NO_BRACKETS,
    SCALAR,
    WS,
    Malformed,
    Span,
    separator,
    skip_space,
    value_end,
)
from headcount.intake.work import StepBudget

__all__ = ["elements"]

# How many levels of brackets one match passes over. The pattern grows by one copy with each.
_LEVELS = 24
# How far a single match looks for the end of an element, so that it ends soon.
_WINDOW_BYTES = 1 << 16
# Strings are passed over faster than all else.
_STRING_BYTES_A_STEP = 512

_ANY_STRING = rb'"(?:[^"\\]++|(?:\\.)++)*+"'
_NO_BRACKET_STRING = rb'"(?:[^"\\\[\]{}]++|\\[^\[\]{}])*+"'


def _stuff(string: bytes, levels: int) -> bytes:
    """Whatever is no bracket, and brackets that open and close, no more than some levels deep."""
    deeper = rb"|[\[{]" + _stuff(string, levels - 1) + rb"[\]}]" if levels else b""
    return rb'(?:[^"\[\]{}]++|' + string + deeper + rb")*+"


_element = re.compile(
    rb"(?:[\[{]" + _stuff(_ANY_STRING, _LEVELS) + rb"[\]}]|" + SCALAR + rb")(?=" + WS
    + rb"[,\]])", re.DOTALL
)  # fmt: skip
# Runs that go deeper or less deep. No string in them holds a bracket, so that they can be counted.
_COUNTED = _stuff(_NO_BRACKET_STRING, 1)
_run = re.compile(rb"(?:" + _COUNTED + rb"[\[{])++|(?:" + _COUNTED + rb"[\]}])++", re.DOTALL)
_counted = re.compile(_COUNTED, re.DOTALL)
_closings = re.compile(rb"[\]}]++")
_any_string = re.compile(_ANY_STRING, re.DOTALL)


def elements(data: bytes, at: int, budget: StepBudget) -> Iterator[Span]:
    """The elements of the array that starts at `at`; among them, as pauses, spans of nothing, of
    which the last one is where the array has ended.

    An array or object among them is found by its brackets alone: what stands between them may be
    malformed, and so one bad message can be cut out of its batch.

    Raises:
        Malformed: the array never closes, or lacks a comma or an element.
        TooComplex: that would take more than the budget.
    """
    at = skip_space(data, at + 1)
    mark = b"]" if data[at : at + 1] == b"]" else b","
    at += mark == b"]"
    while mark == b",":
        budget.spend()
        end = at
        if found := _element.match(data, at, at + _WINDOW_BYTES):
            end = found.end()
        elif data[at : at + 1] in (b"[", b"{"):
            for end in _delimited(data, at, budget):
                yield end, end
        else:
            end = value_end(data, at, budget)
        yield at, end
        mark, at = separator(data, end, b"]")
    yield at, at


def _delimited(data: bytes, at: int, budget: StepBudget) -> Iterator[int]:
    """Positions in the array or object that starts at `at`, ever nearer to its end, at last that.

    It is found by its brackets alone, of whichever kind.
    """
    depth = 1
    at += 1
    while depth:
        yield at
        window_ends_at = at + _WINDOW_BYTES
        run = _run.match(data, at, window_ends_at)
        if run is None:
            # There is nothing to count in the window, or next there is a string of another kind.
            passed = cast(re.Match[bytes], _counted.match(data, at, window_ends_at))
            if passed.end() == at:
                string = _any_string.match(data, at)
                if string is None:
                    raise Malformed
                budget.spend(2 + (string.end() - at) // _STRING_BYTES_A_STEP)
                at = string.end()
                continue
            budget.spend(2 + (passed.end() - at) // BYTES_A_STEP)
            at = passed.end()
            continue
        budget.spend(2 + (run.end() - at) // BYTES_A_STEP)
        brackets = run[0].translate(None, NO_BRACKETS)
        deeper = 2 * len(brackets.translate(None, b"]}")) - len(brackets)
        if depth + deeper > 0:
            depth += deeper
            at = run.end()
            continue
        # A run may close more than was opened here; the rest belongs to what is around.
        while depth:
            budget.spend()
            at = cast(re.Match[bytes], _counted.match(data, at)).end()
            closed = cast(re.Match[bytes], _closings.match(data, at)).end() - at
            at += min(closed, depth)
            depth -= min(closed, depth)
    yield at
