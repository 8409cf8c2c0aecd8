"""What browsers and apps ask for before they send: settings, and a pixel's message.

Takes a write key and where the client reached this server; gives documents that lead it back here.
"""

from __future__ import annotations

import base64
import binascii
import re

import msgspec

from headcount.intake.headers import query_fields
from headcount.intake.reasons import Reason, Refused

__all__ = ["pixel_message", "settings_document", "source_config_document"]

_HOST = re.compile(r"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?", re.ASCII)
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*", re.ASCII)
# Parameters of a plain pixel that decide about its message; what else there is, nobody counts.
_PLAIN_FIELDS = (
    "writeKey", "messageId", "userId", "anonymousId", "previousId", "groupId", "event",
)  # fmt: skip
_LIBRARY_NAME = "context.library.name"
_QUOTED = re.compile('"(.*)"', re.DOTALL)

# How the libraries are to send again, all of it said, since each takes something else where it is
# not. What is refused with a status below 500 is refused for good, but for those that mean "later".
_HTTP_CONFIG: dict[str, object] = {
    "rateLimitConfig": {
        "enabled": True,
        "maxRetryCount": 100,
        "maxRetryInterval": 300,
        "maxRateLimitDuration": 43_200,
    },
    "backoffConfig": {
        "enabled": True,
        "maxRetryCount": 100,
        "baseBackoffInterval": 0.5,
        "maxBackoffInterval": 300,
        "maxTotalBackoffDuration": 43_200,
        "jitterPercent": 10,
        "default4xxBehavior": "drop",
        "default5xxBehavior": "retry",
        "unknownCodeBehavior": "drop",
        "statusCodeOverrides": {
            "408": "retry",
            "410": "retry",
            "429": "retry",
            "460": "retry",
            "501": "drop",
            "505": "drop",
        },
    },
}


def settings_document(
    write_key: str, host: str, scheme: str, prefix: str = ""
) -> dict[str, object]:
    """The settings of a source, as analytics.js and the mobile libraries read them on start.

    They name one destination, this server, so nothing else is loaded; and they send the library
    back to where it asked, so that a page or an app has to name that only once.

    Args:
        write_key: the source's.
        host: where the client reached this server; a strange one is left out.
        scheme: "http" or "https", as the client sees it.
        prefix: the path before /v1, as the client sees it.
    """
    destination: dict[str, object] = {
        "apiKey": write_key,
        "unbundledIntegrations": [],
        "addBundledMetadata": True,
        "maybeBundledConfigIds": {},
        "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
        "httpConfig": _HTTP_CONFIG,
    }
    if _HOST.fullmatch(host) and _PREFIX.fullmatch(prefix):
        destination |= {"apiHost": f"{host}{prefix}/v1", "protocol": scheme}
    allowed = {"__default": {"enabled": True, "integrations": {}}}
    return {
        "integrations": {"Segment.io": destination},
        "plan": {"track": allowed, "identify": allowed, "group": allowed},
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {"routingRules": []},
        "enabledMiddleware": {},
        # Without a sample there are no reports about the library itself.
        "metrics": {"sampleRate": 0},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }


def source_config_document(write_key: str, source_id: str) -> dict[str, object]:
    """The configuration of a source, without which RudderStack's libraries do not start.

    No destination but this server, and no reports about the library itself. Some of the fields
    nobody needs, but libraries that read the whole as typed objects refuse it without them.
    """
    reports = {"enabled": False}
    return {
        "source": {
            "id": source_id,
            "name": source_id,
            "writeKey": write_key,
            "enabled": True,
            "workspaceId": "headcount",
            "updatedAt": "2026-01-01T00:00:00.000Z",
            "config": {"statsCollection": {"errors": reports, "metrics": reports}},
            "destinations": [],
            "connections": [],
        }
    }


def pixel_message(query: bytes) -> bytes:
    """The JSON of the message in a pixel's query string.

    It is either whole, as `data` in base64 of either alphabet, with or without padding, its plus
    signs escaped or not; or its fields are parameters, and `context.library.name` another.

    Raises:
        Refused: there is neither, or what there is cannot be read.
    """
    try:
        fields = query_fields(query)
        if "data" not in fields:
            return _plain_message(fields)
        data = fields["data"].replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(data + "=" * (-len(data) % 4), validate=True)
    except (KeyError, ValueError, binascii.Error):
        raise Refused(Reason.INVALID_PIXEL_DATA) from None


def _plain_message(fields: dict[str, str]) -> bytes:
    message: dict[str, object] = {name: fields[name] for name in _PLAIN_FIELDS if name in fields}
    if not message.keys() - {"writeKey"}:
        raise KeyError
    # What templates write for a JSON string has quotes around it.
    quoted = _QUOTED.fullmatch(fields.get("anonymousId", ""))
    if quoted:
        message["anonymousId"] = quoted[1]
    if _LIBRARY_NAME in fields:
        message["context"] = {"library": {"name": fields[_LIBRARY_NAME]}}
    return msgspec.json.encode(message)
