"""Makes the README's pictures out of the demo: the page, light and dark, and the terminal.

Takes nothing, writes docs/pictures. Starts the demo and ends it, drives the system's Chromium, and
draws what `headcount usage` prints in a terminal. To be run late in a month, when there is
something to see.
"""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import sync_playwright
from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

__all__ = ["main"]

PICTURES = Path(__file__).parent.parent / "docs/pictures"
PROGRAM = (sys.executable, "-m", "headcount")
CHROMIUM = "/usr/bin/chromium"
WINDOW = {"width": 1100, "height": 780}
COLUMNS = 104


class Demo(NamedTuple):
    """A running demo, as far as it says how to look at it."""

    api: str
    data: str
    token: str


@contextmanager
def demo() -> Iterator[Demo]:
    """The demo, until the block ends."""
    with subprocess.Popen([*PROGRAM, "demo"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = ""
        try:
            for line in process.stdout:
                said += line
                if "Press Ctrl-C" in line:
                    break
            api, data, token = (
                re.search(pattern, said)
                for pattern in (r"(http://\S+)/docs", r"--data (\S+/data)", r"Bearer (\w+)")
            )
            assert api is not None, said
            assert data is not None
            assert token is not None
            yield Demo(api[1], data[1], token[1])
        finally:
            process.send_signal(signal.SIGTERM)
            process.stdout.read()


def page(shown: Demo) -> None:
    """The page as it opens, in both themes."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            context = browser.new_context(viewport=WINDOW, color_scheme=theme)
            window = context.new_page()
            window.goto(f"{shown.api}/page/sign-in")
            window.get_by_label("API token").fill(shown.token)
            window.keyboard.press("Enter")
            window.wait_for_selector("html[data-charts=drawn]")
            window.screenshot(path=PICTURES / f"page-{theme}.png")
            context.close()
        browser.close()


def in_terminal(shown: Demo, *command: str) -> str:
    """What a command prints in a terminal, with its colours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADCOUNT_")}
    variables = {
        "COLUMNS": str(COLUMNS),
        "TERM": "xterm-256color",
        "HEADCOUNT_DATA": shown.data,
        "HEADCOUNT_TOKEN": shown.token,
    }
    inside, outside = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, *command], stdout=outside, stderr=outside, env=kept | variables
    ) as process:
        os.close(outside)
        said = b""
        try:
            while piece := os.read(inside, 1 << 16):
                said += piece
        except OSError:
            pass  # how a terminal says that nobody writes to it any more
        finally:
            os.close(inside)
    assert process.returncode == 0, said.decode()
    return said.decode().replace("\r\n", "\n").rstrip()


def terminal(shown: Demo) -> None:
    """Commands and what they print, as one drawing."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for place, command in enumerate((("usage", "--by", "source", "--last"), ("usage",))):
        console.print("\n" * place, end="")
        console.print(Text.assemble(("$ ", "bold green"), " ".join(("headcount", *command))))
        console.print(Text.from_ansi(in_terminal(shown, *command)))
    # Without the fonts that the drawing would fetch from another host.
    form = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    drawing = console.export_svg(title="headcount", code_format=form, unique_id="terminal")
    (PICTURES / "terminal.svg").write_text(drawing, "utf-8")


def main() -> None:
    """Make every picture."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with demo() as shown:
        page(shown)
        terminal(shown)
    for picture in sorted(PICTURES.iterdir()):
        sys.stderr.write(f"{picture.name}: {picture.stat().st_size / 1e3:.0f} kB\n")


if __name__ == "__main__":
    main()
