"""Lines of CSV that a spreadsheet opens as they are meant: takes cells, gives bytes.

Names are whatever somebody typed, and a spreadsheet runs a cell that looks like a formula.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["csv_line"]

_TO_QUOTE = re.compile(r'[,"\r\n]')
_FORMULA_MARKS = ("=", "+", "-", "@")
# What becomes a break of cells or lines where a table is pasted.
_BREAKS = ("\t", "\r", "\n")
_SKIPPED = "".join(map(chr, range(0x21))) + "\x7f\x85\u200b\u200c\u200d\u2028\u2029\u2060\ufeff'\""


def csv_line(cells: Sequence[object]) -> bytes:
    """A line in UTF-8; None is an empty cell, and a text is shown as the text that it is."""
    return (",".join(_quoted(_as_text(cell)) for cell in cells) + "\n").encode()


def _as_text(cell: object) -> object:
    """A cell that a spreadsheet shows as the text that it is; numbers and days stay what they are.

    A text that looks like a formula to one of them gets an apostrophe in front. They skip blanks
    and quotation marks, begin formulas with one of four marks, and take wide forms for them too.
    """
    if not isinstance(cell, str):
        return cell
    plain = unicodedata.normalize("NFKC", cell).lstrip(_SKIPPED)
    return f"'{cell}" if plain.startswith(_FORMULA_MARKS) or cell[:1] in _BREAKS else cell


def _quoted(cell: object) -> str:
    # Not by the csv module: it leaves a carriage return bare, and readers begin a row behind it.
    text = "" if cell is None else str(cell)
    return '"' + text.replace('"', '""') + '"' if _TO_QUOTE.search(text) else text
