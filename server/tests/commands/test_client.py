"""Commands that read usage refuse another package that is imported as the client is."""

from __future__ import annotations

from pathlib import Path

import pytest

from headcount import __version__
from support.program import Program

OTHERS = {
    "the documented client": '__version__ = "73.2.0"\n',
    "one of another release": '__version__ = "0.0.1"\nclass ApiClient: ...\n',
    "what is left of two": "",
}


@pytest.mark.parametrize(
    "command", [("usage",), ("export", "--from", "2021-01", "x.csv"), ("demo", "--check")]
)
@pytest.mark.parametrize("other", OTHERS)
def test_another_client_is_refused_and_named(
    tmp_path: Path, command: tuple[str, ...], other: str
) -> None:
    (tmp_path / "segment_public_api").mkdir()
    (tmp_path / "segment_public_api/__init__.py").write_text(OTHERS[other])
    program = Program(data=tmp_path / "data", cwd=tmp_path)
    done = program.run(*command, PYTHONPATH=str(tmp_path), HEADCOUNT_TOKEN="hct_x")
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert f"headcount-client {__version__}" in done.stderr
    assert "uninstall --yes segment-public-api" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("x.csv*"))


def test_what_needs_no_client_works_beside_another(tmp_path: Path) -> None:
    (tmp_path / "segment_public_api").mkdir()
    (tmp_path / "segment_public_api/__init__.py").write_text(OTHERS["the documented client"])
    program = Program(data=tmp_path / "data", cwd=tmp_path)
    done = program.run("workspace", "add", "Shop", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
