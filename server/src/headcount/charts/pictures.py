"""Charts as PNG, SVG and PDF: takes a chart's description, gives the bytes of a file, offline.

Drawing takes 70 MB of memory, so a process does it that ends, by itself too when its time is over:
whoever asked for it may have gone. `python -m headcount.charts.pictures FORMAT SECONDS` reads a
description from standard input and writes the file to standard output.
"""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys

from headcount.charts.look import Spec

__all__ = ["DRAWN_FORMATS", "DRAWN_WITHIN_S", "NotDrawnInTimeError", "drawn"]

DRAWN_FORMATS = ("png", "svg", "pdf")
"""What a chart can become."""

DRAWN_WITHIN_S = 60.0
"""For how long a drawing is waited for: it takes a second or two where nothing is wrong."""

_PNG_SCALE = 2  # two dots a pixel: sharp on paper and on today's screens


class NotDrawnInTimeError(RuntimeError):
    """A drawing that has not come to an end in its time."""


def drawn(spec: Spec, file_format: str, within_s: float = DRAWN_WITHIN_S) -> bytes:
    """A chart as a file.

    Args:
        spec: a themed chart.
        file_format: one of `DRAWN_FORMATS`.
        within_s: for how long it is waited for, in seconds.

    Raises:
        NotDrawnInTimeError: it took longer.
        RuntimeError: the library failed; the message holds what it said.
    """
    try:
        finished = subprocess.run(
            [sys.executable, "-m", __name__, file_format, str(math.ceil(within_s) + 1)],
            input=json.dumps(spec).encode(),
            capture_output=True,
            check=False,
            timeout=within_s,
        )
    except subprocess.TimeoutExpired:
        raise NotDrawnInTimeError(f"it was not drawn within {within_s:.0f} s") from None
    if finished.returncode:
        raise RuntimeError(finished.stderr.decode(errors="replace").strip())
    return finished.stdout


def _main(file_format: str, within_s: str) -> None:
    signal.alarm(int(within_s))  # which ends this process, whatever it does then
    import vl_convert

    spec = sys.stdin.read()
    # No address is allowed, so that nothing in a chart can make this fetch anything.
    if file_format == "png":
        data = vl_convert.vegalite_to_png(spec, scale=_PNG_SCALE, allowed_base_urls=[])
    elif file_format == "svg":
        data = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]).encode()
    else:
        data = vl_convert.vegalite_to_pdf(spec, allowed_base_urls=[])
    sys.stdout.buffer.write(data)


if __name__ == "__main__":
    _main(*sys.argv[1:])
