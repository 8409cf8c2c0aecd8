"""Writes the version into what is built: `python scripts/version.py [1.2.3]`, and prints it.

The client and the server are released together, under one version, which stands in `VERSION`. What
is built, and what runs, carry copies of it that this writes; a version that is given goes into
`VERSION` first. `--check` writes nothing, and ends with 1 where a copy differs.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = Path("VERSION")

COPIES = {
    "sdk/pyproject.toml": r'(?m)^version = "([^"]*)"',
    "sdk/src/segment_public_api/_version.py": r'(?m)^__version__ = "([^"]*)"',
    "server/pyproject.toml": r'(?m)^version = "([^"]*)"|^  "headcount-client==([^"]*)"',
    "server/src/headcount/__init__.py": r'(?m)^__version__ = "([^"]*)"',
}
"""File to where the version stands in it, as groups of a pattern."""

# What a release is called: no local and no development versions.
VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")


def with_version(text: str, pattern: str, version: str) -> str:
    """`text` with `version` in each place that `pattern` finds.

    Raises:
        ValueError: it finds none.
    """

    def replaced(match: re.Match[str]) -> str:
        start, end = match.span(match.lastindex or 0)
        return match[0][: start - match.start()] + version + match[0][end - match.start() :]

    made, times = re.subn(pattern, replaced, text)
    if not times:
        raise ValueError(f"no version is found by {pattern!r}")
    return made


def main(arguments: list[str]) -> int:
    """Write, compare or print the version.

    Returns:
        The exit status.
    """
    source = ROOT / SOURCE
    version = source.read_text("utf-8").strip()
    checks = "--check" in arguments
    given = [each for each in arguments if each != "--check"]
    if given:
        version = given[0]
    if not VERSION.fullmatch(version) or len(given) > 1:
        sys.stderr.write(f"{' '.join(given) or version} is no version such as 1.2.3 or 1.2.3rc1\n")
        return 2
    status = 0
    if given and not checks:
        source.write_text(f"{version}\n", "utf-8")
    for name, pattern in COPIES.items():
        path = ROOT / name
        text = path.read_text("utf-8")
        made = with_version(text, pattern, version)
        if made != text and checks:
            status = 1
            sys.stderr.write(f"{name} has another version than {SOURCE}; run: make version\n")
        elif made != text:
            path.write_text(made, "utf-8")
    sys.stdout.write(f"{version}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
