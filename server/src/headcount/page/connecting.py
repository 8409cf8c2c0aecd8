"""How a tracking SDK is pointed here: snippets that hold this host and a source's write key.

Takes a source and the request that asks, whose host name stands in for an address such as 0.0.0.0
that nobody can call; gives pieces of code to copy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from litestar import Request, Response, get
from msgspec import UNSET

from headcount.api.v1.sources import SourceListBody, SourceRecord
from headcount.api.v1.workspace import WorkspaceBody
from headcount.page.pages import redirect
from headcount.page.visits import parts_of, visit_of

__all__ = ["CONNECTING_HANDLERS", "Snippet", "snippets", "tracking_url"]

_KEY_NOT_SHOWN = "THE_WRITE_KEY_OF_THIS_SOURCE"
_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of code.

    Attributes:
        name: the SDK's.
        install: how to get it; empty where there is nothing to install.
        code: what to run.
    """

    name: str
    install: str
    code: str


def tracking_url(request: Request[Any, Any, Any]) -> str:
    """Where tracking SDKs post, as the browser that asks can reach it."""
    url = parts_of(request).tracking_url
    split = urlsplit(url)
    own = request.url.hostname
    if split.hostname not in _ANY_ADDRESS or own is None:
        return url
    port = f":{split.port}" if split.port else ""
    return f"{split.scheme}://{f'[{own}]' if ':' in own else own}{port}"


def snippets(request: Request[Any, Any, Any], source: SourceRecord) -> list[Snippet]:
    """How each SDK is pointed here for one source."""
    url = tracking_url(request)
    host, key = json.dumps(url), json.dumps(source.write_key or _KEY_NOT_SHOWN)
    split = urlsplit(url)
    api_host, protocol = json.dumps(f"{split.netloc}{split.path}/v1"), json.dumps(split.scheme)
    return [
        Snippet(
            "analytics.js",
            "npm install @segment/analytics-next",
            'import { AnalyticsBrowser } from "@segment/analytics-next"\n\n'
            "const analytics = AnalyticsBrowser.load(\n"
            f"  {{ writeKey: {key}, cdnURL: {host} }},\n"
            "  { integrations: { "
            f'"Segment.io": {{ apiHost: {api_host}, protocol: {protocol} }} }} }},\n'
            ")\n"
            'analytics.identify("user-1")\n'
            'analytics.track("Signed up")\n',
        ),
        Snippet(
            "Python",
            "pip install segment-analytics-python",
            "import segment.analytics as analytics\n\n"
            f"analytics.host = {host}\n"
            f"analytics.write_key = {key}\n"
            'analytics.track("user-1", "Signed up")\n'
            "analytics.flush()\n",
        ),
        Snippet(
            "Node",
            "npm install @segment/analytics-node",
            'import { Analytics } from "@segment/analytics-node"\n\n'
            f"const analytics = new Analytics({{ host: {host}, writeKey: {key} }})\n"
            'analytics.track({ userId: "user-1", event: "Signed up" })\n'
            "await analytics.closeAndFlush()\n",
        ),
        Snippet(
            "curl",
            "",
            f"curl {url}/v1/track -u {source.write_key or _KEY_NOT_SHOWN}: \\\n"
            """  -d '{"userId": "user-1", "event": "Signed up"}'\n""",
        ),
    ]


@get("/page/connect")
async def connect(request: Request[Any, Any, Any]) -> Response[bytes]:
    visit = visit_of(request)
    workspace = (await visit.ask(WorkspaceBody, "/headcount/v1/workspace")).workspace
    listed = (await visit.ask(SourceListBody, "/headcount/v1/sources")).sources
    listed = [each for each in listed if each.deleted_at is UNSET]
    wanted = request.query_params.get("source")
    source = next((each for each in listed if each.id == wanted), None)
    if source is None:
        return redirect(visit.address("/page/manage"))
    return await visit.parts.pages.send(
        request,
        "connect",
        **visit.common(),
        asset=visit.parts.assets.address,
        workspace=workspace,
        source=source,
        snippets=snippets(request, source),
    )


CONNECTING_HANDLERS = [connect]
