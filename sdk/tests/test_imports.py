"""Importing the package loads next to nothing, and works without the extra."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_loads_no_dependency() -> None:
    loaded = run(
        "import sys; import segment_public_api; "
        "print([m for m in ('pydantic', 'urllib3', 'aiohttp') if m in sys.modules])"
    )
    assert loaded == "[]"


def test_the_synchronous_client_needs_no_aiohttp() -> None:
    code = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "import segment_public_api as s\n"
        "s.APICallsApi(s.ApiClient(s.Configuration()))\n"
        "try:\n    import segment_public_api.aio\n"
        "except ImportError as error: print(error)"
    )
    assert "pip install 'headcount-client[async]'" in run(code)


def test_submodules_are_reached_as_attributes() -> None:
    code = (
        "import segment_public_api as s\n"
        "print(s.exceptions.ApiException is s.ApiException,"
        " s.models.pagination_input.PaginationInput is s.PaginationInput,"
        " s.api.api_calls_api.APICallsApi is s.APICallsApi,"
        " s.rest.ApiException is s.ApiException,"
        " s.aio.api_client.ApiClient is not s.ApiClient)"
    )
    assert run(code) == "True True True True True"


def test_the_version_is_the_distributions() -> None:
    code = (
        "import importlib.metadata as m, segment_public_api as s;"
        "print(m.version('headcount-client') == s.__version__)"
    )
    assert run(code) == "True"


def test_what_is_said_about_the_extra_can_be_done() -> None:
    """Where the client is installed, the words of the error install what it lacks."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index"]
    done = subprocess.run(
        [*command, "headcount-client[async]"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "already satisfied: aiohttp" in done.stdout
