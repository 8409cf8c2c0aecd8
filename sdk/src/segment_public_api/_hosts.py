"""Takes a host as the caller wrote it; gives the base URL; refuses what must not carry a token."""

from __future__ import annotations

import functools
import ipaddress
import warnings
from typing import Final
from urllib.parse import urljoin, urlsplit

from .exceptions import ApiValueError

SERVERS: Final = (
    {"url": "https://api.segmentapis.com", "description": "Segment Public API, United States"},
    {"url": "https://eu1.api.segmentapis.com", "description": "Segment Public API, Europe"},
)
REGIONS: Final = {"us": 0, "eu": 1}

_warned_hosts: set[str] = set()


class InsecureHostWarning(UserWarning):
    """The access token travels unencrypted to a host beyond this machine."""


def region_index(region: str) -> int:
    """Place of a region in the list of servers; raises `ApiValueError` for another name."""
    try:
        return REGIONS[region.lower()]
    except (KeyError, AttributeError):
        names = " or ".join(repr(name) for name in REGIONS)
        raise ApiValueError(
            f"region must be {names}, not {region!r}; give any other host by address, host=…"
        ) from None


def base_url(host: str, *, require_https: bool = False) -> str:
    """The base URL of `host`, without a slash at its end.

    Plain http to another machine is allowed with one warning per host and process.

    Raises:
        ApiValueError: an address without http:// or https://, with a query, or with a password
            in it; or plain http beyond loopback where `require_https` is set.
    """
    address = host.strip() if isinstance(host, str) else ""
    try:
        parts = urlsplit(address)
        name, _ = parts.hostname, parts.port
    except ValueError:
        parts, name = urlsplit(""), None
    if "@" in parts.netloc:
        raise ApiValueError("host must not hold a user or a password; use access_token=…")
    if parts.scheme not in ("http", "https") or not name or parts.query or parts.fragment:
        raise ApiValueError(
            f"host must be an address such as 'https://usage.example.com', not {host!r}"
        )
    if parts.scheme == "http" and not is_loopback(name):
        if require_https:
            raise ApiValueError(
                f"host {address!r} is plain http and require_https is set; use https://{name}"
            )
        _warn_once(name)
    return address.rstrip("/")


@functools.lru_cache(maxsize=256)
def is_loopback(name: str) -> bool:
    """Whether a host name or address means this machine."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def same_origin_target(url: str, location: str) -> str | None:
    """Where `location`, in an answer to `url`, leads; None beyond its scheme, host and port.

    Only there may the access token go.
    """
    try:
        target = urljoin(url, location)
        return target if _origin(target) == _origin(url) else None
    except ValueError:
        return None


def address_of(location: str) -> str:
    """Scheme and host of a URL, to show; the text itself where it is none."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return repr(location)
    return f"{parts.scheme}://{parts.netloc}"


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or ""), port


def _warn_once(name: str) -> None:
    if name not in _warned_hosts:
        _warned_hosts.add(name)
        warnings.warn(
            f"{name} is asked over plain http: the access token can be read on the way. "
            "Use https, or set require_https to forbid this.",
            InsecureHostWarning,
            stacklevel=2,
        )
