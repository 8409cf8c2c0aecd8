"""What use beyond a plan costs."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.cost import Price, cost_of, money_text

PRICE = Price(Decimal("12.50"), 1_000, "USD")


@pytest.mark.parametrize(
    ("used", "limit", "steps"),
    [
        (0, 0, 0), (10_000, 10_000, 0), (10_001, 10_000, 1), (11_000, 10_000, 1),
        (11_001, 10_000, 2), (1, 0, 1), (10**12, None, 0),
    ],
)  # fmt: skip
def test_a_step_that_is_begun_is_charged_whole(used: int, limit: int | None, steps: int) -> None:
    cost = cost_of(used, limit, PRICE)
    assert cost == (steps, steps * Decimal("12.50"), "USD")


@given(
    st.integers(0, 10**15), st.integers(0, 10**15), st.integers(1, 10**15),
    st.decimals(0, 10**9, places=6),
)  # fmt: skip
def test_what_is_charged_covers_what_is_over_and_less_than_a_step_more(
    used: int, limit: int, step: int, amount: Decimal
) -> None:
    steps, total, _ = cost_of(used, limit, Price(amount, step, "EUR"))
    over = max(0, used - limit)
    assert over <= steps * step < over + step
    assert total == steps * amount


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("12.5", "EUR 12.50"), ("1250", "EUR 1,250.00"), ("0.0004", "EUR 0.0004"),
        ("0", "EUR 0.00"), ("-3", "EUR -3.00"),
    ],
)  # fmt: skip
def test_money_is_shown_with_cents_and_no_digit_less_than_it_has(amount: str, text: str) -> None:
    assert money_text(Decimal(amount), "EUR") == text
