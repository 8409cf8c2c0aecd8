"""What every test relies on, whoever starts the tests and however busy the machine is."""

import signal
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A shell that starts the tests in the background makes them ignore Ctrl-C, and the programs that
# they start would inherit that; several tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test asserts a time, and so neither do the examples of one.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that may take longest: those whose tests are given more time than usual,
    then those with many tests.

    Whoever runs tests side by side hands out file by file, in this order. A file of one long test
    that came last would be waited for by all others.
    """
    usual_s = float(config.getini("timeout"))
    beyond_s: Counter[Path] = Counter()
    tests: Counter[Path] = Counter()
    for item in items:
        given = item.get_closest_marker("timeout")
        beyond_s[item.path] += round(max(0, given.args[0] - usual_s)) if given else 0
        tests[item.path] += 1
    items.sort(key=lambda item: (-beyond_s[item.path], -tests[item.path]))
