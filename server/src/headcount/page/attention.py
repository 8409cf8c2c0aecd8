"""What deserves attention before anything else: messages that are refused, why, and what helps."""

from __future__ import annotations

from headcount.intake.reasons import EXPLANATIONS

__all__ = ["REMEDIES"]

REMEDIES = {str(reason): explanation.sentence for reason, explanation in EXPLANATIONS.items()}
"""What would have been right, by the code of a rejection."""
