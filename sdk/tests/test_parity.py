"""The two clients have one surface: the same names, the same arguments, the same words."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import segment_public_api
from segment_public_api import aio

SHARED = [name for name in aio.__all__ if getattr(aio, name) is getattr(segment_public_api, name)]
OWN = sorted(set(aio.__all__) - set(SHARED))
CLASSES = ["APICallsApi", "ApiClient", "MonthlyTrackedUsersApi"]


def public_members(kind: Any) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_")}


def plain(text: str) -> str:
    """A signature or docstring without what has to differ."""
    text = re.sub(r"\b(Async|aiohttp|urllib3|BaseHTTPResponse|ClientResponse)\b", "", text)
    return re.sub(r"__anext__|__aiter__", "", text)


def test_the_names_are_the_same() -> None:
    sync_names = set(segment_public_api.__all__) - {"__version__"}
    assert set(aio.__all__) == sync_names
    assert [
        *CLASSES,
        "PageIterator",
        "RowIterator",
        "iter_pages",
        "iter_rows",
        "source_names",
    ] == OWN


@pytest.mark.parametrize("name", CLASSES)
def test_the_members_are_the_same(name: str) -> None:
    sync_members = public_members(getattr(segment_public_api, name))
    async_members = public_members(getattr(aio, name))
    assert sync_members.keys() == async_members.keys()
    for member, value in sync_members.items():
        if callable(value):
            theirs = async_members[member]
            assert inspect.signature(value).parameters == inspect.signature(theirs).parameters
            if member.startswith("get_daily"):
                assert plain(inspect.getdoc(value) or "") == plain(inspect.getdoc(theirs) or "")


@pytest.mark.parametrize("name", ["APICallsApi", "MonthlyTrackedUsersApi"])
def test_every_operation_is_a_coroutine(name: str) -> None:
    for member, value in public_members(getattr(aio, name)).items():
        assert inspect.iscoroutinefunction(value), member


@pytest.mark.parametrize("name", ["iter_pages", "iter_rows", "source_names"])
def test_the_helpers_take_the_same(name: str) -> None:
    sync_parameters = inspect.signature(getattr(segment_public_api, name)).parameters
    async_parameters = inspect.signature(getattr(aio, name)).parameters
    assert list(sync_parameters) == list(async_parameters)
    assert [p.default for p in sync_parameters.values()] == [
        p.default for p in async_parameters.values()
    ]
