"""Numbers of a statement: takes cells as spreadsheets of many countries write them, gives whole
numbers. What may be read in two ways is refused, and never guessed.

A point or a comma with three digits behind it may group thousands or begin decimals. Counts are
whole, so only zeros behind it leave a doubt; a file settles it where another of its numbers can be
read in one way only.
"""

from __future__ import annotations

import re

__all__ = ["NumberStyle"]

_DIGITS_MAX = 18
# Blanks, apostrophes and underscores group thousands everywhere.
_NEUTRAL = re.compile(r"(?<=\d)[ \u00a0\u202f\u2009'\u2019_](?=\d{3}(?!\d))")
_NUMBER = re.compile(r"[0-9][0-9.,]*")
# Thousands, as in most countries, or hundreds beyond the first thousand, as in India.
_GROUPS = re.compile(r"\d{1,3}(?:S\d{3})+|\d{1,2}(?:S\d{2})+S\d{3}")
_MARKS = ".,"
_THOUSAND = 3


class NumberStyle:
    """How the numbers of one file are written.

    Args:
        part: what parts the cells of the file. Where commas do, they also group thousands, and
            elsewhere points do, if anything does.
    """

    def __init__(self, part: str) -> None:
        self._usual = "," if part == "," else "."
        self._shown: set[str] = set()

    def learn(self, text: str) -> None:
        """Look at a cell: where it is a number, it may show what groups thousands in this file."""
        digits = _plain(text)[1]
        if not _NUMBER.fullmatch(digits):
            return
        marks = [each for each in digits if each in _MARKS]
        if len(marks) > 1:
            head = digits if len(set(marks)) == 1 else digits.rpartition(marks[-1])[0]
            if _ungrouped(head, marks[0]) is not None:
                self._shown.add(marks[0])
        elif marks and len(digits.partition(marks[0])[2]) != _THOUSAND:
            # It begins decimals, so thousands are grouped by the other, if at all.
            self._shown.add(_MARKS.replace(marks[0], ""))

    def count_in(self, text: str) -> int | None:
        """The whole number that a text is; None where it is none.

        Raises:
            ValueError: it may be one of two, and its words are which.
        """
        sign, digits = _plain(text)
        if not _NUMBER.fullmatch(digits):
            return None
        whole = self._whole(digits)
        if whole is None or len(whole) > _DIGITS_MAX:
            return None
        return -int(whole) if sign == "-" else int(whole)

    def _whole(self, digits: str) -> str | None:
        """The digits of a whole number; None where it is none."""
        marks = [each for each in digits if each in _MARKS]
        if not marks:
            return digits
        head, mark, tail = digits.rpartition(marks[-1])
        if len(set(marks)) > 1:
            # The last one begins decimals, and the others group.
            return _ungrouped(head, marks[0]) if not tail.strip("0") else None
        if len(marks) > 1:
            return _ungrouped(digits, mark)
        if len(tail) != _THOUSAND:
            return head if not tail.strip("0") else None
        if self._shown == {mark}:
            return _ungrouped(digits, mark)
        if len(self._shown) == 1:
            return head if not tail.strip("0") else None
        if not self._shown and mark == self._usual and (mark == "," or tail.strip("0")):
            return _ungrouped(digits, mark)
        raise ValueError(f"{head} or {head}{tail}")


def _plain(text: str) -> tuple[str, str]:
    """A sign, and what is left without what groups thousands everywhere."""
    text = text.strip().replace("\N{MINUS SIGN}", "-")
    sign = text[:1] if text[:1] in ("-", "+") else ""
    return sign, _NEUTRAL.sub("", text[len(sign) :].strip())


def _ungrouped(digits: str, mark: str) -> str | None:
    if not _GROUPS.fullmatch(digits.replace(mark, "S")):
        return None
    return digits.replace(mark, "")
