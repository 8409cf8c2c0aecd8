"""A page for people at /docs, made from the OpenAPI document: nothing is fetched, nothing runs.

Takes the document, gives one HTML page; every text in it is escaped. The page may load no script,
and no style but its own, which its Content-Security-Policy names by digest.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from html import escape
from typing import Any

from litestar import Request, Response

from headcount.api.wire.contract import Contract, endpoint

__all__ = ["DOCS_HANDLERS", "docs_page"]

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
code { background: var(--soft); border-radius: 3px; padding: 0 .25em; overflow-wrap: anywhere; }
section { border-top: 1px solid var(--line); margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem .3rem 0; text-align: left;
  vertical-align: top; }
nav ul { columns: 20rem; padding-left: 1.2rem; }
"""
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)


def docs_page(document: dict[str, Any]) -> str:
    """An OpenAPI document as one HTML page."""
    operations = [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    schemas = document["components"]["schemas"]
    info = document["info"]
    links = "".join(
        f'<li><a href="#{escape(operation["operationId"])}">{escape(operation["summary"])}</a></li>'
        for _, _, operation in operations
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>"
        f"<p>{_words(info['description'])}</p>"
        '<p>The same for programs: <a href="/openapi.json">/openapi.json</a>.</p>'
        f"<nav><h2>Operations</h2><ul>{links}</ul></nav>"
        + "".join(_operation(*operation) for operation in operations)
        + "<section><h2>Shapes</h2>"
        + "".join(_shape(name, schema) for name, schema in schemas.items())
        + "</section></main></body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [
        f'<section id="{escape(operation["operationId"])}">',
        f"<h2>{escape(operation['summary'])}</h2>",
        f"<p><code>{method} {escape(path)}</code></p><p>{_words(operation['description'])}</p>",
    ]
    if operation["parameters"]:
        parts.append("<h3>Parameters</h3>")
        parts.append(
            _table(
                ("Name", "In", "Type", "Meaning"),
                (
                    (
                        _required(parameter["name"], parameter["required"]),
                        escape(parameter["in"]),
                        _type(_schema_of(parameter)),
                        _words(parameter.get("description", "")),
                    )
                    for parameter in operation["parameters"]
                ),
            )
        )
    if body := operation.get("requestBody"):
        parts.append(f"<p>Body: {_type(_schema_of(body))}</p>")
    parts.append("<h3>Answers</h3>")
    parts.append(
        _table(
            ("Status", "Meaning", "Body"),
            (
                (
                    escape(status),
                    _words(response["description"]),
                    _type(_schema_of(response)) if "content" in response else "none",
                )
                for status, response in operation["responses"].items()
            ),
        )
    )
    return "".join(parts) + "</section>"


def _shape(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    return (
        f'<h3 id="shape-{escape(name)}">{escape(name)}</h3>'
        f"<p>{_words(schema.get('description', ''))}</p>"
        + _table(
            ("Member", "Type", "Meaning"),
            (
                (
                    _required(member, member in required),
                    _type(member_schema),
                    _words(member_schema.get("description", "")),
                )
                for member, member_schema in schema.get("properties", {}).items()
            ),
        )
    )


def _schema_of(part: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter, body or answer; all media types of one share it."""
    if "content" in part:
        schema: dict[str, Any] = next(iter(part["content"].values()))["schema"]
        return schema
    return dict(part["schema"])


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words, as HTML."""
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#shape-{name}">{name}</a>'
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if "anyOf" in schema and "type" not in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return escape(str(schema.get("type", "any")))


def _required(name: str, required: bool) -> str:
    return f"<code>{escape(name)}</code>" + (" (required)" if required else "")


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        '<div class="scroll"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _words(text: str) -> str:
    """Escaped text in which backticks mark code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


@endpoint(
    "GET",
    "/docs",
    Contract(
        name="getDocs",
        summary="This page",
        description="The description for people; it loads nothing and runs nothing.",
        tag="Description",
        answer=None,
        media_type="text/html",
        access="open",
    ),
)
def docs(request: Request[Any, Any, Any]) -> Response[str]:
    return Response(
        request.app.state.docs_page,
        media_type="text/html",
        headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"},
    )


DOCS_HANDLERS = [docs]
