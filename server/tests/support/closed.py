"""Closes what tests open and leave open, as a process that is killed does; so that the one process
in which thousands of tests run does not hold a descriptor for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from headcount.errors import HeadcountError

__all__ = ["everything_closed"]


@contextmanager
def everything_closed(*kinds: type) -> Iterator[None]:
    """At the end closes all objects of some classes that were made meanwhile.

    Args:
        kinds: the classes; each has a `close` that may be called twice.
    """
    made: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        for kind in kinds:
            patch.setattr(kind, "__init__", _remembering(kind.__init__, made))
        yield
    for each in reversed(made):
        # What could not be opened has nothing to close.
        with suppress(AttributeError, OSError, HeadcountError):
            each.close()


def _remembering(begin: Any, made: list[Any]) -> Any:
    def begun(self: Any, *args: Any, **options: Any) -> None:
        made.append(self)
        begin(self, *args, **options)

    return begun
