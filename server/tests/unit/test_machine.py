"""The memory that a process may use, as made-up control groups say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headcount.machine import memory_bytes

ALL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def found(folder: Path, groups: str, **limits: str) -> int:
    for place, text in limits.items():
        file = folder / "groups" / place.replace("__", "/").replace("_X_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    of_process = folder / "of_process"
    of_process.write_text(groups)
    return memory_bytes(folder / "groups", of_process)


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/\n", {}, ALL),
        ("0::/\n", {"memory_X_max": "max\n"}, ALL),
        ("0::/\n", {"memory_X_max": "268435456\n"}, 268_435_456),
        (
            "0::/a/b\n",
            {"a__memory_X_max": "1048576\n", "a__b__memory_X_max": "2097152\n"},
            1_048_576,
        ),
        ("0::/a/b\n", {"a__b__memory_X_max": "2097152\n"}, 2_097_152),
        ("4:memory:/c\n1:cpu:/\n", {"memory__c__memory_X_limit_in_bytes": "4096\n"}, 4_096),
        ("0::/\n", {"memory_X_max": str(1 << 60)}, ALL),
        ("nonsense", {}, ALL),
    ],
)
def test_the_lowest_limit_around_a_process_holds(
    tmp_path: Path, groups: str, limits: dict[str, str], expected: int
) -> None:
    assert found(tmp_path, groups, **limits) == expected


def test_without_control_groups_it_is_the_machines(tmp_path: Path) -> None:
    assert memory_bytes(tmp_path / "none", tmp_path / "nobody") == ALL
