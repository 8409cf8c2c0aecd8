"""What every test of the server relies on, whenever the tests run."""

from datetime import UTC, datetime, timedelta

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
