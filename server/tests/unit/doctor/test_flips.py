"""One flipped bit is found by the checksum, wherever it is; anything else is not taken for one."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec

from headcount.doctor.flips import NoText, unflipped

ROW = (7, "wébsite", 671, 0, random.Random(1).randbytes(1240), None)


def checksum(values: Sequence[Any]) -> int:
    return zlib.crc32(msgspec.msgpack.encode(tuple(values)))


def flip(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


def test_every_bit_of_every_column_is_found() -> None:
    stored = checksum(ROW)
    damaged: list[Sequence[Any]] = [
        (*ROW[:4], flip(ROW[4], bit), None) for bit in range(8 * len(ROW[4]))
    ]
    for bit in range(8 * len(ROW[1].encode())):
        data = flip(ROW[1].encode(), bit)
        try:
            damaged.append((7, data.decode(), *ROW[2:]))
        except UnicodeDecodeError:
            damaged.append((7, NoText(data), *ROW[2:]))
    damaged += [(7 ^ 1 << bit, *ROW[1:]) for bit in range(7)]
    damaged += [(7 ^ 128, *ROW[1:]), (-121, *ROW[1:])]
    damaged += [(*ROW[:2], 671 - 2**15, *ROW[3:]), (*ROW[:3], 1, *ROW[4:])]
    for values in random.Random(2).sample(damaged, 500) + damaged[-12:]:
        assert unflipped(values, stored, checksum) == ROW, values[:4]


def test_a_flipped_checksum_leaves_the_row_as_it_is() -> None:
    for bit in range(32):
        assert unflipped(ROW, checksum(ROW) ^ 1 << bit, checksum) == ROW


def test_what_differs_in_more_than_a_bit_is_not_guessed() -> None:
    rng = random.Random(3)
    stored = checksum(ROW)
    for _ in range(100):
        assert unflipped((*ROW[:4], rng.randbytes(1240), None), stored, checksum) is None
        twice = flip(flip(ROW[4], rng.randrange(4000)), 4000 + rng.randrange(4000))
        assert unflipped((*ROW[:4], twice, None), stored, checksum) is None
    for length in (0, 1239, 1241):
        assert unflipped((*ROW[:4], bytes(length), None), stored, checksum) is None
