"""What only browsers ask for: the settings with which analytics.js starts, and the pixel's data."""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse

from headcount.intake.reasons import Reason, Refused

__all__ = ["pixel_message", "settings_document"]

_HOST = re.compile(r"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?", re.ASCII)
_QUERY_FIELDS_MAX = 32


def settings_document(write_key: str, host: str, scheme: str) -> dict[str, object]:
    """The settings of a source, as analytics.js reads them on start.

    They name one destination, this server, so nothing else is loaded; and they send the library
    back to the host that it asked, so that a page has to name that host only once.

    Args:
        write_key: the source's.
        host: the Host header of the request; a strange one is left out.
        scheme: "http" or "https", as the browser sees it.
    """
    destination: dict[str, object] = {
        "apiKey": write_key,
        "unbundledIntegrations": [],
        "addBundledMetadata": True,
        "maybeBundledConfigIds": {},
        "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
    }
    if _HOST.fullmatch(host):
        destination |= {"apiHost": f"{host}/v1", "protocol": scheme}
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


def pixel_message(query: bytes) -> bytes:
    """The JSON of the message in a pixel's query string.

    Base64 may be of either alphabet, with or without padding, its plus signs escaped or not.

    Raises:
        Refused: there is no `data`, or it is no base64.
    """
    try:
        fields = urllib.parse.parse_qs(query.decode("ascii"), max_num_fields=_QUERY_FIELDS_MAX)
        data = fields["data"][-1].replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(data + "=" * (-len(data) % 4), validate=True)
    except (KeyError, ValueError, binascii.Error):
        raise Refused(Reason.INVALID_PIXEL_DATA) from None
