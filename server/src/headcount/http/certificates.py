"""The certificate of the server: takes two files, gives a TLS context that follows their changes.

A renewed pair is taken up for the connections that begin from then on. Refuses a pair that does
not belong together or cannot be read: at the start with a sentence, later by keeping the former one
and saying so. Says also when the certificate is about to expire.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from headcount.errors import SettingError
from headcount.troubles import Troubles

__all__ = ["Certificates", "context_of", "validity_of"]

_TROUBLE = "tls"
_NEAR_S = 14 * 86_400
# Of certificates that live for days only, their last quarter is what is near the end.
_NEAR_SHARE = 0.25


def context_of(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for the server's side of TLS, of version 1.2 at least.

    Raises:
        SettingError: a file cannot be read, holds something else, or they do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        for path in (certificate, key):
            path.open("rb").close()  # what load_cert_chain says of a missing one names no file
        context.load_cert_chain(certificate, key, password=_no_password)
        validity_of(certificate)
    except (OSError, ValueError) as error:
        raise SettingError(
            f"The certificate {certificate} and the key {key} cannot be used: {_words_of(error)}.",
            "Give --tls-cert the chain and --tls-key its private key, both as PEM.",
        ) from error
    return context


def _no_password() -> str:
    # Without this, OpenSSL would ask at the terminal, and a server has none.
    raise ValueError("the key is protected by a password")


def _words_of(error: OSError | ValueError) -> str:
    if not isinstance(error, ssl.SSLError):
        return (
            str(error) if isinstance(error, ValueError) else f"{error.filename}: {error.strerror}"
        )
    if error.reason == "KEY_VALUES_MISMATCH":
        return "they do not belong together"
    if error.reason in (None, "NO_START_LINE"):
        return "one of them holds no PEM"
    return error.reason.replace("_", " ").lower()


class Certificates:
    """The pair of files that a server was given, as it stands.

    Args:
        certificate, key: the files.
        troubles: is told of a pair that cannot be used, and of the end that comes near.
        clock_ms: the time, in milliseconds since 1970.

    Raises:
        SettingError: the pair cannot be used.
    """

    def __init__(
        self, certificate: Path, key: Path, troubles: Troubles | None, clock_ms: Callable[[], int]
    ) -> None:
        self._files = (certificate, key)
        self._troubles = troubles
        self._clock_ms = clock_ms
        self._seen = self._as_they_are()
        self._validity = (0, 0)
        self.context = self._loaded()

    def look(self) -> None:
        """Take up what has changed; to be called about once a second."""
        found = self._as_they_are()
        if found != self._seen:
            # Of two files one is renewed before the other: what does not fit is tried again.
            self._seen = found
            try:
                self.context = self._loaded()
            except SettingError as error:
                self._begin(f"{error.problem} The former pair stays in use.", error.remedy)
                return
            self._end()
        self._look_at_the_end()

    def _loaded(self) -> ssl.SSLContext:
        context = context_of(*self._files)
        self._validity = validity_of(self._files[0])
        return context

    def _look_at_the_end(self) -> None:
        begins_s, ends_s = self._validity
        left_s = ends_s - self._clock_ms() / 1000
        if left_s < min(_NEAR_S, (ends_s - begins_s) * _NEAR_SHARE):
            ends = datetime.fromtimestamp(ends_s, UTC).strftime("%Y-%m-%d %H:%M")
            word = "has expired, at" if left_s < 0 else "expires soon, at"
            self._begin(
                f"The certificate {self._files[0]} {word} {ends} UTC.",
                "Renew it: the files are taken up as soon as they change.",
            )

    def _as_they_are(self) -> tuple[object, ...]:
        return tuple(_identity_of(path) for path in self._files)

    def _begin(self, message: str, remedy: str) -> None:
        if self._troubles is not None and not any(
            each.kind == _TROUBLE and each.message == message for each in self._troubles.now()
        ):
            self._troubles.end(_TROUBLE)
            self._troubles.begin(_TROUBLE, message, remedy, hinders=False)

    def _end(self) -> None:
        if self._troubles is not None:
            self._troubles.end(_TROUBLE)


def _identity_of(path: Path) -> object:
    try:
        state = path.stat()
    except OSError as error:
        return error.errno
    return state.st_ino, state.st_dev, state.st_mtime_ns, state.st_size


def validity_of(certificate: Path) -> tuple[int, int]:
    """From when until when the first certificate of a PEM file holds, in seconds since 1970.

    Python's ssl tells that of the other side's certificates only, so the few fields that stand
    before it are stepped over here (RFC 5280, section 4.1).

    Raises:
        ValueError: it holds no certificate.
        OSError: it cannot be read.
    """
    text = certificate.read_text("ascii", "replace")
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    try:
        first = begin + text.split(begin, 1)[1].split(end, 1)[0] + end
        der = ssl.PEM_cert_to_DER_cert(first)
        signed = _inside(_inside(der))
        tag, _, behind = _element(signed)
        if tag == 0xA0:  # the version, which the oldest do not have
            signed = signed[behind:]
        for _ in ("serial number", "algorithm", "issuer"):
            signed = signed[_element(signed)[2] :]
        validity = _inside(signed)
        _, first_time, behind = _element(validity)
        return _seconds(first_time), _seconds(_element(validity[behind:])[1])
    except (IndexError, ValueError):
        raise ValueError(f"{certificate} holds no certificate as PEM") from None


def _element(der: bytes) -> tuple[int, bytes, int]:
    """The first element: its tag, what it holds, and where it ends."""
    size, begins = der[1], 2
    if size & 0x80:
        begins += size & 0x7F
        size = int.from_bytes(der[2:begins])
    if begins + size > len(der):
        raise ValueError("cut off")
    return der[0], der[begins : begins + size], begins + size


def _inside(der: bytes) -> bytes:
    return _element(der)[1]


def _seconds(text: bytes) -> int:
    digits = text.decode("ascii")
    if len(digits) == len("YYMMDDHHMMSSZ"):
        digits = ("19" if digits >= "50" else "20") + digits
    return int(datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp())
