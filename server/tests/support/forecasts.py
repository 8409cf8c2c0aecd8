"""A forecast of a running total, as if its days were messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headcount.counting.calendar import parse_period
from headcount.counting.forecast import Forecast, forecast_of
from headcount.counting.metrics import API_CALLS, BY_NAME, KINDS

__all__ = ["forecast_from"]


def forecast_from(totals: Sequence[int]) -> Forecast | None:
    """The forecast of November 2026.

    Args:
        totals: the running total at the end of each day so far.
    """
    days = np.zeros((len(totals), len(KINDS)), np.int64)
    days[:, API_CALLS] = np.diff(totals, prepend=0)
    return forecast_of(BY_NAME["api_calls"], parse_period("2026-11-01"), days, [])
