"""The files that pages load: style, script, icon, and the library that draws charts.

Takes a name, gives bytes that a browser may keep until they change, as their address holds a digest
of them. The library comes out of an installed package, in a process that ends, when first asked.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import logging
import time
from dataclasses import dataclass
from importlib.resources import files

from headcount.charts.javascript import can_draw, javascript_bundle

__all__ = ["LIBRARY", "Asset", "Assets"]

_log = logging.getLogger(__name__)
# Whoever asks meanwhile is answered at once, and not one after the other.
_REST_S = 600.0

LIBRARY = "vega.js"
_TYPES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file.

    Attributes:
        content: its bytes, compressed with gzip.
        media_type: what it is.
        digest: changes with it.
    """

    content: bytes
    media_type: str
    digest: str


def _asset(content: bytes, media_type: str) -> Asset:
    digest = hashlib.blake2b(content, digest_size=8).hexdigest()
    return Asset(gzip.compress(content, 9, mtime=0), media_type, digest)


class Assets:
    """The files of this package and the library.

    Attributes:
        can_draw: whether charts can be drawn, that is, the library is installed.
    """

    def __init__(self) -> None:
        folder = files("headcount.page") / "static"
        self._files = {
            name: _asset((folder / name).read_bytes(), media_type)
            for name, media_type in _TYPES.items()
        }
        self._making = asyncio.Lock()
        self._rests_until_s = 0.0
        self.can_draw = can_draw()

    def address(self, name: str) -> str:
        """Where a browser finds a file."""
        if name == LIBRARY:
            return f"/page/assets/{name}"
        return f"/page/assets/{name}?v={self._files[name].digest}"

    async def find(self, name: str) -> Asset | None:
        """A file; None when there is none of that name, or the library cannot be had."""
        if name != LIBRARY or not self.can_draw:
            return self._files.get(name)
        async with self._making:
            if LIBRARY not in self._files:
                if time.monotonic() < self._rests_until_s:
                    return None
                try:
                    script = await javascript_bundle()
                except TimeoutError:
                    if not self._rests_until_s:
                        _log.error("charts cannot be drawn for now: their library takes too long")
                    self._rests_until_s = time.monotonic() + _REST_S
                    return None
                except RuntimeError as error:
                    _log.error("charts cannot be drawn: %s", error)
                    self.can_draw = False
                    return None
                self._files[LIBRARY] = await asyncio.to_thread(_asset, script, "text/javascript")
        return self._files[LIBRARY]
