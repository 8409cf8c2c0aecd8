"""Files that lie elsewhere: takes an address, gives its objects as binary streams, or writes one.

Reads s3://, gs:// and az:// with the credentials that each provider's own tools find in the
environment, and http(s):// without any. An object is streamed, never kept whole; a connection that
breaks is taken up where it broke. Refuses, before anything is read, what is not there, and says
what to install where the library is missing. What follows a "?" may be a secret: it is never shown.
An object is written at once, from its first byte to its last, and is whole or not there.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from headcount.errors import OperatorError, UsageError
from headcount.extras import install_command

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

__all__ = ["ObjectTarget", "RemoteObject", "found_objects", "is_address", "object_target"]

_STORES = ("s3", "gs", "az")
_SCHEMES = (*_STORES, "https", "http")
_CHUNK_BYTES = 1 << 20
_BUFFER_BYTES = 1 << 18

# The whole of a large object may take hours; a connection that gives nothing for a minute is dead.
_CLIENT: ClientConfig = {
    "timeout": "30days",
    "read_timeout": "60s",
    "connect_timeout": "10s",
    # Whoever names a plain address, as that of a store in the same rack, means it.
    "allow_http": True,
}
_RETRY: RetryConfig = {"max_retries": 5, "retry_timeout": timedelta(minutes=1)}

_CHECK_CREDENTIALS = (
    "Check the address and the credentials that the environment holds for it, such as"
    " AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS or AZURE_STORAGE_ACCOUNT_KEY."
)
_QUERY = re.compile(r"(://[^\s?]*)\?\S*")


def is_address(name: str) -> bool:
    """Whether what a person typed is the address of an object rather than a path."""
    return name.partition("://")[0] in _SCHEMES and "://" in name


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """One object.

    Attributes:
        name: its address, as far as it may be shown.
        store: where it lies.
        path: its path there.
        size_bytes: its size; None where nobody said.
    """

    name: str
    store: ObjectStore
    path: str
    size_bytes: int | None

    def opened(self) -> io.BufferedReader:
        """The object's bytes, from its beginning.

        Raises:
            OSError: it cannot be read; also while reading.
        """
        return io.BufferedReader(_Stream(self), _BUFFER_BYTES)

    def seekable(self) -> io.BufferedReader | None:
        """The same, to be read here and there; None where the server does not say its size.

        Raises:
            OSError: it cannot be read; while reading.
        """
        if self.size_bytes is None:
            return None
        return io.BufferedReader(_Ranges(self, self.size_bytes), _CHUNK_BYTES)


def found_objects(address: str) -> tuple[list[RemoteObject], list[RemoteObject]]:
    """The object at an address, and, where there is none, those below it by their names.

    Args:
        address: of an object; or, in a store, the beginning of the addresses of several.

    Raises:
        UsageError: the library that reads them is not installed.
        OperatorError: the store does not answer, or refuses.
    """
    _refuse_without_library(address)
    from obstore.exceptions import BaseError
    from obstore.store import HTTPStore

    scheme = address.partition("://")[0]
    try:
        if scheme in _STORES:
            return _in_store(address)
        store = HTTPStore.from_url(address, client_options=_CLIENT, retry_config=_RETRY)
        return [RemoteObject(_shown(address), store, "", None)], []
    except (BaseError, OSError) as error:
        raise OperatorError(
            f"{_shown(address)} cannot be read: {_words(error)}.", _CHECK_CREDENTIALS
        ) from error


@dataclass(frozen=True, slots=True)
class ObjectTarget:
    """Where an object is to be written.

    Attributes:
        name: its address.
        store: where it will lie.
        path: its path there.
    """

    name: str
    store: ObjectStore
    path: str

    def put(self, content: BinaryIO) -> None:
        """Write the object, in place of one that is there.

        Args:
            content: all of it, from where the stream stands.

        Raises:
            OperatorError: the store does not answer, or refuses.
        """
        import obstore
        from obstore.exceptions import BaseError

        try:
            obstore.put(self.store, self.path, content)
        except (BaseError, OSError) as error:
            raise OperatorError(
                f"{self.name} cannot be written: {_words(error)}.", _CHECK_CREDENTIALS
            ) from error


def object_target(address: str) -> ObjectTarget:
    """Where an address is, to be written.

    Raises:
        UsageError: it is that of no store, or names no object there, or the library that writes
            them is not installed.
        OperatorError: the credentials cannot be used.
    """
    scheme, _, place = address.partition("://")
    if scheme not in _STORES:
        raise UsageError(
            f"{_shown(address)} cannot be written: only object stores can be.",
            "Name an address that begins with s3://, gs:// or az://, or a file.",
        )
    bucket, _, path = place.partition("/")
    if not bucket or not path or path.endswith("/"):
        raise UsageError(
            f"{address} names no object.",
            f"Put its name behind the bucket's, as in {scheme}://bucket/usage.csv.",
        )
    _refuse_without_library(address)
    from obstore.exceptions import BaseError

    try:
        return ObjectTarget(address, _store_of(f"{scheme}://{bucket}"), path)
    except (BaseError, OSError) as error:
        raise OperatorError(
            f"{address} cannot be written: {_words(error)}.", _CHECK_CREDENTIALS
        ) from error


def _refuse_without_library(address: str) -> None:
    try:
        import obstore  # noqa: F401 - to say once, and early, that it is missing
    except ModuleNotFoundError:
        raise UsageError(
            f"{_shown(address)} needs a library that is not installed.",
            f"Install it with: {install_command('objects')}",
        ) from None


def _store_of(base: str) -> Any:
    from obstore.store import from_url

    return from_url(base, client_options=_CLIENT, retry_config=_RETRY)


def _in_store(address: str) -> tuple[list[RemoteObject], list[RemoteObject]]:
    from obstore.exceptions import NotFoundError

    # Cut by hand: a key may hold what a URL would take for a query.
    scheme, _, place = address.partition("://")
    bucket, _, path = place.partition("/")
    base = f"{scheme}://{bucket}"
    store = _store_of(base)
    if path and not path.endswith("/"):
        try:
            return [RemoteObject(address, store, path, store.head(path)["size"])], []
        except (NotFoundError, FileNotFoundError):
            pass  # it may still be the beginning of others
    inside = sorted(
        (meta["path"], meta["size"])
        for part in store.list(path.rstrip("/") or None)
        for meta in part
        # Some programs make an empty object in place of each folder.
        if not meta["path"].endswith("/")
    )
    return [], [RemoteObject(f"{base}/{path}", store, path, size) for path, size in inside]


class _Stream(io.RawIOBase):
    """An object as it arrives. Says where it stands, and cannot go back."""

    def __init__(self, source: RemoteObject) -> None:
        self._source = source
        self._pieces: Iterator[bytes] | None = None
        self._piece = memoryview(b"")
        self._position = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._piece:
            piece = self._next()
            if piece is None:
                return 0
            self._piece = memoryview(piece)
        given = min(len(buffer), len(self._piece))
        buffer[:given] = self._piece[:given]
        self._piece = self._piece[given:]
        self._position += given
        return given

    def _next(self) -> bytes | None:
        from obstore.exceptions import BaseError

        try:
            if self._pieces is None:
                got = self._source.store.get(self._source.path)
                self._pieces = iter(got.stream(min_chunk_size=_CHUNK_BYTES))
            return next(self._pieces, None)
        except (BaseError, OSError) as error:
            # Not chained: the library's own text holds the whole address.
            raise OSError(_words(error)) from None


class _Ranges(io.RawIOBase):
    """An object that is read here and there, a range at a time."""

    def __init__(self, source: RemoteObject, size_bytes: int) -> None:
        self._source = source
        self._size_bytes = size_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        before = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}
        self._position = max(0, before[whence] + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        import obstore
        from obstore.exceptions import BaseError

        start, end = self._position, min(self._position + len(buffer), self._size_bytes)
        if start >= end:
            return 0
        try:
            piece = obstore.get_range(self._source.store, self._source.path, start=start, end=end)
        except (BaseError, OSError) as error:
            raise OSError(_words(error)) from None
        buffer[: len(piece)] = memoryview(piece)
        self._position += len(piece)
        return len(piece)


def _shown(address: str) -> str:
    """An address without what may be a secret in it."""
    scheme, _, _ = address.partition("://")
    if scheme in _STORES:
        return address
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _words(error: Exception) -> str:
    """What went wrong, on one line; the library's further lines are for its authors."""
    import obstore.exceptions as failed

    for kind, words in (
        (failed.NotFoundError, "there is nothing"),
        (FileNotFoundError, "there is nothing"),
        (failed.PermissionDeniedError, "access is denied"),
        (failed.UnauthenticatedError, "the credentials are not accepted"),
        (failed.NotSupportedError, "the server cannot go on where a connection broke"),
    ):
        if isinstance(error, kind):
            return words
    return _QUERY.sub(r"\1", str(error).strip().partition("\n")[0]).strip(" .")
