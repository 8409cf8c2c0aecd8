"""Writes the synchronous client out of the asynchronous one: `python scripts/synchronous.py`.

Each file of `FILES` is written by hand in `aio/`; its twin is that file with the words of `RULES`
replaced, put into order by ruff. `--check` writes nothing, and ends with 1 where a twin is not what
this makes. What talks to the network (`rest.py`) is written twice, since urllib3 and aiohttp have
nothing in common.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = Path("sdk/src/segment_public_api")

FILES = {
    "aio/_base.py": "api/_base.py",
    "aio/api_calls_api.py": "api/api_calls_api.py",
    "aio/api_client.py": "api_client.py",
    "aio/monthly_tracked_users_api.py": "api/monthly_tracked_users_api.py",
    "aio/pagination.py": "pagination.py",
    "aio/sources.py": "sources.py",
}

# In this order. One that replaces nothing is an error, and so is what `LEFT` finds afterwards.
RULES = [
    # What the two say of themselves.
    (r"\basynchronous API classes\b", "synchronous API classes"),
    (r'^"""The asynchronous client\.', '"""The synchronous client.'),
    (r", asynchronously\.", "."),
    (
        r"Calls the API without blocking\. An asynchronous context manager, for one event loop\.",
        "Calls the API and waits for its answers. A context manager; safe to share among threads.",
    ),
    (r",? (?:with|for) `async for`", ""),
    # What they are built on.
    (r"\bfrom aiohttp import ClientResponse\b", "from urllib3 import BaseHTTPResponse"),
    (r"\bClientResponse\b", "BaseHTTPResponse"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"^import asyncio$", "import time"),
    (r"^from \.api_client import", "from segment_public_api.api_client import"),
    (r"\bAsyncUsageApi\b", "UsageApi"),
    # The language.
    (r"\bAwaitable\[((?:[^\[\]]|\[[^\[\]]*\])*)\]", r"\1"),
    (r"\bAwaitable, ", ""),
    (r"\(await anext\((self\._pages)\)\)", r"next(\1)"),
    (r"\basync def __anext__\b", "def __next__"),
    (r"\b__aiter__\b", "__iter__"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\basync def __a(enter|exit)__\b", r"def __\1__"),
    (r"\basync def\b", "def"),
    (r"\bawait ", ""),
]
LEFT = re.compile(r".*(?:async|await|aiohttp|\baio\b).*", re.IGNORECASE)


def synchronous(sources: dict[str, str]) -> dict[str, str]:
    """The twins of files of the asynchronous client, not yet put into order.

    Args:
        sources: name in the package to text.

    Raises:
        ValueError: a rule that replaces nothing, or a word that no rule is about.
    """
    made = dict(sources)
    for pattern, replacement in RULES:
        replaced = 0
        for name, text in made.items():
            made[name], times = re.subn(pattern, replacement, text, flags=re.MULTILINE)
            replaced += times
        if not replaced:
            raise ValueError(f"the rule {pattern!r} replaces nothing; take it away")
    for name, text in made.items():
        if found := LEFT.search(text):
            raise ValueError(f"no rule is about this line of {name}: {found[0].strip()}")
    return made


def in_order(text: str, path: Path) -> str:
    """`text` as ruff, set as for the file at `path`, sorts its imports and lays it out."""
    for command in (["check", "--select", "I", "--fix", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(path), "-"],
            input=text, capture_output=True, text=True, check=True, cwd=ROOT,
        )  # fmt: skip
        text = done.stdout
    return text


def twins() -> dict[Path, str]:
    """Every twin as it should be, by its path below the root."""
    texts = synchronous({name: (ROOT / PACKAGE / name).read_text("utf-8") for name in FILES})
    made = {}
    for source, text in texts.items():
        path = PACKAGE / FILES[source]
        note = f"# Made of {source} by scripts/synchronous.py: change that file, and run it."
        head, _, rest = text.partition('"""\n')
        made[path] = in_order(f'{head}"""\n\n{note}\n{rest}', path)
    return made


def main(arguments: list[str]) -> int:
    """Write the twins, or compare them.

    Returns:
        The exit status.
    """
    status = 0
    for path, text in twins().items():
        if "--check" not in arguments:
            (ROOT / path).write_text(text, "utf-8")
        elif (ROOT / path).read_text("utf-8") != text:
            status = 1
            sys.stderr.write(
                f"{path} is not made of its twin; run: python scripts/synchronous.py\n"
            )
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
