"""The synchronous client is the asynchronous one with other words, and nothing else."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from support.program import environment
from tidy.sources import ROOT

SCRIPT = Path("scripts/synchronous.py")
TWIN = Path("sdk/src/segment_public_api/api_client.py")


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("synchronous", ROOT / SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def checked(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / SCRIPT), "--check"],
        capture_output=True, text=True, env=environment(),
    )  # fmt: skip


def test_the_synchronous_client_is_what_the_script_makes() -> None:
    finished = checked(ROOT)
    assert finished.returncode == 0, finished.stderr


def test_a_twin_that_somebody_changed_by_hand_is_named(tmp_path: Path) -> None:
    for each in ("sdk/src", "scripts", "pyproject.toml"):
        copied = shutil.copytree if (ROOT / each).is_dir() else shutil.copy
        (tmp_path / each).parent.mkdir(exist_ok=True)
        copied(ROOT / each, tmp_path / each)
    assert checked(tmp_path).returncode == 0
    twin = tmp_path / TWIN
    twin.write_text(twin.read_text("utf-8").replace("step.seconds", "step.seconds * 2"), "utf-8")
    finished = checked(tmp_path)
    assert finished.returncode == 1
    assert str(TWIN) in finished.stderr


def test_no_word_is_left_over_and_no_rule(script: ModuleType) -> None:
    """A line that the rules do not know is refused rather than written as it stands."""
    texts = {name: (ROOT / script.PACKAGE / name).read_text("utf-8") for name in script.FILES}
    assert set(script.synchronous(texts)) == set(script.FILES)
    for line in ("async with asyncio.timeout(1):", "import aiohttp", "# asynchronous"):
        with pytest.raises(ValueError, match="no rule is about this line"):
            script.synchronous({**texts, "aio/_base.py": f"{texts['aio/_base.py']}{line}\n"})
    with pytest.raises(ValueError, match="replaces nothing"):
        script.synchronous({"aio/_base.py": texts["aio/_base.py"]})
