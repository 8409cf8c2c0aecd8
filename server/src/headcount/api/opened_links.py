"""Which links open a view, and when each was last used: takes secrets, gives what they open.

Secrets that open nothing are refused in one way, whether they were never given, revoked or expired.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from headcount.catalog import Catalog, Link
from headcount.errors import HeadcountError

__all__ = ["VIEWS", "LinkOver", "Links", "OpenedLink", "link_secret"]

VIEWS = "/page/view/"
"""Where views stand that need no token, each followed by a link's secret."""

_NOTED_EVERY_MS = 600_000


class LinkOver(Exception):
    """The address holds no link, or one that was revoked or has expired."""


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """A link that shows something.

    Attributes:
        link: the link.
        secret: as it stands in the address.
        workspace_name: whose usage it shows.
        source_id: the id of the source whose page it shows; None where it shows another view.
    """

    link: Link
    secret: str
    workspace_name: str
    source_id: str | None


class Links:
    """The links that open views.

    Args:
        catalog: where they are kept.
        clock: the time, in milliseconds since 1970.
    """

    def __init__(self, catalog: Catalog, clock: Callable[[], int]) -> None:
        self._catalog = catalog
        self._clock = clock
        self._noted: dict[str, int] = {}

    def open(self, secret: str) -> OpenedLink:
        """What a secret opens; writes down once in a while that the link is used.

        Args:
            secret: as it stands in an address.

        Raises:
            LinkOver: it opens nothing.
        """
        link = self._catalog.link_by_secret(secret)
        if link is None or not link.valid_at(self._clock()):
            raise LinkOver
        workspace = self._catalog.workspace_by_number(link.workspace)
        sources = {each.number: each.id for each in self._catalog.sources(link.workspace)}
        source_id = None if link.source is None else sources.get(link.source)
        if workspace is None or (link.view == "source" and source_id is None):
            raise LinkOver
        self._note_use(link)
        return OpenedLink(link, secret, workspace.name, source_id)

    def _note_use(self, link: Link) -> None:
        now_ms = self._clock()
        last = self._noted.get(link.id, link.used_at_ms)
        if last is not None and abs(now_ms - last) < _NOTED_EVERY_MS:
            return
        self._noted[link.id] = now_ms
        # A disk that refuses keeps nobody from looking.
        with contextlib.suppress(HeadcountError):
            self._catalog.note_link_use(link.id, now_ms)


def link_secret(path: str) -> str | None:
    """The secret of a link in a path; None where the path is no view's."""
    return path.removeprefix(VIEWS).partition("/")[0] if path.startswith(VIEWS) else None
