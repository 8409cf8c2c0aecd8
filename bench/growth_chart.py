"""The picture of growth: takes points, gives a panel for each thing that grows as one SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

__all__ = ["draw"]

_COLOURS = ["#1f6f8b", "#c8553d", "#e0a458", "#7a7466"]
_WIDTH_PX, _HEIGHT_PX = 230, 190
_KINDS = ("a message metered, µs", "a month read, µs", "read with all sources, µs", "a start, ms")


class _Point(Protocol):
    @property
    def size(self) -> int: ...
    @property
    def message_us(self) -> float: ...
    @property
    def read_us(self) -> float: ...
    @property
    def sources_read_us(self) -> float: ...
    @property
    def start_ms(self) -> float: ...


def draw(points: Mapping[str, Sequence[_Point]]) -> str:
    """Processor time of a message, a read and a start over each of the things that grow."""
    import vl_convert

    spec: dict[str, Any] = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "white",
        "title": {
            "text": "What growth costs: processor time, both axes in powers of ten",
            "anchor": "start",
            "offset": 14,
        },
        "hconcat": [
            _panel(name, of, is_first=not number)
            for number, (name, of) in enumerate(points.items())
        ],
        "config": {"font": "sans-serif", "view": {"stroke": None}},
    }
    svg: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    return svg


def _panel(name: str, points: Sequence[_Point], *, is_first: bool) -> dict[str, Any]:
    values = [
        {"size": each.size, "kind": kind, "cost": max(cost, 0.01)}
        for each in points
        for kind, cost in zip(
            _KINDS,
            (each.message_us, each.read_us, each.sources_read_us, each.start_ms),
            strict=True,
        )
    ]
    size = {"type": "log"}
    return {
        "title": {"text": name, "anchor": "start"},
        "width": _WIDTH_PX,
        "height": _HEIGHT_PX,
        "data": {"values": values},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "size", "type": "quantitative", "scale": size, "title": None,
                  "axis": {"format": "~s", "tickCount": len(points), "grid": False}},
            "y": {"field": "cost", "type": "quantitative", "title": None,
                  "scale": {"type": "log", "domain": [0.1, 100_000]},
                  "axis": {"format": "~s", "labels": is_first, "gridColor": "#eeeeee"}},
            "color": {"field": "kind", "type": "nominal", "title": None,
                      "scale": {"domain": list(_KINDS), "range": _COLOURS},
                      "legend": {"orient": "bottom"}},
        },
    }  # fmt: skip
