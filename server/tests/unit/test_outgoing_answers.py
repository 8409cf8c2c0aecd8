"""What other people's servers say, to whoever tries again."""

from __future__ import annotations

import email.utils

from headcount.outgoing_answers import retry_after_s


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_s("7", 0) == 7
    assert retry_after_s(email.utils.formatdate(1000, usegmt=True), 940) == 60
    assert retry_after_s(email.utils.formatdate(1000, usegmt=True), 2000) == 0
    for nonsense in (None, "", "soon", "-3", "9" * 30, "Mon, 99 Foo"):
        assert retry_after_s(nonsense, 0) is None
