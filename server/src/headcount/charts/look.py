"""How charts look: takes a chart's description and light or dark, gives it with that look.

The colours are those of Okabe and Ito, which people with any common kind of colour blindness tell
apart, without their yellow and black, which are hard to see on white and on black.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

__all__ = ["PALETTE", "SIZE", "Size", "Spec", "framed", "themed"]

Spec = dict[str, Any]
"""A Vega-Lite document."""

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""The language's version: a name, which nothing fetches."""

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of series, the most important one first."""

_FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


_AXIS_WIDTH = 70


class Size(NamedTuple):
    """The plot's size without axes, in pixels.

    Attributes:
        width: `"container"` for the width of the element that holds it, in a page.
        height: in pixels.
    """

    width: int | Literal["container"] = 720
    height: int = 320


SIZE = Size()
"""For files, and wherever nothing else is asked for."""


def framed(
    title: str | None, words: str, size: Size, rows: Sequence[Mapping[str, Any]], **drawn: Any
) -> Spec:
    """A chart of some rows.

    Args:
        title: its heading, if it has one.
        words: what it shows, for those who do not see it.
        size: of the plot.
        rows: its data.
        drawn: marks and encodings, or layers.
    """
    return {
        "$schema": _SCHEMA,
        **({"title": _title(title, size)} if title else {}),
        "description": words,
        "width": size.width,
        "height": size.height,
        "autosize": {"type": "fit", "contains": "padding"},
        "data": {"name": "rows", "values": rows},
        **drawn,
    }


def _title(text: str, size: Size) -> Spec:
    if size.width == "container":
        return {"text": text}
    # What is longer ends in dots; beside the plot stand the numbers of its axis.
    return {"text": text, "limit": size.width - _AXIS_WIDTH}


def themed(spec: Spec, *, dark: bool = False) -> Spec:
    """A chart with colours and type for a light or a dark surround.

    Args:
        spec: a chart of this package.
        dark: whether it will stand on black rather than on white.
    """
    text, quiet, line, surface = (
        ("#e8eaee", "#a8b0bd", "#39414d", "#161a21")
        if dark
        else ("#1b212b", "#5a6472", "#dde1e7", "#ffffff")
    )
    config = {
        "background": surface,
        "font": _FONT,
        "view": {"stroke": None},
        "title": {"color": text, "anchor": "start", "frame": "group", "fontSize": 15},
        "axis": {
            "domainColor": line,
            "gridColor": line,
            "tickColor": line,
            "labelColor": quiet,
            "labelFontSize": 12,
            "titleColor": quiet,
            "titleFontSize": 13,
            "titleFontWeight": "normal",
        },
        "legend": {
            "orient": "bottom",
            "direction": "horizontal",
            "columns": 3,
            "title": None,
            "labelColor": text,
            "labelFontSize": 13,
            "labelLimit": 200,
            "symbolSize": 120,
            "symbolStrokeWidth": 3,
        },
        "rule": {"color": text},
        "text": {"color": text, "fontSize": 12},
    }
    return {**spec, "config": config}
