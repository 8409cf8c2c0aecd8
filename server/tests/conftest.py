"""What every test of the server relies on, whoever starts the tests, and whenever."""

import signal
from datetime import UTC, datetime, timedelta

import pytest

from moved_clock import MovedClock
from program import go_by

# A shell that starts the tests in the background makes them ignore Ctrl-C, and the programs that
# they start would inherit that; several tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

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
