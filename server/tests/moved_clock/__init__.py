"""A clock that a test sets while programs run by it, the test and they alike.

For what no test can wait for, such as the end of a month in the life of a real server.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["MovedClock"]

_HERE = Path(__file__).parent


class MovedClock:
    """The system's clock, some distance away; it goes on from wherever it is set.

    Args:
        file: where to keep the distance.
        moment: what it shows first.
    """

    def __init__(self, file: Path, moment: datetime) -> None:
        self._file = file
        self._file.write_bytes(bytes(8))
        self.set(moment)

    def set(self, moment: datetime) -> None:
        """Set it, forwards or back, for every program at once."""
        self._distance_ns = round(moment.timestamp() * 1e9) - time.time_ns()
        with self._file.open("r+b") as file:
            file.write(self._distance_ns.to_bytes(8, "little", signed=True))

    def now(self) -> datetime:
        """What it shows."""
        return datetime.fromtimestamp((time.time_ns() + self._distance_ns) / 1e9, UTC)

    def environment(self) -> dict[str, str]:
        """Variables with which a program goes by this clock."""
        return {"PYTHONPATH": str(_HERE), "TESTS_CLOCK": str(self._file)}
