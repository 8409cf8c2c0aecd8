"""What a document tells people to install can be had: it lies in the tree, or on an index."""

from __future__ import annotations

import re

from tidy.sources import text_of, tracked_files

# On the index already, by these very names: tracking SDKs of others.
OTHERS = {"segment-analytics-python"}
# A release's maker installs what was just published.
ABOUT_RELEASES = "docs/releasing.md"
OURS = re.compile(
    r"""['"]?(headcount|headcount-client|segment-public-api)(\[[\w,]+\])?(==\S+)?['"]?$"""
)


def install_lines() -> list[tuple[str, str]]:
    return [
        (str(name), line.strip())
        for name in tracked_files()
        if name.suffix == ".md" and str(name) != ABOUT_RELEASES
        for line in re.findall(r"^.*(?:pip|pipx|uv tool) install .*$", text_of(name) or "", re.M)
    ]


def test_ours_are_installed_from_where_they_are() -> None:
    lines = install_lines()
    assert len(lines) > 5
    for name, line in lines:
        words = line.partition("#")[0].partition(" install ")[2].split()
        ours = [each for each in words if OURS.match(each.strip("`")) or "./sdk" in each]
        if not OTHERS & {each.strip("`'\"") for each in words}:
            assert ours, f"{name}: {line}"
        for each in ours:
            assert "./sdk" in each or "--find-links" in line, f"{name}: {line}"
