"""The documents tell the truth: examples run, tables match the code, links lead somewhere."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import segment_public_api as sdk
from sdk_headcount import Headcount

SDK = Path(__file__).parent.parent
PAGES = sorted([*(SDK / "docs").glob("*.md"), SDK / "README.md"])
EXAMPLES = [
    pytest.param(code, id=f"{page.stem}-{place}")
    for page in PAGES
    for place, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S))
]
OPERATIONS = {
    "APICallsApi": [
        "get_daily_per_source_api_calls_usage",
        "get_daily_workspace_api_calls_usage",
    ],
    "MonthlyTrackedUsersApi": [
        "get_daily_per_source_mtu_usage",
        "get_daily_workspace_mtu_usage",
    ],
}


@pytest.fixture
def no_defaults() -> Iterator[None]:
    yield
    sdk.Configuration.set_default(None)
    sdk.ApiClient.set_default(None)


@pytest.mark.usefixtures("no_defaults")
@pytest.mark.parametrize("code", EXAMPLES)
def test_examples_run(
    headcount_server: Headcount, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setenv("BEARER_TOKEN", headcount_server.token)
    code = code.replace("https://api.segmentapis.com", headcount_server.host)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "example", "exec"), {"__name__": "__main__"})
    assert printed.getvalue()
    assert "The call failed" not in printed.getvalue()
    assert "No answer" not in printed.getvalue()


def table(text: str, heading: str) -> list[list[str]]:
    """The cells of the table below `heading`, emphasis taken off the first."""
    part = text.split(f"{heading}\n", 1)[1]
    rows = re.search(r"(?:^\S.*\|.*\n)+", part, re.M)
    assert rows is not None
    cells = [[cell.strip() for cell in line.split("|")] for line in rows[0].splitlines()[2:]]
    return [[first.strip("*"), *others] for first, *others in cells]


def type_name(annotation: Any) -> str:
    """How the documents write a type."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_name(arguments[0])
    if origin in (typing.Union, types.UnionType):
        names = {type_name(a) for a in arguments if a is not type(None)}
        return "float" if names == {"int", "float"} else names.pop()
    if origin is list:
        return f"List[{type_name(arguments[0])}]"
    return "object" if annotation is Any else annotation.__name__


@pytest.mark.parametrize("name", sdk.models.__all__)
def test_every_model_has_its_page(name: str) -> None:
    text = (SDK / "docs" / f"{name}.md").read_text()
    model = getattr(sdk, name)
    assert text.startswith(f"# {name}\n\n{inspect.getdoc(model)}\n")
    expected = []
    for attribute, field in model.model_fields.items():
        notes = [] if field.is_required() else ["optional"]
        if field.alias and field.alias != attribute:
            notes.append(f"`{field.alias}` in JSON")
        kind = type_name(field.annotation)
        expected.append([attribute, kind, field.description, ", ".join(notes)])
    written = table(text, "## Properties")
    for row in written:
        row[1] = re.sub(r"\[\*\*(.+)\*\*\]\(.+\)|\*\*(.+)\*\*", r"\1\2", row[1])
    assert written == expected
    computed = {
        attribute: inspect.getdoc(value)
        for attribute, value in inspect.getmembers(model, lambda v: isinstance(v, property))
        if not attribute.startswith(("model_", "_"))
    }
    assert ("## Computed" in text) == bool(computed)
    if computed:
        assert dict(table(text, "## Computed")) == computed


@pytest.mark.parametrize(
    ("api", "operation"), [(api, op) for api, ops in OPERATIONS.items() for op in ops]
)
def test_every_operation_has_its_section(api: str, operation: str) -> None:
    text = (SDK / "docs" / f"{api}.md").read_text().split(f"\n## {operation}\n")[1]
    signature = inspect.signature(getattr(getattr(sdk, api), operation))
    assert f"> {signature.return_annotation} {operation}(period, pagination=None)" in text
    written = {name: notes for name, _, _, notes in table(text, "### Parameters")}
    expected = {
        name: "required" if p.default is p.empty else f"default `{p.default!r}`"
        for name, p in signature.parameters.items()
        if name != "self"
    }
    assert written == expected
    assert f"]({signature.return_annotation}.md)" in text
    for _, _, raised in table(text, "### HTTP response details"):
        if raised:
            assert issubclass(getattr(sdk, raised.strip("`")), sdk.ApiException)


def test_every_setting_is_there_with_its_default() -> None:
    text = (SDK / "docs" / "Configuration.md").read_text()
    parameters = inspect.signature(sdk.Configuration).parameters
    written = {
        name: ast.literal_eval(notes.removeprefix("default `").removesuffix("`"))
        for name, _, notes in table(text, "## Settings")
    }
    assert written == {name: p.default for name, p in parameters.items()}


def test_the_clients_arguments_and_methods_are_there() -> None:
    text = (SDK / "docs" / "ApiClient.md").read_text()
    written = {name: notes for name, _, notes in table(text, "## Constructor")}
    parameters = inspect.signature(sdk.ApiClient).parameters
    assert written == {name: f"default `{p.default!r}`" for name, p in parameters.items()}
    for names, _ in table(text, "## Methods"):
        for name in names.split("**, **"):
            assert hasattr(sdk.ApiClient, name)


def test_every_error_is_in_the_tree() -> None:
    from segment_public_api import exceptions

    text = (SDK / "docs" / "Exceptions.md").read_text()
    tree = text.split("```text\n")[1].split("```")[0]
    assert sorted(re.findall(r"^[ │├└─]*(\w+)", tree, re.M)) == sorted(exceptions.__all__)
    error = sdk.ApiException()
    for name, _ in table(text, "## Properties of ApiException"):
        assert hasattr(error, name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for target, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", text):
        linked = (page.parent / target) if target else page
        assert linked.exists(), target
        headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.M)
        slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, anchor


def test_every_page_is_listed() -> None:
    readme = (SDK / "README.md").read_text()
    for page in (SDK / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in readme
