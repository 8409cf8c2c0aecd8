"""What a browser needs to draw the charts: Vega, Vega-Lite and Vega-Embed in one script.

Takes nothing, gives JavaScript, out of the installed vl-convert package: nothing is fetched and
nothing of it lives in this repository. Making it takes 150 MB for two seconds, so a process does
it that ends. `python -m headcount.charts.javascript` writes it to standard output.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys

__all__ = ["can_draw", "javascript_bundle"]

_WITHIN_S = 60.0
_HAND_OVER = "window.vegaEmbed = vegaEmbed;"


def can_draw() -> bool:
    """Whether the library that draws charts is installed; it comes with `headcount[plot]`."""
    return importlib.util.find_spec("vl_convert") is not None


async def javascript_bundle() -> bytes:
    """The script, which defines `vegaEmbed` in the page's window.

    Raises:
        TimeoutError: it has not come within a minute.
        RuntimeError: the library is missing or failed; the message holds what it said.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_WITHIN_S):
            script, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(complaint.decode(errors="replace"))
    return script


def _main() -> None:
    import vl_convert

    sys.stdout.buffer.write(vl_convert.javascript_bundle(_HAND_OVER).encode())


if __name__ == "__main__":
    _main()
