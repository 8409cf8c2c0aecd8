"""A process that takes lines for another one: `python -m headcount.importing.decoder`.

Takes on standard input how, and then lines, some thousand at a time; gives on standard output what
`take_plain` makes of them. Writes nothing anywhere else, and ends with its input.
"""

from __future__ import annotations

import gc
import signal
import struct
import sys
from typing import IO, NamedTuple

import msgspec
import numpy as np

from headcount.counting.batch import FACT_DTYPE
from headcount.counting.hashing import IdHasher
from headcount.importing.plain_records import (
    Combination,
    Names,
    PlainLimits,
    PlainRecords,
    take_plain,
)

__all__ = ["How", "answer_of", "main", "send", "written"]

_HEAD = struct.Struct("<II")


class How(NamedTuple):
    """How lines are taken: the hash key and its number, and what `take_plain` is told besides."""

    key: bytes
    number: int
    limits: PlainLimits
    are_named: bool


class _DecodedLines(NamedTuple):
    facts: bytes
    others: bytes
    names: list[Names]
    of_names: bytes
    combinations: list[Combination]
    of_combination: bytes
    digest: bytes


_how = msgspec.msgpack.Decoder(How).decode
_answer = msgspec.msgpack.Decoder(_DecodedLines).decode


def send(pipe: IO[bytes], content: bytes, count: int = 0) -> None:
    """Write something for the other end of a pipe.

    Args:
        pipe: the pipe.
        content: what.
        count: a number that goes with it.
    """
    pipe.write(_HEAD.pack(len(content), count))
    pipe.write(content)
    pipe.flush()


def _received(pipe: IO[bytes]) -> tuple[bytes, int] | None:
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, count = _HEAD.unpack(head)
    content = pipe.read(length)
    return None if len(content) < length else (content, count)


def answer_of(pipe: IO[bytes]) -> PlainRecords | None:
    """What a decoder answers on a pipe; None where it has ended."""
    received = _received(pipe)
    if received is None:
        return None
    told = _answer(received[0])
    return PlainRecords(
        np.frombuffer(bytearray(told.facts), FACT_DTYPE),
        np.frombuffer(told.others, np.int64),
        told.names,
        np.frombuffer(told.of_names, np.int64),
        told.combinations,
        np.frombuffer(told.of_combination, np.int64),
        told.digest,
    )


def written(how: How) -> bytes:
    """What a decoder is to be sent first."""
    return msgspec.msgpack.encode(how)


def main() -> None:
    """Answer until the input ends."""
    # Ctrl-C is for who has started it, and ends this one by ending its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nothing that is made here refers to itself.
    gc.disable()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    begun = _received(source)
    if begun is None:
        return
    key, number, limits, are_named = _how(begun[0])
    hasher = IdHasher(key, number)
    while (lines := _received(source)) is not None:
        plain = take_plain(*lines, hasher, limits, are_named=are_named)
        answer = _DecodedLines(
            plain.facts.tobytes(),
            plain.others.tobytes(),
            plain.names,
            plain.of_names.tobytes(),
            plain.combinations,
            plain.of_combination.tobytes(),
            plain.digest,
        )
        try:
            send(sink, msgspec.msgpack.encode(answer))
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
