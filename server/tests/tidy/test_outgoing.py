"""No process of a server opens a connection to anywhere, so nobody's request can make it do so.

Only the command line does: it reads usage and fetches what a person at the terminal names. Whoever
holds a token names no address that a server would go to; should a room of the server ever need to,
this test is where the refusal of private addresses has to be shown first.
"""

from __future__ import annotations

import ast
from pathlib import Path

from tidy.sources import ROOT

SOURCES = ROOT / "server" / "src" / "headcount"
OF_PEOPLE = [
    *sorted((SOURCES / "cli").rglob("*.py")),
    *sorted((SOURCES / "demo").rglob("*.py")),
    # Run by `headcount import` alone.
    SOURCES / "importing" / "objects.py",
]
CLIENTS = {
    "aiohttp", "ftplib", "http.client", "httpcore", "httpx", "obstore", "poplib", "requests",
    "segment", "segment_public_api", "smtplib", "telnetlib", "urllib.request", "urllib3", "xmlrpc",
}  # fmt: skip
CALLS = {
    "connect", "connect_ex", "create_connection", "create_datagram_endpoint", "gethostbyname",
    "open_connection", "sendto", "sock_connect", "urlopen",
}  # fmt: skip


def openings(path: Path) -> list[str]:
    """What in a file could open a connection."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        elif isinstance(node, ast.Call):
            called = node.func
            # A bare `connect` is that of headcount.sqlite.opening, to a file.
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in CALLS and (name != "connect" or isinstance(called, ast.Attribute)):
                found.append(f"{path.name}:{node.lineno} calls {name}")
        found.extend(
            f"{path.name}:{node.lineno} imports {name}"
            for name in names
            if name in CLIENTS or name.partition(".")[0] in CLIENTS
        )
    return found


def test_only_the_command_line_opens_connections() -> None:
    found = [
        each
        for path in sorted(SOURCES.rglob("*.py"))
        if path not in OF_PEOPLE
        for each in openings(path)
    ]
    assert found == []


def test_what_opens_one_is_seen() -> None:
    told = [each for path in OF_PEOPLE for each in openings(path)]
    assert any("obstore" in each for each in told)
    assert any("segment_public_api" in each for each in told)
