"""The page over an installation that a test has filled, with a clock that the test sets.

Takes an installation as the API's tests make them, gives the address of its page, served over a
socket. For what no test can wait for: large numbers, many sources, a given day of the month.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headcount.api import Links
from headcount.intake.description import tracking_document
from headcount.page import MemorySessions, create_page
from support.installation import Installation
from support.served_app import plainly_served

__all__ = ["TRACKING_URL", "page_of"]

TRACKING_URL = "https://tracking.example.com"


@contextmanager
def page_of(
    place: Installation, port: int = 0, *, tracking_url: str = TRACKING_URL
) -> Iterator[str]:
    """The address of an installation's page, until the block ends.

    Args:
        place: the installation.
        port: where it is served; any free one when 0.
        tracking_url: where tracking SDKs post, as the server was told.
    """
    app: Any = create_page(
        api=place.app,
        sessions=MemorySessions(place.clock),
        links=Links(place.catalog, place.clock),
        clock=place.clock,
        tracking_url=tracking_url,
        tracking_document=tracking_document(),
    )
    with plainly_served(app, port) as address:
        yield address
