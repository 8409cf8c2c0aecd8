"""Which addresses may be forwarded to: takes what somebody typed, gives the beginning of a URL.

The operator may name any: a proxy of their own, a test on this machine. Whoever only holds a token
may not reach into the operator's network through this server, so what they name has to be public
and speak TLS, when it is named and at every connection.
"""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Mapping

from headcount.errors import UsageError
from headcount.name_lookup import LOOKUP_WITHIN_S, Address, addresses_of
from headcount.setting_values import a_url

__all__ = ["TARGETS", "checked_vendor_key", "is_public", "public_addresses", "target_url"]

TARGETS: Mapping[str, str] = {
    "segment": "https://api.segment.io",
    # What its libraries post to that are told no other; a workspace has a data plane of its own.
    "rudderstack": "https://api.rudderstack.com",
}
"""What may be typed in place of an address, and what it stands for."""

_URL_CHARACTERS_MAX = 500
_KEY_CHARACTERS_MAX = 500
# An IPv6 address that stands for an IPv4 one, as some networks translate them.
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
# All other addresses of IPv6 are for networks of their own, or for none yet.
_GLOBAL = ipaddress.ip_network("2000::/3")


def target_url(text: str, *, by_token: bool) -> str:
    """The beginning of a vendor's addresses, as it is kept.

    Args:
        text: one of `TARGETS`, or an address such as https://dataplane.example.com.
        by_token: whether somebody with a token named it, rather than the operator.

    Raises:
        UsageError: it is no address, or one that they may not name.
    """
    given = TARGETS.get(text.strip().lower(), text)
    try:
        url = a_url(given)
    except ValueError as error:
        raise UsageError(
            f"Messages cannot be forwarded to {text!r:.80}.",
            f"Name segment, rudderstack or {error}.",
        ) from None
    split = urllib.parse.urlsplit(url)
    if len(url) > _URL_CHARACTERS_MAX or split.username is not None:
        raise UsageError(
            "The address to forward to is too long, or holds a user name.",
            "Name a plain address such as https://dataplane.example.com.",
        )
    try:
        _ = split.port
    except ValueError:
        raise UsageError(
            "The port of the address to forward to is no port.", "Name one from 1 to 65535."
        ) from None
    if by_token:
        _require_public(split)
    return url


def _require_public(split: urllib.parse.SplitResult) -> None:
    if split.scheme != "https":
        raise UsageError(
            "With a token, messages can be forwarded to https:// only.",
            "Name an address that begins with https://, or let the operator name this one:"
            " headcount source forward",
        )
    host = split.hostname or ""
    try:
        public_addresses(host, split.port or 443)
    except OSError as error:
        raise UsageError(
            f"Messages cannot be forwarded to {host}: {error.strerror or error}.",
            "Name a public address, or let the operator name this one: headcount source forward",
        ) from None


def public_addresses(host: str, port: int, within_s: float = LOOKUP_WITHIN_S) -> list[Address]:
    """The addresses of a host, as `socket.getaddrinfo` gives them, if all of them are public.

    Args:
        host, port: where it is.
        within_s: for how long this may take, in seconds.

    Raises:
        OSError: it has none, or one that is not, or nobody said in time.
    """
    try:
        found = addresses_of(host, port, within_s)
    except UnicodeError:
        raise OSError(None, "it is no name of a machine") from None
    if not all(is_public(str(each[4][0])) for each in found):
        raise OSError(None, "it is an address of a private network")
    return found


def checked_vendor_key(text: str) -> str:
    """A vendor's write key as it is kept.

    Raises:
        UsageError: it can be none.
    """
    key = text.strip()
    if not key or len(key) > _KEY_CHARACTERS_MAX or not key.isascii() or not key.isprintable():
        raise UsageError(
            "The vendor's write key is empty, too long, or holds other than plain characters.",
            "Copy it from the vendor's page of the source.",
        )
    return key


def is_public(address: str) -> bool:
    """Whether an address is one that anybody on the internet may be reached at."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            found = inner
        elif found not in _GLOBAL:
            return False
    return found.is_global and not found.is_multicast
