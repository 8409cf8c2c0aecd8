"""What every test of the server relies on, whenever the tests run."""

import gc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from moved_clock import MovedClock
from support.program import go_by

_A_RUN = timedelta(hours=1)
"""No run of the tests lasts longer."""


@pytest.fixture(scope="session", autouse=True)
def no_month_ends_by_chance(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests count this month, so shortly before its end they have begun the next one.

    What a month's end does is for tests that choose it. Days may end at any time.
    """
    now = datetime.now(UTC)
    if (now + _A_RUN).month != now.month:
        go_by(MovedClock(tmp_path_factory.mktemp("clock") / "clock", now + _A_RUN))


_OPEN = Path("/proc/self/fd")
_DESCRIPTORS_MORE_MAX = 100
"""Engines, browsers and drawing libraries that live as long as the tests hold fewer."""


def _descriptors() -> int:
    return len(list(_OPEN.iterdir()))


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    """One process runs thousands of tests: whatever a file of them opens, it closes."""
    if not _OPEN.is_dir():
        yield
        return
    before = _descriptors()
    yield
    if _descriptors() - before > _DESCRIPTORS_MORE_MAX:
        gc.collect()
        assert _descriptors() - before <= _DESCRIPTORS_MORE_MAX, "files that tests left open"
