"""Times as programs write them, many at once: takes texts, gives moments and which are others.

RFC 3339 in UTC, with a capital T and Z: `2026-02-03T04:05:06Z`, with up to nine digits behind the
seconds, of which those behind milliseconds are cut off. Whatever is written in another way, or is
no time, is for `parse_moment_ms` to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt

from headcount.counting.calendar import MS_PER_DAY
from headcount.counting.keys import distinct

__all__ = ["moments_ms"]

_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]

_EPOCH = date(1970, 1, 1).toordinal()

# 2026-02-03T04:05:06Z, and with up to nine digits behind the seconds.
_TIME_LENGTH, _TIME_LENGTH_MAX = 20, 30
_SIGNS = {4: "-", 7: "-", 10: "T", 13: ":", 16: ":", -1: "Z"}
_FRACTION_AT = 19


def moments_ms(texts: Sequence[str]) -> tuple[_Ints, _Bools]:
    """Moments in milliseconds since 1970, and which texts are written in another way.

    Args:
        texts: at least one.
    """
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    found, others = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    for length in distinct(lengths).tolist():
        places = np.flatnonzero(lengths == length)
        if not (length == _TIME_LENGTH or _TIME_LENGTH + 2 <= length <= _TIME_LENGTH_MAX):
            others[places] = True
            continue
        some = texts if len(places) == len(texts) else [texts[at] for at in places.tolist()]
        characters = np.frombuffer("".join(some).encode("latin-1", "replace"), np.uint8)
        found[places], others[places] = _parsed_ms(characters.reshape(len(places), length))
    return found, others


def _parsed_ms(written: npt.NDArray[np.uint8]) -> tuple[_Ints, _Bools]:
    """Moments in milliseconds since 1970, and which of them are written in another way.

    Args:
        written: characters, a row each.
    """
    length = written.shape[1]
    signs = _SIGNS if length == _TIME_LENGTH else {**_SIGNS, _FRACTION_AT: "."}
    signs = {at % length: sign for at, sign in signs.items()}
    columns = np.array(written.T, order="C")
    wrong = np.zeros(len(written), np.bool_)
    for at, sign in signs.items():
        wrong |= columns[at] != ord(sign)
    columns -= np.uint8(ord("0"))
    wrong |= (columns[[at for at in range(length) if at not in signs]] > 9).any(axis=0)

    def number(*places: int) -> _Ints:
        value: _Ints = columns[places[0]].astype(np.int64)
        for at in places[1:]:
            value *= 10
            value += columns[at]
        return value

    dates, of_date = np.unique(number(0, 1, 2, 3, 5, 6, 8, 9), return_inverse=True)
    days = np.fromiter(map(_day, dates.tolist()), np.int64, len(dates))[of_date]
    hours, minutes, seconds = number(11, 12), number(14, 15), number(17, 18)
    wrong |= (days == _NO_DAY) | (hours > 23) | (minutes > 59) | (seconds > 59)
    moments_ms: _Ints = days * MS_PER_DAY + ((hours * 60 + minutes) * 60 + seconds) * 1000
    for at, worth in zip(range(_FRACTION_AT + 1, length - 1), (100, 10, 1), strict=False):
        moments_ms += columns[at].astype(np.int64) * worth
    return moments_ms, wrong


_NO_DAY = -1 << 40


def _day(written: int) -> int:
    """Days since 1970 of a date that is written as a number, such as 20260203."""
    try:
        return date(written // 10_000, written // 100 % 100, written % 100).toordinal() - _EPOCH
    except ValueError:
        return _NO_DAY
