"""A rule as somebody gives it: takes texts, gives what is kept; refuses what means nothing."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple, cast

from headcount.counting.alerts import (
    ALERT_METRICS,
    BY_THE_DAY,
    SHARES,
    THRESHOLDS_MAX,
    AlertKind,
    parse_threshold,
)
from headcount.counting.metrics import HEADLINES
from headcount.errors import UsageError

__all__ = ["CheckedRule", "checked_rule", "needing_limit"]

_NEED_THRESHOLDS = ("count", "forecast")


class CheckedRule(NamedTuple):
    """What is kept of a rule.

    Attributes:
        kind: what it looks at.
        metric: one of `ALERT_METRICS`.
        thresholds: in their one spelling, ascending, numbers before shares.
    """

    kind: AlertKind
    metric: str
    thresholds: tuple[str, ...]

    def name(self, source: str | None) -> str:
        """What it is called where nobody says.

        Args:
            source: the name of the source that it is about; None for the workspace.
        """
        of = source or "the workspace"
        label = ALERT_METRICS[self.metric].label
        match self.kind:
            case "silent":
                return f"Nothing arrives from {of}"
            case "unusual":
                return f"Far more {label} than usual of {of}"
            case "forecast":
                return f"{label[:1].upper()}{label[1:]} of {of} at the month's end"
        return f"{label[:1].upper()}{label[1:]} of {of}"


def checked_rule(kind: str, metric: str, thresholds: Sequence[str]) -> CheckedRule:
    """A rule that means something.

    Args:
        kind: an `AlertKind`.
        metric: one of `ALERT_METRICS`, or empty for the usual one.
        thresholds: as people write them.

    Raises:
        UsageError: it does not.
    """
    of_kind = cast(AlertKind, kind)
    if kind not in _NEED_THRESHOLDS:
        if thresholds:
            raise UsageError(
                "Such a rule needs no threshold: it learns what is usual.",
                "Leave the thresholds out, or look at a count.",
            )
        if metric not in ("", BY_THE_DAY.name):
            label = BY_THE_DAY.label
            raise UsageError(
                f"Such a rule looks at {label}.", f"Leave the metric out, or name {label}."
            )
        return CheckedRule(of_kind, BY_THE_DAY.name, ())
    metric = metric or next(iter(ALERT_METRICS))
    if metric not in ALERT_METRICS:
        options = ", ".join(each.option for each in ALERT_METRICS.values())
        raise UsageError(f"There is no metric {metric!r:.40}.", f"Name one of {options}.")
    if kind == "forecast" and metric in SHARES:
        counts = " or ".join(each.label for each in HEADLINES)
        raise UsageError("No share of messages is forecast.", f"Name {counts}.")
    if not thresholds or len(thresholds) > THRESHOLDS_MAX:
        raise UsageError(
            "The thresholds are missing, or too many." if thresholds else "A threshold is missing.",
            f"Give 1 to {THRESHOLDS_MAX}, such as 12000 or 80%.",
        )
    found = {}
    for text in thresholds:
        try:
            parsed = parse_threshold(text, metric)
        except ValueError as error:
            raise UsageError(f"{text!r:.40} is no threshold: {error}.", "Correct it.") from None
        found[parsed.text] = parsed
    ordered = sorted(found.values(), key=lambda each: (each.is_share, each.amount))
    return CheckedRule(of_kind, metric, tuple(each.text for each in ordered))


def needing_limit(metric: str, thresholds: Sequence[str], limits: Container[str]) -> list[str]:
    """The thresholds that nothing can reach until the plan sets a limit.

    Args:
        metric: what they are of.
        thresholds: in their one spelling.
        limits: the metrics that the plan limits now.
    """
    if metric in SHARES or metric in limits:
        return []
    return [each for each in thresholds if each.endswith("%")]
