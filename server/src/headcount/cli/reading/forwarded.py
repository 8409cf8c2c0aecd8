"""What became of forwarded requests between two readings: takes answers, gives changes as plain
data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headcount.cli.reading.own import get_own

if TYPE_CHECKING:
    from headcount.cli.reading.api_connection import ApiConnection

__all__ = ["ForwardedChange", "ForwardedNews", "read_forwarded"]

# A source that is behind by less is only on its way.
_BEHIND_S = 10.0


@dataclass(frozen=True, slots=True)
class ForwardedChange:
    """What came of one source since the reading before.

    Attributes:
        source_id, source_name: which.
        outcomes: messages by outcome: delivered, refused and the status, expired, and the like.
        behind: how far it is behind, in words; empty where it is not.
        behind_s: the same in seconds.
    """

    source_id: str
    source_name: str
    outcomes: dict[str, int]
    behind: str
    behind_s: float


def read_forwarded(connection: ApiConnection) -> list[dict[str, Any]]:
    """What the server says of sources that forward; nothing where it knows of none."""
    told = get_own(connection, "forwarding")
    return [] if told is None else list(told["forwarding"])


class ForwardedNews:
    """Compares each reading with the one before.

    Args:
        begun: the first one.
    """

    def __init__(self, begun: list[dict[str, Any]]) -> None:
        self._last = {each["sourceId"]: _counts(each) for each in begun}

    def more(self, now: list[dict[str, Any]]) -> Iterator[ForwardedChange]:
        """What came since."""
        for each in now:
            counts, source_id = _counts(each), each["sourceId"]
            before = self._last.get(source_id, {})
            self._last[source_id] = counts
            more = {
                name: count - before.get(name, 0)
                for name, count in counts.items()
                if count != before.get(name, 0)
            }
            behind_s = each["behindSeconds"]
            behind = each["sentence"] if behind_s >= _BEHIND_S else ""
            if more or behind:
                yield ForwardedChange(source_id, each["sourceName"], more, behind, behind_s)


def _counts(told: dict[str, Any]) -> dict[str, int]:
    counts = {name: tally["messages"] for name, tally in told["outcomes"].items()}
    del counts["refused"]
    for each in told["refusedByStatus"]:
        counts[f"refused {each['status']}"] = each["messages"]
    return counts
