"""What clients ask for by GET: settings, a source's configuration, the library itself.

Takes the route and the head of a request, gives answers that say where this server is reached. The
operator's word (`--tracking-url`) goes before that of trusted proxies, and theirs before the
request's own.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Container, Iterable
from dataclasses import dataclass

from headcount.intake.answers import Answer, json_answer
from headcount.intake.asgi import Scope
from headcount.intake.browser import settings_document, source_config_document
from headcount.intake.headers import HeaderMap, key_in_head
from headcount.intake.reasons import Reason, Refused
from headcount.intake.routes import Action, Route
from headcount.intake.tracking import Tracker

__all__ = ["Documents", "Hosting"]

_NOT_KEPT = ((b"cache-control", b"no-store"),)
_LIBRARY_HEADERS = (
    (b"content-type", b"text/javascript; charset=utf-8"),
    (b"cache-control", b"public, max-age=300"),
)


@dataclass(frozen=True, slots=True)
class Hosting:
    """How clients reach this server.

    Attributes:
        proxies: the addresses whose word is taken for how a client came to them.
        tracking_url: where clients reach it, whatever headers say; None where that is not known.
        path_prefix: what may stand before every path.
        library: analytics.min.js; None where the operator gave none.
    """

    proxies: Container[object] = ()
    tracking_url: str | None = None
    path_prefix: str = ""
    library: bytes | None = None


class Documents:
    """Answers what clients ask for before they send.

    Args:
        tracker: knows the write keys.
        hosting: how clients reach this server.
    """

    def __init__(self, tracker: Tracker, hosting: Hosting) -> None:
        self._tracker = tracker
        self._hosting = hosting

    def answer(self, route: Route, headers: HeaderMap, scope: Scope) -> Answer:
        """The document of a route: of SETTINGS, SOURCE_CONFIG or LIBRARY.

        Raises:
            Refused: the write key is missing or unknown, or there is no such document.
        """
        if route.action is Action.LIBRARY:
            return self._library(route.argument)
        if route.action is Action.SOURCE_CONFIG:
            write_key = key_in_head(headers, scope["query_string"])
            source = self._tracker.source_of(write_key)
            source_id = source.id or str(source.source)
            return json_answer(200, source_config_document(write_key, source_id), _NOT_KEPT)
        self._tracker.source_of(route.argument)
        place = self._place(route.prefix, headers, scope)
        # The answer depends on the headers, so a shared cache must not keep it.
        return json_answer(200, settings_document(route.argument, *place), _NOT_KEPT)

    def _library(self, write_key: str) -> Answer:
        if self._hosting.library is None:
            raise Refused(Reason.NO_LIBRARY)
        self._tracker.source_of(write_key)
        return Answer(200, _LIBRARY_HEADERS, self._hosting.library)

    def _place(self, prefix: str, headers: HeaderMap, scope: Scope) -> tuple[str, str, str]:
        """Host, scheme and prefix under which the client reached this server."""
        if self._hosting.tracking_url is not None:
            url = urllib.parse.urlsplit(self._hosting.tracking_url)
            return url.netloc, url.scheme, url.path.rstrip("/")
        host = headers.get(b"host", b"").decode("latin-1")
        scheme: str = scope["scheme"]
        if (scope.get("client") or (None,))[0] in self._hosting.proxies:
            lines = scope["headers"]
            # Behind a proxy that ends TLS only this header knows how the client came. One that says
            # something else than http came by TLS: http is what pages on https must not be told.
            if told := _first_of(lines, b"x-forwarded-proto"):
                scheme = "http" if told.lower() == "http" else "https"
            host = _first_of(lines, b"x-forwarded-host") or host
            told = _first_of(lines, b"x-forwarded-prefix").strip("/")
            prefix = f"/{told}{prefix}" if told else prefix
        return host, scheme, prefix


def _first_of(lines: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """The first value of a header, of which proxies in a row write a list or a line each."""
    for each, value in lines:
        if each == name:
            for text in value.decode("latin-1").split(","):
                if first := text.strip(' \t"'):
                    return first
    return ""
