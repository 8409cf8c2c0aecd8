"""What `headcount tail` shows of sources that forward: what came since it looked last."""

from __future__ import annotations

from typing import Any

from headcount.cli.reading.forwarded import ForwardedNews


def told(delivered: int, refused: int = 0, behind_s: float = 0.0) -> dict[str, Any]:
    return {
        "sourceId": "s", "sourceName": "web", "behindSeconds": behind_s, "sentence": "Behind.",
        "outcomes": {
            "delivered": {"requests": 1, "messages": delivered},
            "refused": {"requests": 1, "messages": refused},
        },
        "refusedByStatus": [{"status": 413, "requests": 1, "messages": refused}],
    }  # fmt: skip


def test_a_line_tells_what_came_since() -> None:
    news = ForwardedNews([told(10, 1)])
    assert list(news.more([told(10, 1)])) == []
    [change] = news.more([told(15, 3)])
    assert change.outcomes == {"delivered": 5, "refused 413": 2}
    assert change.behind == ""


def test_a_source_that_is_behind_says_so_each_time() -> None:
    news = ForwardedNews([])
    assert list(news.more([told(0, behind_s=9.9)])) == []
    for _ in range(2):
        [change] = news.more([told(0, behind_s=10.0)])
        assert (change.behind, change.behind_s, change.outcomes) == ("Behind.", 10.0, {})
