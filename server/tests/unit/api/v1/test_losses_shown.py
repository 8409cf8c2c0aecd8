"""A loss is shown with the months that it may concern, and with no others."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import UNSET

from headcount.api.v1.cluster import losses_shown
from headcount.cluster.losses import NotedLoss
from headcount.counting.calendar import MS_PER_DAY, parse_period

JUNE = parse_period("2026-06-01")
SINCE_MS = (JUNE.first_day + 9) * MS_PER_DAY
LOSS = NotedLoss("node-b", SINCE_MS + 7_200_000, SINCE_MS, SINCE_MS + 3_600_000, "It is lost.")


@pytest.mark.parametrize(("months", "shown"), [(-3, 0), (-1, 1), (0, 1), (1, 1), (2, 0)])
def test_a_loss_is_shown_with_its_months_and_those_of_copies(months: int, shown: int) -> None:
    found = losses_shown([LOSS], JUNE.shifted(months))
    assert (0 if found is UNSET else len(found)) == shown


def test_it_says_when_and_what() -> None:
    [found] = losses_shown([LOSS], JUNE) or []
    assert found.message == "It is lost."
    assert (found.since, found.until) == ("2026-06-10T00:00:00.000Z", "2026-06-10T01:00:00.000Z")
    assert found.noted_at == "2026-06-10T02:00:00.000Z"
    assert found.accepted_at is None
    assert losses_shown([], JUNE) is UNSET
    [found] = losses_shown([msgspec.structs.replace(LOSS, accepted_at=SINCE_MS)], JUNE) or []
    assert found.accepted_at == "2026-06-10T00:00:00.000Z"
