"""Where a server listens: takes settings, gives URLs that work from this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

    from headcount.config import Settings

__all__ = ["announced", "reachable", "tracking_url"]

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked for, not listened on


def announced(data: Path, which: Literal["tracking", "api"]) -> str | None:
    """Where the server on a data folder listens; None while there is none that we could know of."""
    from headcount.datafolder import DataFolder, FolderLock

    folder = DataFolder(data)
    try:
        if FolderLock.held(folder.serve_lock):
            return reachable(str(json.loads(folder.listening.read_bytes())[which]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # a folder of somebody else, or a server that is just starting
    return None


def reachable(url: str) -> str:
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
    scheme = "http" if settings.tls_cert is None else "https"
    return announced(settings.data, "tracking") or reachable(f"{scheme}://{settings.tracking}")
