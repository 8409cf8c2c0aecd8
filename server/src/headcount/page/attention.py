"""What deserves attention before anything else: messages that are refused, why, and what helps.

Takes the outcomes of a month, gives the sources of which more than one message in a hundred is
lost, the one that loses most first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headcount.api.v1.outcomes import OutcomesBody
from headcount.counting.metrics import HEADLINES
from headcount.intake.reasons import EXPLANATIONS
from headcount.wording import percent_text

__all__ = ["Attention", "outcome_values"]

REMEDIES = {str(reason): explanation.sentence for reason, explanation in EXPLANATIONS.items()}
"""What would have been right, by the code of a rejection."""

_ONE_IN = 100


@dataclass(frozen=True, slots=True)
class Attention:
    """A source whose messages are refused more often than now and then.

    Attributes:
        name: the source's.
        rejected, messages: how many of how many.
        share: the same in words.
        reasons: codes with how many messages each has cost, the worst first.
    """

    name: str
    rejected: int
    messages: int
    share: str
    reasons: Sequence[tuple[str, int]]


def attention_of(outcomes: OutcomesBody) -> list[Attention]:
    """The sources that need somebody, the one with the most rejections first."""
    found = []
    for each in outcomes.sources:
        of = each.outcomes
        messages = of.accepted + of.duplicates + of.rejected
        if of.rejected and of.rejected * _ONE_IN >= messages:
            reasons = sorted(of.rejected_by_reason.items(), key=lambda pair: -pair[1])
            share = percent_text(of.rejected, messages)
            found.append(Attention(each.source_name, of.rejected, messages, share, reasons))
    return sorted(found, key=lambda each: (-each.rejected, each.name))


def outcome_values(outcomes: OutcomesBody) -> dict[str, Any]:
    """What a page of a month shows of what became of messages, by the names in its template."""
    return {
        "outcomes": outcomes.totals,
        "quotas_reached": outcomes.quotas_reached,
        "quota_of": {metric.wire: metric.label for metric in HEADLINES},
        "remedies": REMEDIES,
        "attention": attention_of(outcomes),
        "losses": outcomes.losses or [],
    }
