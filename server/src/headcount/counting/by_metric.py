"""Structs with a member for each metric: what answers are made of.

Takes metrics and the type of a value, gives the base of a struct; its members are named, and
described, as the table of metrics says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from headcount.counting.metrics import Metric

__all__ = ["by_metric"]


def by_metric(
    metrics: Sequence[Metric], value: Any, words: str = "", *, default: Any = msgspec.NODEFAULT
) -> Any:
    """The base of a struct whose members are metrics, in their order.

    Args:
        metrics: which ones.
        value: the type of each member.
        words: what each is, for the API's description; what the table says when it is empty.
        default: what a member is that is not given.
    """
    members = [
        (metric.name, Annotated[value, Meta(description=words or metric.words)], default)
        for metric in metrics
    ]
    return msgspec.defstruct("ByMetric", members, rename="camel", gc=False)
