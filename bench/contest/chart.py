"""The picture: takes what was measured, gives bars with their spread as an SVG."""

from __future__ import annotations

from typing import Any

from bench.contest.plan import SIZES
from bench.contest.table import Outcome
from bench.contest.verdicts import Spread

__all__ = ["draw"]

_OURS, _THEIRS, _WRONG = "#1f6f8b", "#b9b4a7", "#c8553d"
_BAR_PX = 22
_WIDTH_PX = 520


def draw(outcome: Outcome) -> str:
    """Rates of everybody, one panel for each kind of work."""
    import vl_convert

    spec: dict[str, Any] = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "white",
        "title": {
            "text": outcome.machine,
            "subtitle": outcome.notes["load"],
            "anchor": "start",
            "offset": 14,
        },
        "vconcat": [_panel(title, bars) for title, bars in _panels(outcome).items() if bars],
        "config": {"font": "sans-serif", "view": {"stroke": None}, "axis": {"grid": False}},
    }
    svg: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    return svg


def _panels(outcome: Outcome) -> dict[str, list[dict[str, Any]]]:
    panels: dict[str, list[dict[str, Any]]] = {}
    for size, shape in SIZES.items():
        panels[f"{shape.capitalize()}: messages counted a second"] = [
            _bar(name, [turn.counted for turn in standing.turns[size]], bool(standing.wrong))
            for name, standing in outcome.standings.items()
            if standing.turns[size]
        ]
    marks = {program.name: program.kind for program in outcome.programs}
    panels["Import: records a second"] = [
        _bar(
            name if marks[name] == "keeps" else f"{name} (keeps nothing)",
            [turn.rate for turn in imported.turns],
            bool(imported.wrong),
        )
        for name, imported in outcome.imported.items()
        if imported.turns
    ]
    return panels


def _bar(name: str, rates: list[float], wrong: bool) -> dict[str, Any]:
    spread = Spread.of(rates)
    kind = "wrong" if wrong else "ours" if name.startswith("Headcount") else "theirs"
    return {
        "name": f"{name} (WRONG)" if wrong else name, "kind": kind, "median": spread.median,
        "least": spread.least, "greatest": spread.greatest,
    }  # fmt: skip


def _panel(title: str, bars: list[dict[str, Any]]) -> dict[str, Any]:
    name = {"field": "name", "type": "nominal", "sort": None, "title": None,
            "axis": {"labelLimit": 260, "minExtent": 200, "ticks": False}}  # fmt: skip
    colours = {"domain": ["ours", "theirs", "wrong"], "range": [_OURS, _THEIRS, _WRONG]}
    return {
        "title": {"text": title, "anchor": "start"},
        "width": _WIDTH_PX,
        "height": {"step": _BAR_PX},
        "data": {"values": bars},
        "encoding": {"y": name},
        "layer": [
            {
                "mark": {"type": "bar"},
                "encoding": {
                    "x": {"field": "median", "type": "quantitative", "title": None,
                          "axis": {"format": ",d", "tickCount": 5}},
                    "color": {"field": "kind", "scale": colours, "legend": None},
                },
            },
            {
                "mark": {"type": "rule", "color": "#333333"},
                "encoding": {"x": {"field": "least", "type": "quantitative"},
                             "x2": {"field": "greatest"}},
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 6, "color": "#333333"},
                "encoding": {"x": {"field": "greatest", "type": "quantitative"},
                             "text": {"field": "median", "format": ",.0f"}},
            },
        ],
    }  # fmt: skip
