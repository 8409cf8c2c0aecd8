"""Requests as libraries make them that cannot run in these tests, written from their sources.

Each names the file that it was written from: repository, path and the version that was read. What
a library lets its user change is changed as docs/senders.md says, and nothing else.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

__all__ = ["SENDERS", "Request", "Sender", "messages_of"]

SENT_AT = "2026-11-24T10:00:00.000Z"


@dataclass(frozen=True)
class Request:
    """One request: its path at the tracking address, its headers and body."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None
    chunked: bool = False


_Requests = Callable[[str, list[dict[str, object]], dict[str, str]], list[Request]]


@dataclass(frozen=True)
class Sender:
    """A library.

    Attributes:
        source: what its requests were written from.
        library: what it calls itself in a message's context; empty where it does not.
        agent: its User-Agent; empty where it sets none.
        told: the name by which its messages are told.
        requests: what it asks before it sends, and how it sends messages.
    """

    source: str
    library: str
    agent: str
    told: str
    requests: _Requests = field(repr=False)


def messages_of(name: str, library: str) -> list[dict[str, object]]:
    """A short visit: somebody unknown, who becomes a user."""
    context = {"context": {"library": {"name": library, "version": "1.0.0"}}} if library else {}
    device = {"anonymousId": f"{name} device"}
    calls: list[dict[str, object]] = [
        {"type": "track", "event": "Opened", **device},
        {"type": "screen", "name": "Home", **device},
        {"type": "identify", "userId": f"{name} user", "traits": {"plan": "free"}, **device},
        {"type": "track", "event": "Bought", "userId": f"{name} user", **device},
    ]
    return [
        {**call, **context, "messageId": f"{name} {number}", "timestamp": SENT_AT}
        for number, call in enumerate(calls)
    ]


def _basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


def _batch(messages: list[dict[str, object]], **more: object) -> bytes:
    return json.dumps({"batch": messages, "sentAt": SENT_AT, **more}).encode()


def _java(key: str, messages: list[dict[str, object]], agent: dict[str, str]) -> list[Request]:
    kind = {"Content-Type": "application/json; charset=UTF-8"}
    body = _batch(messages, context={"library": {"name": "analytics-java"}}, sequence=1)
    return [Request("POST", "/v1/import/", {**_basic(key), **agent, **kind}, body)]


def _ruby(key: str, messages: list[dict[str, object]], agent: dict[str, str]) -> list[Request]:
    kind = {"Accept": "application/json", "Content-Type": "application/json"}
    return [Request("POST", "/v1/import", {**_basic(key), **agent, **kind}, _batch(messages))]


def _go(key: str, messages: list[dict[str, object]], agent: dict[str, str]) -> list[Request]:
    headers = {**_basic(key), **agent, "Content-Type": "application/json"}
    body = _batch(messages, messageId="made by the library", context={})
    return [Request("POST", "/v1/batch", headers, body)]


def _php(key: str, messages: list[dict[str, object]], agent: dict[str, str]) -> list[Request]:
    headers = {**_basic(key), **agent, "Content-Type": "application/json"}
    headers["Content-Encoding"] = "gzip"
    return [Request("POST", "/v1/batch", headers, gzip.compress(_batch(messages)))]


def _rust(key: str, messages: list[dict[str, object]], agent: dict[str, str]) -> list[Request]:
    headers = {**_basic(key), **agent, "Content-Type": "application/json"}
    return [
        Request("POST", f"/v1/{each['type']}", headers, json.dumps(each).encode())
        for each in messages
    ]


def _kotlin(key: str, messages: list[dict[str, object]], agent: dict[str, str]) -> list[Request]:
    asked = {**agent, "Content-Type": "application/json; charset=utf-8"}
    headers = {**agent, "Content-Type": "text/plain", "Content-Encoding": "gzip"}
    body = gzip.compress(_batch(messages, writeKey=key))
    return [
        Request("GET", f"/v1/projects/{key}/settings", asked),
        Request("POST", "/v1/b", headers, body, chunked=True),
    ]


def _swift(key: str, messages: list[dict[str, object]], agent: dict[str, str]) -> list[Request]:
    headers = {
        **agent,
        "Content-Type": "application/json; charset=utf-8",
        "Accept-Encoding": "gzip",
    }
    return [
        Request("GET", f"/v1/projects/{key}/settings", headers),
        Request("POST", "/v1/b", headers, _batch(messages, writeKey=key)),
    ]


def _react_native(
    key: str, messages: list[dict[str, object]], agent: dict[str, str]
) -> list[Request]:
    body = _batch(messages, writeKey=key)
    return [
        Request("GET", f"/v1/projects/{key}/settings", agent),
        Request("POST", "/v1/b", {**agent, "Content-Type": "text/plain"}, body),
    ]


def _csharp(key: str, messages: list[dict[str, object]], agent: dict[str, str]) -> list[Request]:
    headers = {**agent, "Accept": "text/plain", "Content-Encoding": "gzip", "Connection": "close"}
    body = gzip.compress(_batch(messages, writeKey=key))
    return [
        Request("GET", f"/v1/projects/{key}/settings", {**agent, "Accept": "application/json"}),
        Request("POST", "/v1/b", headers, body),
    ]


def _rudder(platform: str, kind: str, *, zipped: bool = False, chunked: bool = False) -> _Requests:
    """RudderStack's libraries for apps: the configuration first, then batches."""

    def requests(
        key: str, messages: list[dict[str, object]], agent: dict[str, str]
    ) -> list[Request]:
        headers = {**_basic(key), **agent}
        posted = {"Content-Type": kind, "AnonymousId": base64.b64encode(b"device").decode()}
        body = _batch([{**each, "sentAt": SENT_AT} for each in messages])
        if zipped:
            posted["Content-Encoding"], body = "gzip", gzip.compress(body)
        return [
            Request("GET", f"/sourceConfig?p={platform}&v=1.0.0", headers),
            Request("POST", "/v1/batch", {**headers, **posted}, body, chunked=chunked),
        ]

    return requests


def _amp(key: str, messages: list[dict[str, object]], agent: dict[str, str]) -> list[Request]:
    asked = []
    for each in messages:
        # AMP knows pages and tracks; who a visitor is, it learns from its own linker alone.
        fields = {
            "writeKey": key, "context.library.name": "amp", "context.page.title": "Home",
            "anonymousId": each["anonymousId"], "messageId": each["messageId"],
            "event": "Seen", **({"userId": each["userId"]} if "userId" in each else {}),
        }  # fmt: skip
        asked.append(Request("GET", f"/v1/pixel/track?{urlencode(fields)}", agent))
    return asked


SENDERS = {
    "analytics-java": Sender(
        "segmentio/analytics-java analytics/.../internal/http/SegmentService.java at f1704cb, and"
        " .../AnalyticsRequestInterceptor.java at 154f496",
        "analytics-java", "analytics-java/3.5.4", "analytics-java", _java,
    ),
    "analytics-ruby": Sender(
        "segmentio/analytics-ruby lib/segment/analytics/transport.rb at 2bba403",
        "analytics-ruby", "analytics-ruby/2.5.0", "analytics-ruby", _ruby,
    ),
    "analytics-go": Sender(
        "segmentio/analytics-go analytics.go at 00069c0",
        "", "analytics-go (version: 3.3.0)", "analytics-go", _go,
    ),
    "analytics-php": Sender(
        "segmentio/analytics-php lib/Consumer/LibCurl.php at 0ac2202",
        "analytics-php", "analytics-php/3.8.0", "analytics-php", _php,
    ),
    "analytics-rust": Sender(
        "segmentio/analytics-rust src/http.rs at 4b5bbb2", "", "", "python-urllib3", _rust
    ),
    "analytics-kotlin": Sender(
        "segmentio/analytics-kotlin core/.../kotlin/core/HTTPClient.kt at 03a356f",
        "analytics-kotlin", "analytics-kotlin/1.19.0", "analytics-kotlin", _kotlin,
    ),
    "analytics-swift": Sender(
        "segmentio/analytics-swift Sources/Segment/Utilities/Networking/HTTPClient.swift at"
        " 0d9ab71",
        "analytics-swift", "analytics-ios/1.6.2", "analytics-swift", _swift,
    ),
    "analytics-react-native": Sender(
        "segmentio/analytics-react-native packages/core/src/api.ts at 01d34e9,"
        " .../plugins/SegmentDestination.ts at 0aff0b9 and .../fetchSettings.test.ts at 03f13a1",
        "@segment/analytics-react-native", "okhttp/4.9.2", "@segment/analytics-react-native",
        _react_native,
    ),
    "analytics_flutter": Sender(
        "segmentio/analytics_flutter packages/core/lib/utils/http_client.dart at 082420f",
        "analytics_flutter", "analytics-flutter/1.1.5", "analytics_flutter", _swift,
    ),
    "Analytics-CSharp": Sender(
        "segmentio/Analytics-CSharp Analytics-CSharp/Segment/Analytics/Utilities/HTTPClient.cs at"
        " 001b443",
        "Analytics-CSharp", "", "Analytics-CSharp", _csharp,
    ),
    "rudder-sdk-kotlin": Sender(
        "rudderlabs/rudder-sdk-kotlin core/.../internals/network/HttpClientImpl.kt at 0137f9b",
        "com.rudderstack.android.kotlin.sdk", "Dalvik/2.1.0", "com.rudderstack.android.kotlin.sdk",
        _rudder("android", "application/json", zipped=True, chunked=True),
    ),
    "rudder-sdk-android": Sender(
        "rudderlabs/rudder-sdk-android core/.../RudderNetworkManager.java at 0f8533c, and"
        " .../FlushUtils.java and .../RudderServerConfigManager.java at 14f9c59",
        "com.rudderstack.android.sdk.core", "Dalvik/2.1.0", "com.rudderstack.android.sdk.core",
        _rudder("android", "application/json"),
    ),
    "rudder-sdk-ios": Sender(
        "rudderlabs/rudder-sdk-ios Sources/Classes/RSNetworkManager.m at 24b04c2",
        "rudder-ios-library", "", "rudder-ios-library",
        _rudder("ios", "Application/json"),
    ),
    "rudder-sdk-swift": Sender(
        "rudderlabs/rudder-sdk-swift Analytics/Analytics/Network/HttpClient.swift at 7611e78",
        "rudder-ios-library", "", "rudder-ios-library",
        _rudder("ios", "application/json", zipped=True),
    ),
    "amp": Sender(
        "ampproject/amphtml extensions/amp-analytics/0.1/vendors/segment.json at a064e81",
        "amp", "Mozilla/5.0 (Linux; Android 14)", "amp", _amp,
    ),
}  # fmt: skip
"""By name."""
