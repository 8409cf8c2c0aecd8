"""What a call costs is bounded in steps, functions that run; seconds are the machine's too."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import urllib3

import segment_public_api as sdk
from sdk_scripted_server import ScriptedServer, answer, workspace_page

OURS = str(Path(sdk.__file__).parent)
STEPS_MAX = 75
"""Functions of this package that a call may run, whatever it returns; 69 when this was written."""


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """The functions of Python that run inside the block: file and name, and how often."""
    seen: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            seen[f"{frame.f_code.co_filename}:{frame.f_code.co_name}"] += 1

    sys.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(None)


def test_a_call_takes_a_bounded_number_of_steps_however_many_rows_come(
    scripted: Callable[..., ScriptedServer],
) -> None:
    for rows in (1, 31, 500):
        server = scripted(answer(workspace_page(list(range(rows)))))
        with sdk.ApiClient(sdk.Configuration(host=server.host, access_token="abc")) as client:
            api = sdk.APICallsApi(client)
            page = sdk.PaginationInput(count=1000)
            api.get_daily_workspace_api_calls_usage("2021-02-01", page)
            with counted() as steps:
                found = api.get_daily_workspace_api_calls_usage("2021-02-01", page)
        assert len(found.rows) == rows
        ours = {step: times for step, times in steps.items() if step.startswith(OURS)}
        assert sum(ours.values()) <= STEPS_MAX, ours
        # Which goes through an address character by character.
        assert not [step for step in steps if step.endswith("url.py:parse_url")]


def test_targets_arrive_as_urllib3_would_send_them(
    scripted: Callable[..., ScriptedServer],
) -> None:
    """The short way and urllib3's own taking apart of addresses say the same to the server."""
    for path in ("", "/", "/?a=b/c", "/x?a=ä", "/x#part", "/a/../b", "/a/./b?c=/.", "?a=b"):
        server = scripted(answer({"data": None}))
        with sdk.ApiClient(sdk.Configuration(host=server.host, retries=0)) as client:
            client.call_api("GET", server.host + path)
        with urllib3.PoolManager() as pool:
            pool.request("GET", server.host + path)
        ours, theirs = server.requests
        assert ours.target == theirs.target, path
