"""Where a server listens: takes settings, gives URLs that work from this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

    from headcount.config import Settings

__all__ = ["announced", "api_url", "tracking_url"]

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked for, not listened on


def announced(data: Path, which: Literal["tracking", "api"]) -> str | None:
    """Where the server on a data folder listens; None while there is none that we could know of."""
    from headcount.datafolder import DataFolder, FolderLock

    folder = DataFolder(data)
    try:
        if FolderLock.held(folder.serve_lock):
            return _reachable(str(json.loads(folder.listening.read_bytes())[which]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # a folder of somebody else, or a server that is just starting
    return None


def _reachable(url: str) -> str:
    """A URL without the addresses that stand for all of a machine's."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    if name not in _EVERYWHERE:
        return url
    loopback = _EVERYWHERE[name]
    return f"{parts.scheme}://{f'[{loopback}]' if ':' in loopback else loopback}:{parts.port}"


def tracking_url(settings: Settings) -> str:
    """Where senders post: what the settings tell them, the running server, else the settings."""
    if settings.tracking_url:
        return settings.tracking_url.rstrip("/")
    return _listening(settings, "tracking")


def api_url(settings: Settings) -> str:
    """Where usage and its page are read: from the running server, else where one would listen."""
    return _listening(settings, "api")


def _listening(settings: Settings, which: Literal["tracking", "api"]) -> str:
    scheme = "http" if settings.tls_cert is None else "https"
    address = settings.tracking if which == "tracking" else settings.api
    return announced(settings.data, which) or _reachable(f"{scheme}://{address}")
