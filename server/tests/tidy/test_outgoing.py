"""A server opens connections to the vendors of sources that forward, and goes nowhere private for
anybody who only holds a token; and to the engine of its cluster, which an operator names.

Else only the command line does: it reads usage and fetches what a person at the terminal names.
"""

from __future__ import annotations

import ast
import socket
from pathlib import Path

import pytest

from headcount.forwarding import vendor
from tidy.sources import ROOT

SOURCES = ROOT / "server" / "src" / "headcount"
OF_PEOPLE = [
    *sorted((SOURCES / "cli").rglob("*.py")),
    *sorted((SOURCES / "demo").rglob("*.py")),
    # Run by `headcount import` alone.
    SOURCES / "importing" / "objects.py",
]
TO_VENDORS = [
    SOURCES / "forwarding" / "vendor.py",
    SOURCES / "outgoing_answers.py",
    SOURCES / "outgoing_connections.py",
    SOURCES / "alerting" / "webhook_posts.py",
    SOURCES / "alerting" / "mail.py",
    SOURCES / "alerting" / "apprise_services.py",
]
# To what an operator has named with --cluster.
TO_ENGINES = sorted((SOURCES / "engines").rglob("*.py"))
CLIENTS = {
    "aiohttp", "ftplib", "http.client", "httpcore", "httpx", "obstore", "poplib", "requests",
    "segment", "segment_public_api", "smtplib", "telnetlib", "urllib.request", "urllib3", "xmlrpc",
    "nats", "psycopg",
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
        if path not in (*OF_PEOPLE, *TO_VENDORS, *TO_ENGINES)
        for each in openings(path)
    ]
    assert found == []


def test_what_opens_one_is_seen() -> None:
    told = [each for path in OF_PEOPLE for each in openings(path)]
    assert any("obstore" in each for each in told)
    assert any("segment_public_api" in each for each in told)
    assert any("urllib3" in each for path in TO_VENDORS for each in openings(path))


@pytest.mark.parametrize("looked_up", ["private", "public when it was looked up"])
def test_what_a_token_names_is_not_spoken_to_where_it_is_private(
    looked_up: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if looked_up != "private":
        # A name may be given another address between being looked up and being connected to.
        monkeypatch.setattr(vendor, "public_addresses", lambda host, port: None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        port = listener.getsockname()[1]
        target = vendor.Vendor(f"https://127.0.0.1:{port}", "key", by_token=True)
        answer = target.post("/v1/track", b"{}")
        target.close()
        assert answer.status is None
        assert "private network" in answer.said
        # Whatever was judged before: what is connected to is judged, and by nobody spoken to.
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
