"""A flame graph as SVG: takes stacks and how often each was seen, gives a picture.

A box is a function, as wide as the share of the time in which it was at work or waited for what it
had called; what it had called stands on it. Boxes of less than a thousandth are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

__all__ = ["flame_graph"]

_WIDTH, _ROW = 1200.0, 17
_LEAST = 0.001
_CHARACTER = 6.6
_HEAD = 44


class _Box:
    def __init__(self) -> None:
        self.seen = 0
        self.above: dict[str, _Box] = {}


def flame_graph(stacks: Mapping[tuple[str, ...], int], title: str) -> str:
    """The picture.

    Args:
        stacks: functions, the outermost first, and how often they were found so.
        title: what stands above it.
    """
    root = _Box()
    for stack, seen in stacks.items():
        box = root
        box.seen += seen
        for name in stack:
            box = box.above.setdefault(name, _Box())
            box.seen += seen
    height = _HEAD + _ROW * (_height(root, root.seen * _LEAST) + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height}"'
        ' font-family="monospace" font-size="11">',
        f'<rect width="100%" height="100%" fill="white"/><text x="8" y="20" font-size="14">'
        f"{escape(title)}</text>",
    ]
    _draw(parts, root, "all", 0.0, height - _ROW, root.seen)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _height(box: _Box, least: float) -> int:
    tall = [_height(each, least) for each in box.above.values() if each.seen >= least]
    return 1 + max(tall, default=0)


def _draw(parts: list[str], box: _Box, name: str, x: float, y: int, whole: int) -> None:
    share = box.seen / whole
    width = share * _WIDTH
    # One colour for each room of the program, so that they are seen at a glance.
    room = name.partition("(")[2].rpartition("/")[0]
    hue = sum(map(ord, room)) * 37 % 360
    letters = int(width / _CHARACTER) - 1
    shown = name if len(name) <= letters else name[: max(0, letters - 1)] + "…" * (letters > 2)
    parts.append(
        f'<g><title>{escape(name)}: {share:.1%}</title><rect x="{x:.1f}" y="{y}"'
        f' width="{max(0.4, width - 0.3):.1f}" height="{_ROW - 1}" fill="hsl({hue},60%,78%)"/>'
        f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(shown) if letters > 2 else ""}</text></g>'
    )
    for above, each in sorted(box.above.items()):
        if each.seen >= whole * _LEAST:
            _draw(parts, each, above, x, y - _ROW, whole)
            x += each.seen / whole * _WIDTH
