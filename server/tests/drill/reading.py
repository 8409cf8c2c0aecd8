"""What nodes say of usage, row by row, and what must hold of it at every moment."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from drill.nodes import Node
from drill.traffic import Shop

__all__ = ["Rows", "Watcher", "fresh_until", "read_rows"]

_ENTRIES = "pagination.count=1000"
_SETS = ("apiCalls", "identified", "anonymous", "anonymousIdentified")


class Rows(NamedTuple):
    """Usage of a workspace in a month.

    Attributes:
        workspace: by day and name of a count.
        sources: by source, day and name of a count.
        until: everything that arrived before is counted; None for nothing.
    """

    workspace: dict[tuple[str, str], int]
    sources: dict[tuple[str, str, str], int]
    until: datetime | None

    def reached(self) -> tuple[int, int]:
        """API calls and MTU of the month so far."""
        last = {name: count for (_, name), count in sorted(self.workspace.items())}
        identified, anonymous, known = (last.get(name, 0) for name in _SETS[1:])
        return last.get("apiCalls", 0), identified + anonymous - known


def _rows(data: Any) -> list[dict[str, Any]]:
    (rows,) = (value for key, value in data.items() if key != "pagination")
    assert data["pagination"].get("next") is None, "more rows than one page"
    found: list[dict[str, Any]] = rows
    return found


def _moment(text: str) -> datetime | None:
    return parsedate_to_datetime(text) if text else None


def fresh_until(node: Node, shop: Shop, period: str) -> datetime | None:
    """Until when a node says that everything is counted."""
    found = node.read(f"/usage/api-calls/daily?period={period}&{_ENTRIES}", shop.token)
    return None if found is None else _moment(found[1])


def read_rows(node: Node, shop: Shop, period: str) -> Rows | None:
    """All rows of a month; None where one of the four reads was not answered.

    Sources are read between two readings of the workspace's rows, of which these are the first and
    `watch` takes the second: counts only rise, so between both the sources are held to them.
    """
    workspace: dict[tuple[str, str], int] = {}
    sources: dict[tuple[str, str, str], int] = {}
    moments = []
    for path in (
        "api-calls/daily", "mtu/daily", "api-calls/sources/daily", "mtu/sources/daily",
    ):  # fmt: skip
        found = node.read(f"/usage/{path}?period={period}&{_ENTRIES}", shop.token)
        if found is None:
            return None
        moments.append(_moment(found[1]))
        for row in _rows(found[0]):
            day = row["timestamp"][:10]
            for name in _SETS:
                if name in row and "sourceId" in row:
                    sources[row["sourceId"], day, name] = int(row[name])
                elif name in row:
                    workspace[day, name] = int(row[name])
    known = [moment for moment in moments if moment is not None]
    return Rows(workspace, sources, min(known) if len(known) == len(moments) else None)


@dataclass
class Watcher(threading.Thread):
    """Reads one node all the while: no count falls, and no inequality breaks.

    Args:
        node: which.
        shops: whose usage.
        periods: of which months.
    """

    node: Node
    shops: list[Shop]
    periods: list[str]
    wrong: list[str] = field(default_factory=list)
    reads: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._seen: dict[tuple[str, ...], int] = {}

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        turn = 0
        while not self.stopping.wait(0.3):
            turn += 1
            shop = self.shops[turn % len(self.shops)]
            period = self.periods[turn // len(self.shops) % len(self.periods)]
            try:
                if self.node.runs:
                    self.look(shop, period)
            except Exception as error:
                self.wrong.append(f"{self.node.name}, {shop.name}, {period}: {error!r}")

    def look(self, shop: Shop, period: str) -> None:
        """Read once, and compare."""
        rows = read_rows(self.node, shop, period)
        if rows is None:
            return
        self.reads += 1
        for (day, name), count in rows.workspace.items():
            self._rises((shop.name, period, "", day, name), count)
        for (source, day, name), count in rows.sources.items():
            self._rises((shop.name, period, source, day, name), count)
        self._compare(shop, period, rows)

    def _rises(self, scope: tuple[str, ...], count: int) -> None:
        before = self._seen.get(scope, 0)
        if count < before:
            self.wrong.append(f"{self.node.name}: {scope} fell from {before} to {count}")
        self._seen[scope] = max(before, count)

    def _compare(self, shop: Shop, period: str, rows: Rows) -> None:
        """The workspace's rows were read before those of its sources, and are read again now."""
        after = read_rows(self.node, shop, period)
        if after is None:
            return
        by_scope: dict[tuple[str, str], list[int]] = {}
        for (_, day, name), count in rows.sources.items():
            by_scope.setdefault((day, name), []).append(count)
        for scope, counts in by_scope.items():
            least, most = rows.workspace.get(scope, 0), after.workspace.get(scope, 0)
            if least > sum(counts) or max(counts) > most:
                self.wrong.append(
                    f"{self.node.name}: {shop.name}, {period}, {scope}: {least} to {most} beside"
                    f" sources {counts}"
                )
