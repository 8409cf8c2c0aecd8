"""Takes an extra of this distribution; gives the command that installs its libraries.

The command names the libraries themselves and the Python that runs, so that it works as printed
however Headcount was installed, and also where no package index knows Headcount.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys

__all__ = ["install_command"]


def install_command(extra: str, *, anew: bool = False) -> str:
    """A line for a shell.

    Args:
        extra: `plot`, `parquet`, `objects`, `cluster` or `demo`.
        anew: whether to put back what is installed and does not work.
    """
    python = shlex.quote(sys.executable)
    if importlib.util.find_spec("pip") is not None:
        tool = f"{python} -m pip install{' --force-reinstall --no-deps' if anew else ''}"
    else:
        # uv makes environments without pip.
        tool = f"uv pip install --python {python}{' --reinstall' if anew else ''}"
    return f"{tool} {' '.join(shlex.quote(each) for each in _needed(extra))}"


def _needed(extra: str) -> list[str]:
    import importlib.metadata  # which takes longer than most commands have need of it

    try:
        requirements = importlib.metadata.requires("headcount") or []
    except importlib.metadata.PackageNotFoundError:
        requirements = []  # run out of a tree that was not installed
    found = []
    for text in requirements:
        requirement, _, marker = text.partition(";")
        if re.search(rf"extra\s*==\s*[\"']{re.escape(extra)}[\"']", marker):
            found.append(requirement.strip())
    return found or [f"headcount[{extra}]"]
