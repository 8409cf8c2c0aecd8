"""Ctrl-C: takes signals, gives one KeyboardInterrupt, never while a program is being started.

Python starts a program in several steps. One that is interrupted between them runs on unknown to
anybody, or Python passes over the interrupt; so it waits until the program is in a variable.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["catch_interrupts", "held", "raise_if_interrupted"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_interrupted = False
_held = False


def catch_interrupts() -> None:
    """From now on the first signal ends the contest, and further ones do not hinder that."""
    for number in _SIGNALS:
        signal.signal(number, _interrupt)


def _interrupt(*_: object) -> None:
    global _interrupted
    _interrupted = True
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if not _held:
        raise KeyboardInterrupt


def raise_if_interrupted() -> None:
    """Raise what was held back.

    Raises:
        KeyboardInterrupt: somebody has ended the contest.
    """
    if _interrupted:
        raise KeyboardInterrupt


@contextmanager
def held() -> Iterator[None]:
    """Nothing is interrupted in here; ask afterwards, where what was started is ended."""
    global _held
    _held = True
    try:
        yield
    finally:
        _held = False
