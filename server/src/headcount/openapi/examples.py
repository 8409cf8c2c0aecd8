"""A request as code to copy: takes what is asked, gives a curl command and a Python program.

Addresses and secrets stand in variables of the environment, so that nothing has to be written into
the code, and no secret is kept in a shell's history.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

__all__ = ["THIS_MONTH", "TODAY", "Call", "Computed", "in_curl", "in_python"]

_IN_PATH = re.compile(r"\{(\w+)\}")
_LINE_MAX = 60
_VARIABLE = re.compile(r"\$([A-Z_]+)")


class Computed(NamedTuple):
    """A value that is found out when the code runs: by a shell, and by Python.

    Attributes:
        shell: within double quotes.
        python: what stands between the braces of an f-string.
        imports: what that needs, as lines.
    """

    shell: str
    python: str
    imports: tuple[str, ...] = ()


_CALENDAR = ("from datetime import UTC, datetime",)
THIS_MONTH = Computed("$(date -u +%Y-%m-01)", "datetime.now(UTC):%Y-%m-01", _CALENDAR)
"""The first day of the month that runs."""

TODAY = Computed("$(date -u +%Y-%m-%d)", "datetime.now(UTC):%Y-%m-%d", _CALENDAR)
"""The day that runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request.

    Attributes:
        base: the variable that holds the beginning of the address.
        method: the HTTP method.
        path: its template; `{sourceId}` is the variable `SOURCE_ID`.
        within_path: what stands in the place of members of the path instead.
        query: parameters; a text may name a variable, as `$SOURCE_ID`.
        body: what is sent as JSON; texts in it may be variables, as `"$SOURCE_ID"`.
        access: what authenticates it: a bearer in `TOKEN`, a user name in `WRITE_KEY`, or nothing.
        binary: the name of a file for an answer that is no text; empty for text.
        is_json: whether the answer is JSON.
    """

    base: str
    method: str
    path: str
    within_path: Mapping[str, str | Computed] = field(default_factory=dict)
    query: Mapping[str, str | Computed] = field(default_factory=dict)
    body: Any = None
    access: Literal["token", "write key", "none"] = "token"
    binary: str = ""
    is_json: bool = True


def in_curl(call: Call) -> str:
    """A request as a command for a shell; it fails where the server refuses."""

    def in_path(found: re.Match[str]) -> str:
        value = call.within_path.get(found[1], f"${_variable(found[1])}")
        return value.shell if isinstance(value, Computed) else value

    path = _IN_PATH.sub(in_path, call.path)
    asks = call.method == "GET" and call.query
    parts = [f'curl --fail-with-body {"--get " if asks else ""}"${call.base}{path}"']
    if call.method not in ("GET", "POST") or (call.method == "POST" and call.body is None):
        parts.append(f"--request {call.method}")
    if call.access == "token":
        parts.append('--header "Authorization: Bearer $TOKEN"')
    elif call.access == "write key":
        parts.append('--user "$WRITE_KEY:"')
    for name, value in call.query.items():
        text = value.shell if isinstance(value, Computed) else value
        parts.append(f'--data-urlencode "{name}={text}"')
    if call.body is not None:
        text = json.dumps(call.body, ensure_ascii=False)
        if len(text) > _LINE_MAX:
            text = json.dumps(call.body, ensure_ascii=False, indent=2)
        text = text.replace("'", "'\\''")
        text = _VARIABLE.sub(lambda found: f"""'"${found[1]}"'""", text)
        parts.append(f"--data '{text}'")
    if call.binary:
        parts.append(f"--output {call.binary}")
    return " \\\n  ".join(parts)


def in_python(call: Call) -> str:
    """A request as a program, which raises where the server refuses."""
    given = (*call.within_path.values(), *call.query.values())
    computed = [value for value in given if isinstance(value, Computed)]
    imports = dict.fromkeys(["import os", *(line for each in computed for line in each.imports)])

    def in_path(found: re.Match[str]) -> str:
        value = call.within_path.get(found[1])
        if isinstance(value, Computed):
            return f"{{{value.python}}}"
        return f"{{os.environ['{_variable(found[1])}']}}" if value is None else value

    path = _IN_PATH.sub(in_path, call.path)
    lines = [f"f\"{{os.environ['{call.base}']}}{path}\","]
    if call.query:
        lines.append(f"params={_literal(dict(call.query))},")
    if call.access == "token":
        lines.append('headers={"Authorization": f"Bearer {os.environ[\'TOKEN\']}"},')
    elif call.access == "write key":
        lines.append('auth=(os.environ["WRITE_KEY"], ""),')
    if call.body is not None:
        lines.append(f"json={_literal(call.body)},")
    lines.append("timeout=60,")
    indented = "\n".join(f"    {line}" for each in lines for line in each.splitlines())
    if call.binary:
        shown = f'Path("{call.binary}").write_bytes(answer.content)'
        imports["from pathlib import Path"] = None
    else:
        shown = f"print(answer.{'json()' if call.is_json else 'text'})"
    return (
        "\n".join(imports)
        + f"\n\nimport requests\n\nanswer = requests.{call.method.lower()}(\n{indented}\n)\n"
        + f"answer.raise_for_status()\n{shown}"
    )


def _variable(name: str) -> str:
    """`sourceId` as `SOURCE_ID`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def _literal(value: Any) -> str:
    """A value as Python writes it, over several lines where it holds objects."""
    if isinstance(value, Computed):
        return f'f"{{{value.python}}}"'
    if isinstance(value, str):
        whole = _VARIABLE.fullmatch(value)
        return f'os.environ["{whole[1]}"]' if whole else json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        members = [f"{json.dumps(name)}: {_literal(each)}" for name, each in value.items()]
        line = "{" + ", ".join(members) + "}"
        if len(line) <= _LINE_MAX and "\n" not in line:
            return line
        inner = ",\n".join(members).replace("\n", "\n    ")
        return "{\n    " + inner + ",\n}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return repr(value)
