"""Text from outside, as a person sees it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.shown import shown, shown_lines


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("web", "web"),
        ("Zürich 店 🏳️‍🌈 naïve", "Zürich 店 🏳️‍🌈 naïve"),
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("a\rb\nc\td\0", "a\\rb\\nc\\td\\x00"),
        ("\x9b31m \x7f \x85", "\\x9b31m \\x7f \\x85"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("\u200f\u061c\u2028\u2029\ufeff", "\\u200f\\u061c\\u2028\\u2029\\ufeff"),
        ("\udcff broken", "\\udcff broken"),
    ],
)
def test_what_moves_a_terminal_is_an_escape(text: str, harmless: str) -> None:
    assert shown(text) == harmless


@given(st.text(st.characters(), max_size=30))
def test_no_text_holds_anything_that_a_terminal_acts_upon(text: str) -> None:
    told = shown(text)
    for character in told:
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(character) not in (
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
        )  # fmt: skip
    assert shown(told) == told
    assert "\n" not in told


def test_a_line_break_makes_no_line_of_the_programs_own() -> None:
    assert shown_lines("a name\nError: \x1b[1m") == "a name\n  Error: \\x1b[1m"
