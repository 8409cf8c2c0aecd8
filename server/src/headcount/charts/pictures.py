"""Charts as PNG, SVG and PDF: takes a chart's description, gives the bytes of a file, offline.

Drawing takes 70 MB of memory, so a process does it that ends. `python -m headcount.charts.pictures
FORMAT` reads a description from standard input and writes the file to standard output.
"""

from __future__ import annotations

import json
import subprocess
import sys

from headcount.charts.look import Spec

__all__ = ["DRAWN_FORMATS", "drawn"]

DRAWN_FORMATS = ("png", "svg", "pdf")
"""What a chart can become."""

_PNG_SCALE = 2  # two dots a pixel: sharp on paper and on today's screens


def drawn(spec: Spec, file_format: str) -> bytes:
    """A chart as a file.

    Args:
        spec: a themed chart.
        file_format: one of `DRAWN_FORMATS`.

    Raises:
        RuntimeError: the library failed; the message holds what it said.
    """
    finished = subprocess.run(
        [sys.executable, "-m", __name__, file_format],
        input=json.dumps(spec).encode(),
        capture_output=True,
        check=False,
    )
    if finished.returncode:
        raise RuntimeError(finished.stderr.decode(errors="replace").strip())
    return finished.stdout


def _main(file_format: str) -> None:
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
