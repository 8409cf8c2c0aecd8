"""The quick start's code runs as it stands: one section after the other, against a real server.

What stands there for analytics.js runs in a browser, in `browser/test_analytics_js.py`.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

from support.needed import needed_node
from support.program import environment
from support.server_fixture import Server, Shop, eventually, serving

HERE = Path(__file__).parent
QUICKSTART = HERE.parents[2] / "docs/quickstart.md"


def python(code: str, _: Server) -> None:
    ended([sys.executable, "-"], code)


def node(code: str, _: Server) -> None:
    ended([needed_node(), "--input-type=module", "-"], code)


def curl(code: str, server: Server) -> None:
    """What curl would send, said by curl's own options."""
    words = shlex.split(code.replace("\\\n", " "))
    assert words[:2] == ["curl", "-u"]
    assert words[4] == "-d"
    key, url, body = words[2].removesuffix(":"), words[3], words[5].encode()
    basic = urllib3.make_headers(basic_auth=f"{key}:")["authorization"]
    # What curl calls a body by itself.
    form = "application/x-www-form-urlencoded"
    answer = server.send("POST", url, body, Authorization=basic, Content_Type=form)
    assert (answer.status, answer.json()) == (200, {"success": True})


def ended(command: list[str], code: str) -> None:
    finished = subprocess.run(
        command, input=code, capture_output=True, text=True, cwd=HERE, env=environment()
    )
    assert (finished.returncode, finished.stderr) == (0, "")


SECTIONS: dict[str, tuple[str, Callable[[str, Server], None]]] = {
    "Python, `segment-analytics-python`": ("python", python),
    "Python, `rudder-sdk-python`": ("python", python),
    "Node, `@segment/analytics-node`": ("js", node),
    "Anything else": ("sh", curl),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("quickstart"), "--workers", "1") as server:
        yield server


def section(title: str) -> str:
    """The text under a title."""
    [text] = re.findall(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", QUICKSTART.read_text("utf-8"), re.M | re.S
    )
    return str(text)


def test_no_section_is_forgotten() -> None:
    titles = re.findall(r"^## (.*)$", QUICKSTART.read_text("utf-8"), re.M)
    assert titles == ["analytics.js in a browser", *SECTIONS]


@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_s_code_is_one_api_call(server: Server, title: str) -> None:
    language, run = SECTIONS[title]
    shop: Shop = server.shop(title, "source")
    [code] = re.findall(rf"^```{language}\n(.*?)^```", section(title), re.M | re.S)
    code = code.replace("YOUR_WRITE_KEY", shop.write_keys["source"])
    run(code.replace("http://127.0.0.1:8080", server.tracking), server)
    eventually(lambda: shop.usage()[""].api_calls == 1, f"the call of {title}")
    assert shop.usage()[""].identified == 1
