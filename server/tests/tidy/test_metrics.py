"""Metrics are spelled in one table: whoever shows or checks them loops over it."""

from __future__ import annotations

import ast
import re

from headcount.counting.metrics import HEADLINES, METRICS, REPORTED
from tidy.sources import text_of, tracked_files

SPELLED = {
    "server/src/headcount/counting/metrics.py": "the table",
    "server/src/headcount/counting/tracked_ids.py": "how facts become the sets",
    "server/src/headcount/demo/expected.py": "a naive count, which shares no code with the server",
}
# What nobody would write who does not spell metrics: a name of several words.
DISTINCT = [metric for metric in METRICS if "_identified" in metric.name]
NAMES = re.compile(
    "|".join(
        re.escape(name)
        for metric in DISTINCT
        for name in (metric.name, metric.wire, metric.option, metric.name.upper())
    )
)


OF_TEMPLATES = re.compile(rf"\.(?:{'|'.join(metric.name for metric in REPORTED)})\b")


def test_no_template_of_the_page_spells_a_metric() -> None:
    found = [
        f"{name}: {each[0]}"
        for name in tracked_files()
        if name.is_relative_to("server/src/headcount/page/templates")
        for each in OF_TEMPLATES.finditer(text_of(name) or "")
    ]
    assert found == []


def test_no_other_file_of_the_server_spells_the_metrics() -> None:
    assert len(DISTINCT) == 2
    found = {
        str(name)
        for name in tracked_files()
        if name.is_relative_to("server/src") and (text := text_of(name)) and NAMES.search(text)
    }
    assert found == set(SPELLED)


LISTED = {
    "server/src/headcount/api/usage/bodies.py": "Segment's two reports, whose rows differ",
    "server/src/headcount/cli/reading/usage_rows.py": "the client's method for each report",
    "server/src/headcount/reconciling/headings.py": "what invoices call their columns",
    "server/src/headcount/upgrade/former.py": "columns of a former format",
}
SPELLINGS = {
    spelled: metric.name
    for metric in HEADLINES
    for spelled in (metric.name, metric.wire, metric.option)
}


def spelled_in(node: ast.AST) -> set[str]:
    """The headline metrics that the members of a tuple, a list, a set or a mapping name."""
    members = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
    words = [
        word
        for member in members
        for each in (member.elts if isinstance(member, ast.Tuple) else [member])
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
        for word in each.value.split(":")
    ]
    return {SPELLINGS[word] for word in words if word in SPELLINGS}


def test_nobody_lists_the_headline_metrics_by_hand() -> None:
    found = {
        str(name)
        for name in tracked_files()
        if name.is_relative_to("server/src") and name.suffix == ".py"
        for node in ast.walk(ast.parse(text_of(name) or ""))
        if len(spelled_in(node)) > 1
    }
    assert found == set(LISTED)
