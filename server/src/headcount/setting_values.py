"""What the values of settings are: takes texts, gives addresses, paths, numbers and the like.

Refuses a text that is none, with what would be right; `headcount.config` says where it came from.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "Address",
    "Network",
    "a_dsn",
    "a_node",
    "a_path",
    "a_path_prefix",
    "a_text",
    "a_url",
    "an_address",
    "networks",
    "one_of",
    "size_from",
    "switch",
    "whole_number",
]

_DIGITS_MAX = 18
_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)(?:i?B)?", re.ASCII | re.IGNORECASE)
_SIZE_BITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_SWITCHES = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(
    ("false", "0", "no", "off"), False
)
_URL = re.compile(r"[A-Za-z0-9:/._~\[\]-]+", re.ASCII)
_DSN_SCHEMES = ("postgresql://", "postgres://", "nats://", "tls://")
_NODE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,39})", re.ASCII)
_PATH_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+", re.ASCII)


class Address(NamedTuple):
    """Where a server listens; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def a_path(text: str) -> Path:
    """The path of a file or folder. Raises `ValueError`."""
    if not text or "\0" in text:
        raise ValueError("the path of a file or folder")
    return Path(text).expanduser()


def a_dsn(text: str) -> str:
    """The address of a cluster's engine, or of the file that holds it. Raises `ValueError`.

    Errors do not quote it: it may hold a password.
    """
    given = text.strip()
    if given.startswith("@"):
        a_path(given[1:])
        return given
    if not given.startswith(_DSN_SCHEMES):
        raise ValueError(
            "an address such as postgresql://user:password@host/database or nats://host:4222, or"
            " @FILE with the file that holds it"
        )
    return given


def a_node(text: str) -> str:
    """The name of a node. Raises `ValueError`."""
    given = text.strip()
    if not _NODE.fullmatch(given):
        raise ValueError("a name of at most 40 small letters, digits and hyphens, such as eu-1")
    return given


def one_of(*choices: str) -> Callable[[str], str]:
    """What takes one of some words, and raises `ValueError` for any other."""

    def parse(text: str) -> str:
        given = text.strip().lower()
        if given not in choices:
            raise ValueError(" or ".join(choices))
        return given

    return parse


def a_text(text: str) -> str:
    """Any text."""
    return text


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """What reads whole numbers from `least` to `most`, and raises `ValueError` for others."""

    def parse(text: str) -> int:
        digits = text.strip()
        # The length first: Python refuses to convert a text of thousands of digits.
        if (
            len(digits) > _DIGITS_MAX
            or not (digits.isascii() and digits.isdigit())
            or not least <= int(digits) <= most
        ):
            raise ValueError(f"a whole number from {least:,} to {most:,}")
        return int(digits)

    return parse


_port_number = whole_number(0, 65_535)


def size_from(least: int) -> Callable[[str], int]:
    """What reads sizes in bytes, such as 512M, and raises `ValueError` below `least`."""

    def parse(text: str) -> int:
        found = _SIZE.fullmatch(text.strip())
        if found is None or int(found[1]) << _SIZE_BITS[found[2].upper()] < least:
            raise ValueError(f"a size of at least {least >> 20}M, such as 512M or 2G")
        return int(found[1]) << _SIZE_BITS[found[2].upper()]

    return parse


def an_address(text: str) -> Address:
    """A host and a port. Raises `ValueError`."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an address such as 127.0.0.1:8080 or [::1]:8080")
    if not host or not colon:
        raise ValueError("an address such as 127.0.0.1:8080 or [::1]:8080")
    try:
        return Address(host, _port_number(port))
    except ValueError:
        raise ValueError("an address with a port from 0 to 65535") from None


def a_url(text: str) -> str:
    """The beginning of a URL, without a slash at its end. Raises `ValueError`."""
    url = text.strip().rstrip("/")
    split = urllib.parse.urlsplit(url)
    if (
        split.scheme not in ("http", "https")
        or not split.hostname
        or not _URL.fullmatch(url)
        or split.query
        or split.fragment
    ):
        raise ValueError("an address such as https://tracking.example.com")
    return url


def a_path_prefix(text: str) -> str:
    """The beginning of a path, with a slash before it and none after. Raises `ValueError`."""
    prefix = "/" + text.strip().strip("/")
    if not _PATH_PREFIX.fullmatch(prefix):
        raise ValueError("the beginning of a path, such as /analytics")
    return prefix


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks with commas between them. Raises `ValueError`."""
    try:
        return tuple(ipaddress.ip_network(each.strip()) for each in text.split(","))
    except ValueError as error:
        raise ValueError(
            f"addresses or networks with commas between them, such as 10.0.0.5,192.168.1.0/24;"
            f" {error}"
        ) from None


def switch(text: str) -> bool:
    """True or false. Raises `ValueError`."""
    given = text.strip().lower()
    if given not in _SWITCHES:
        raise ValueError("true or false")
    return _SWITCHES[given]
