"""Text from outside as a person may see it: takes any text, gives one that moves no terminal.

Names of other servers' sources, names of files and what errors quote may hold sequences that clear
a screen, write over it, or turn a line around; here these are shown as Python would write them.
JSON is not for eyes, and keeps everything as it is.
"""

from __future__ import annotations

import re

__all__ = ["shown", "shown_lines"]

# Control characters (C0, DELETE, C1), what ends a line, what orders text in two directions, what
# hides text, and halves of characters, which no terminal can be sent.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0001]"
)


def shown(text: str) -> str:
    """The text on one line, with what is no letter, digit, mark or space as an escape."""
    return _UNSAFE.sub(_escaped, text)


def shown_lines(text: str) -> str:
    """The same, but lines stay lines; those behind the first are set in.

    So a line break in a name cannot make a line that looks like one of the program's own.
    """
    first, *others = text.split("\n")
    return "\n".join([shown(first), *(f"  {shown(line)}" if line else "" for line in others)])


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
