"""The OpenAPI documents of both addresses for people: takes them, gives a part of a page.

Nothing about an operation is written here. The part is made once, when it is first asked for.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from headcount.page.asking import Api
from headcount.page.pages import Pages

__all__ = ["Descriptions"]

_VARIABLE = re.compile(r"\$([A-Z][A-Z_]*)")
_ASKED_OF = ("From the API address", "From the tracking address")


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation, as its document describes it.

    Attributes:
        method, path: what is asked.
        described: the operation.
        body: the schema of what is sent; None for nothing.
        answers: of each status its description, and the schema of its body or None.
        sample: what a success may look like; empty for what is no JSON.
    """

    method: str
    path: str
    described: Mapping[str, Any]
    body: Mapping[str, Any] | None
    answers: list[tuple[str, str, Mapping[str, Any] | None]]
    sample: str


@dataclass(frozen=True, slots=True)
class _Group:
    """Operations that belong together."""

    name: str
    words: str
    operations: list[_Operation]


class Descriptions:
    """What both addresses say about themselves, as parts of a page.

    Args:
        api: asked for its document.
        tracking_document: that of the tracking address.
        pages: the templates.
    """

    def __init__(self, api: Api, tracking_document: Mapping[str, Any], pages: Pages) -> None:
        self._api = api
        self._tracking_document = tracking_document
        self._pages = pages
        self._made: tuple[Markup, list[str]] | None = None
        self._making = asyncio.Lock()

    async def content(self) -> tuple[Markup, list[str]]:
        """Every operation and every shape, as HTML; and the variables that examples use."""
        async with self._making:
            if self._made is None:
                documents = (await self._api.document(), self._tracking_document)
                self._made = await asyncio.to_thread(self._make, documents)
        return self._made

    def _make(self, documents: tuple[Mapping[str, Any], ...]) -> tuple[Markup, list[str]]:
        parts = [
            (heading, document, list(_groups(document)))
            for heading, document in zip(_ASKED_OF, documents, strict=True)
        ]
        schemas: dict[str, Any] = {}
        for document in documents:
            schemas |= document["components"]["schemas"]
        sources = "\n".join(
            sample["source"]
            for _, _, groups in parts
            for group in groups
            for operation in group.operations
            for sample in operation.described["x-codeSamples"]
        )
        variables = list(dict.fromkeys(_VARIABLE.findall(sources)))
        return self._pages.part("docs_content", parts=parts, schemas=schemas), variables


def _groups(document: Mapping[str, Any]) -> Iterator[_Group]:
    """The groups of a document that hold anything, in its order."""
    operations = [
        _operation(document, method, path, described)
        for path, item in document["paths"].items()
        for method, described in item.items()
    ]
    for tag in document["tags"]:
        found = [each for each in operations if tag["name"] in each.described["tags"]]
        if found:
            yield _Group(tag["name"], tag["description"], found)


def _operation(
    document: Mapping[str, Any], method: str, path: str, described: Mapping[str, Any]
) -> _Operation:
    answers = []
    sample = ""
    for status, response in described["responses"].items():
        if "$ref" in response:
            name = response["$ref"].rpartition("/")[2]
            response = document["components"]["responses"][name]
        content: Mapping[str, Any] = next(iter(response.get("content", {}).values()), {})
        answers.append((status, response["description"], content.get("schema")))
        if "example" in content and status.startswith("2"):
            sample = json.dumps(content["example"], indent=2, ensure_ascii=False)
    sent = described.get("requestBody", {}).get("content", {})
    body = next((each["schema"] for each in sent.values()), None)
    return _Operation(method.upper(), path, described, body, answers, sample)
