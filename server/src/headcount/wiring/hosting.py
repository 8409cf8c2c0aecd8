"""How clients reach the tracking address: takes settings, gives what intake tells them of it.

The library that Segment's snippet asks for is read once by each worker; a file that cannot be read
is refused when the server starts, and later said as a trouble: messages are taken all the same.
"""

from __future__ import annotations

from pathlib import Path

from headcount.config import Settings
from headcount.errors import SettingError
from headcount.http.front import Front
from headcount.intake import Hosting
from headcount.troubles import Troubles

__all__ = ["check_library", "hosting_of"]

_LIBRARY_BYTES_MAX = 4 << 20
_REMEDY = (
    "Give --analytics-js a file such as dist/umd/standalone.js of the npm package"
    " @segment/analytics-next, which this user may read."
)


def check_library(settings: Settings) -> None:
    """Refuse a library that cannot be served.

    Raises:
        SettingError: the file cannot be read, is empty or too large.
    """
    if settings.analytics_js is not None:
        _library_of(settings.analytics_js)


def hosting_of(settings: Settings, front: Front, troubles: Troubles) -> Hosting:
    """How clients reach this server under some settings."""
    library = None
    if settings.analytics_js is not None:
        try:
            library = _library_of(settings.analytics_js)
        except SettingError as error:
            troubles.begin("library", error.problem, error.remedy, hinders=False)
    return Hosting(front.proxies, settings.tracking_url, settings.path_prefix or "", library)


def _library_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            library = file.read(_LIBRARY_BYTES_MAX + 1)
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}.", _REMEDY) from error
    if not library:
        raise SettingError(f"{path} is empty.", _REMEDY)
    if len(library) > _LIBRARY_BYTES_MAX:
        raise SettingError(f"{path} is larger than {_LIBRARY_BYTES_MAX >> 20} MiB.", _REMEDY)
    return library
