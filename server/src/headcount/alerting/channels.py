"""Channels: takes what somebody typed of one, gives what is kept of it, sealed, and what is shown.

Where a channel leads to is a secret as often as not (whoever knows the address of a chat's webhook
can write to it), so all of it is sealed with AES-256-GCM, under a key that lies beside the hash
key and not in the catalog, and tied to the channel's id.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import urllib.parse
from collections.abc import Sequence

import msgspec

from headcount.catalog import Channel
from headcount.errors import DataFolderError, UsageError
from headcount.forwarding_targets import public_addresses
from headcount.setting_values import a_url

__all__ = [
    "AppriseConfig",
    "ChannelConfig",
    "EmailConfig",
    "WebhookConfig",
    "email_config",
    "fresh_secret",
    "opened",
    "rotated",
    "sealed",
    "service_config",
    "shown",
    "webhook_config",
]

_NONCE_BYTES = 12
_SECRET_BYTES = 32
_URL_CHARACTERS_MAX = 1_000
_SMTP = {"smtp": ("starttls", 587), "smtps": ("tls", 465), "smtp+plain": ("none", 25)}


class WebhookConfig(msgspec.Struct, frozen=True, tag="webhook"):
    """A webhook.

    Attributes:
        url: where it is posted.
        secret: with which it is signed, as `whsec_` and base64.
        former_secret: the one before, with which it is signed as well; empty for none.
        former_until_ms: until when, milliseconds since 1970.
        allow_private: whether the address may be one of a private network, and in the clear.
    """

    url: str
    secret: str
    former_secret: str = ""
    former_until_ms: int = 0
    allow_private: bool = False

    def secrets_at(self, now_ms: int) -> list[str]:
        """Those that a post is signed with."""
        both = self.former_secret and now_ms < self.former_until_ms
        return [self.secret, self.former_secret] if both else [self.secret]


class EmailConfig(msgspec.Struct, frozen=True, tag="email"):
    """E-mail through a server of the operator's.

    Attributes:
        host, port: of the server.
        security: `"starttls"`, `"tls"`, or `"none"`.
        user, password: empty where the server asks for none.
        sender: whose it is.
        to: who gets it.
    """

    host: str
    port: int
    security: str
    user: str
    password: str
    sender: str
    to: tuple[str, ...]


class AppriseConfig(msgspec.Struct, frozen=True, tag="apprise"):
    """A service that Apprise knows.

    Attributes:
        url: as Apprise writes it, such as `slack://...`.
    """

    url: str


ChannelConfig = WebhookConfig | EmailConfig | AppriseConfig


def fresh_secret() -> str:
    """A secret for signatures, as the specification of Standard Webhooks writes it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def webhook_config(url: str, *, by_token: bool, allow_private: bool = False) -> WebhookConfig:
    """A webhook with a fresh secret.

    Args:
        url: where it is to be posted.
        by_token: whether somebody with a token named it, rather than the operator.
        allow_private: whether it may be in a private network.

    Raises:
        UsageError: it is no address, or one that they may not name.
    """
    try:
        given = a_url(url.strip())
        split = urllib.parse.urlsplit(given)
        port = split.port or 443
    except ValueError:
        raise UsageError(
            "That is no address of a webhook.", "Name one such as https://example.com/hooks/usage."
        ) from None
    if len(given) > _URL_CHARACTERS_MAX or split.username is not None:
        raise UsageError(
            "The webhook's address is too long, or holds a user name.",
            "What it is signed with says who posts; give a plain address.",
        )
    if not allow_private:
        if split.scheme != "https":
            raise UsageError(
                "A webhook is posted by https:// only.",
                "Give such an address"
                + (", or let the operator add it." if by_token else ", or say --allow-private."),
            )
        try:
            public_addresses(split.hostname or "", port)
        except OSError as error:
            raise UsageError(
                f"The webhook's host {split.hostname} cannot be used: {error.strerror or error}.",
                "Name a public address"
                + (", or let the operator add it." if by_token else ", or say --allow-private."),
            ) from None
    return WebhookConfig(given, fresh_secret(), allow_private=allow_private and not by_token)


def email_config(to: Sequence[str], server: str, sender: str | None) -> EmailConfig:
    """E-mail to some addresses.

    Args:
        to: who gets it.
        server: such as `smtp://user:password@mail.example.com:587` (STARTTLS), `smtps://` (TLS from
            the start) or `smtp+plain://` (in the clear, for a server on this machine).
        sender: whose it is; the user, or the first receiver, when None.

    Raises:
        UsageError: one of them is none.
    """
    try:
        split = urllib.parse.urlsplit(server.strip())
        security, usual_port = _SMTP[split.scheme]
        port = split.port or usual_port
        host = split.hostname or ""
        if not host:
            raise ValueError
    except (KeyError, ValueError):
        raise UsageError(
            "That is no address of a mail server.",
            "Give one such as smtp://user:password@mail.example.com:587, smtps://… for TLS from"
            " the start, or smtp+plain://localhost for one on this machine.",
        ) from None
    user = urllib.parse.unquote(split.username or "")
    receivers = tuple(dict.fromkeys(each.strip() for each in to if each.strip()))
    said = sender or (user if "@" in user else receivers[0] if receivers else "")
    for each in (*receivers, said):
        if not _is_mail_address(each):
            raise UsageError(
                f'"{each[:80]}" is no e-mail address.', "Give one such as ops@example.com."
            )
    if not receivers:
        raise UsageError("Nobody is to get the e-mail.", "Give --email ADDRESS.")
    password = urllib.parse.unquote(split.password or "")
    return EmailConfig(host, port, security, user, password, said, receivers)


def _is_mail_address(text: str) -> bool:
    name, at, domain = text.rpartition("@")
    plain = text.isprintable() and not set(text) & set(' ,;<>()[]\\"')
    return bool(at and name and domain) and plain and len(text) <= 254


def service_config(url: str) -> AppriseConfig:
    """A service that Apprise knows.

    Raises:
        UsageError: it is no address, or Apprise does not know it where it is installed.
    """
    given = url.strip()
    if "://" not in given or len(given) > _URL_CHARACTERS_MAX or not given.isprintable():
        raise UsageError(
            "That is no address of a service.",
            "Give one as Apprise writes it, such as slack://TokenA/TokenB/TokenC/#channel.",
        )
    return AppriseConfig(given)


def shown(config: ChannelConfig) -> str:
    """Where a channel leads to, without anything that is a secret."""
    match config:
        case WebhookConfig():
            split = urllib.parse.urlsplit(config.url)
            return f"{split.scheme}://{split.netloc}/…"
        case EmailConfig():
            return ", ".join(config.to)
        case AppriseConfig():
            return f"{config.url.partition('://')[0]}://…"


def sealed(key: bytes, channel_id: str, config: ChannelConfig) -> bytes:
    """A channel's particulars as they are kept.

    Args:
        key: the one beside the hash key.
        channel_id: what they are tied to.
        config: the particulars.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(_NONCE_BYTES)
    text = msgspec.json.encode(config)
    return nonce + AESGCM(_of_channels(key)).encrypt(nonce, text, channel_id.encode())


def opened(key: bytes, channel: Channel) -> ChannelConfig:
    """A channel's particulars.

    Raises:
        DataFolderError: they were sealed under another key, or are damaged.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce, rest = channel.sealed[:_NONCE_BYTES], channel.sealed[_NONCE_BYTES:]
    try:
        text = AESGCM(_of_channels(key)).decrypt(nonce, rest, channel.id.encode())
        config: ChannelConfig = msgspec.json.decode(text, type=ChannelConfig)
    except (InvalidTag, ValueError, msgspec.DecodeError):
        raise DataFolderError(
            f'Where the channel "{channel.name}" leads to was sealed under another key.',
            "Put that key back (spool.key, beside the hash key), or remove the channel and add it"
            " anew.",
        ) from None
    return config


def rotated(key: bytes, channel: Channel, former_until_ms: int) -> WebhookConfig:
    """A webhook's particulars with a new secret, and for a while the former one beside it.

    Raises:
        UsageError: it is no webhook.
        DataFolderError: they were sealed under another key.
    """
    config = opened(key, channel)
    if not isinstance(config, WebhookConfig):
        raise UsageError("Only a webhook has a secret.", "Add other channels anew.")
    return msgspec.structs.replace(
        config,
        secret=fresh_secret(),
        former_secret=config.secret,
        former_until_ms=former_until_ms,
    )


def _of_channels(key: bytes) -> bytes:
    return hashlib.blake2b(key=key, digest_size=32, person=b"hc channels").digest()
