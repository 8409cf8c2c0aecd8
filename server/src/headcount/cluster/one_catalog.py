"""The one catalog of a cluster, in its registry: takes versions, gives and keeps what they hold.

A version is a head, changed by compare-and-set, that names the parts in which its contents lie;
parts are never changed, so that whoever reads them while another version comes has one of the two.
A registry that was put back to an older moment is put right by a node whose copy is newer, while
nobody has changed that older version meanwhile.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from headcount.catalog.shared_contents import BEFORE_MAX, Contents, Version, digest_of
from headcount.engines import REGISTRY_VALUE_BYTES_MAX, Registry, RegistryEntry
from headcount.errors import (
    CatalogOvertakenError,
    CatalogUnchangedError,
    EngineAwayError,
    RegistryConflictError,
)

__all__ = ["CATALOG_KEY", "OneCatalog", "begin", "latest_version", "newer", "restore"]

CATALOG_KEY = "catalog"
_PARTS_PREFIX = "catalog."
_BYTES_MAX = 1 << 30
_TRIES = 5

_AWAY = "The cluster's registry cannot be reached, so the catalog cannot be changed"
_LATER = "Known write keys are taken meanwhile; try again once it is back."


class _CatalogHead(msgspec.Struct, frozen=True):
    """The latest version.

    Attributes:
        number, digest: as a `Version` has them.
        parts: keys of the values that make up its contents, packed, in order.
        before: digests of the versions before it, the latest last.
    """

    number: int
    digest: str
    parts: list[str]
    before: list[str] = msgspec.field(default_factory=list)


class OneCatalog:
    """The catalog, as one process reads and changes it.

    Args:
        opened: gives a registry for a while; a change is rare, and takes one of its own.
    """

    def __init__(self, opened: Callable[[], Registry]) -> None:
        self._opened = opened

    @contextmanager
    def _registry(self, what: str) -> Iterator[Registry]:
        registry = None
        try:
            registry = self._opened()
            yield registry
        except EngineAwayError as error:
            raise CatalogUnchangedError(f"{what}.", _LATER) from error
        finally:
            if registry is not None:
                registry.close()

    def newer(self, held: Version) -> Contents | None:
        """What the catalog holds now, where that is another version than the one held.

        A copy that the registry's version was left behind by is the newer one, see `restore`.

        Raises:
            CatalogUnchangedError: it cannot be asked for.
        """
        with self._registry(_AWAY) as registry:
            return newer(registry, held)

    def publish(self, before: Version, data: bytes) -> Version:
        """Put something in the place of the version that it was made from.

        Raises:
            CatalogUnchangedError: it cannot be, or another node was faster.
        """
        with self._registry(_AWAY) as registry:
            there = registry.get(CATALOG_KEY)
            head = None if there is None else _head_of(there)
            if _version_of(head) != before:
                raise _faster()
            version = Version(before.number + 1, digest_of(data))
            since = [*(head.before if head else []), before.digest]
            try:
                _replace(registry, there, Contents(version, data, since))
            except RegistryConflictError as error:
                raise _faster() from error
            return version


def newer(registry: Registry, held: Version) -> Contents | None:
    """What a registry's catalog holds, where that is another version than the one held.

    Raises:
        CatalogUnchangedError: there is no catalog, or it cannot be read to its end.
        EngineAwayError: the registry cannot be asked.
    """
    for _ in range(_TRIES):
        there = registry.get(CATALOG_KEY)
        if there is None:
            raise _gone()
        head = _head_of(there)
        if _version_of(head) == held or head.number < held.number:
            return None
        parts = [registry.get(each) for each in head.parts]
        # Somebody may have put another version there, and taken this one's parts away.
        if all(each is not None for each in parts):
            data = _unpacked(b"".join(each.value for each in parts if each is not None))
            if digest_of(data) == head.digest:
                return Contents(_version_of(head), data, head.before)
    raise CatalogUnchangedError(
        "The catalog in the cluster's registry is damaged: it is not what its head says.",
        "Restore the registry from its backup, or write it anew from a node:"
        " headcount cluster init --again",
    )


def latest_version(registry: Registry) -> Version:
    """Which version a registry's catalog is; raises as `newer`."""
    there = registry.get(CATALOG_KEY)
    if there is None:
        raise _gone()
    return _version_of(_head_of(there))


def restore(registry: Registry, copy: Contents) -> bool:
    """Put a newer copy back into a registry that has forgotten it.

    Returns:
        Whether the registry's version is an earlier one of that copy, and was replaced.

    Raises:
        EngineAwayError: the registry cannot be asked.
    """
    there = registry.get(CATALOG_KEY)
    head = None if there is None else _head_of(there)
    if head is None or head.number >= copy.version.number or head.digest not in copy.before:
        return False
    try:
        _replace(registry, there, copy)
    except RegistryConflictError:
        return False  # another node has done it
    return True


def begin(registry: Registry, copy: Contents) -> None:
    """Write the catalog of a registry that holds none, be it a new one or one that was lost.

    Raises:
        EngineAwayError: the registry cannot be asked.
        RegistryConflictError: there is one.
    """
    _replace(registry, None, copy)


def _replace(registry: Registry, there: RegistryEntry | None, contents: Contents) -> None:
    """Put contents in the place of a head, or of none."""
    number, digest = contents.version
    parts = _put_parts(registry, number, contents.data)
    made = _CatalogHead(number, digest, parts, list(contents.before[-BEFORE_MAX:]))
    try:
        registry.put(CATALOG_KEY, msgspec.json.encode(made), there.revision if there else 0)
    except EngineAwayError as error:
        # It may stand there, or not: only the registry itself knows.
        try:
            found = registry.get(CATALOG_KEY)
        except EngineAwayError:
            raise CatalogUnchangedError(
                "The cluster's registry went away during a change of the catalog, and it is not"
                " known whether the change was made.",
                "Look before you try again, once it is back.",
            ) from error
        if found is None or _head_of(found) != made:
            raise
    _drop_parts(registry, made, None if there is None else _head_of(there))


def _head_of(entry: RegistryEntry) -> _CatalogHead:
    try:
        return msgspec.json.decode(entry.value, type=_CatalogHead)
    except msgspec.DecodeError as error:
        raise CatalogUnchangedError(
            f"The catalog in the cluster's registry cannot be read: {error}.",
            "Run the version on this node that the other nodes run.",
        ) from error


def _version_of(head: _CatalogHead | None) -> Version:
    return Version(0, "") if head is None else Version(head.number, head.digest)


def _put_parts(registry: Registry, number: int, data: bytes) -> list[str]:
    packed = zlib.compress(data)
    prefix = f"{_PARTS_PREFIX}{number}-{secrets.token_hex(4)}."
    keys: list[str] = []
    for at in range(0, len(packed), REGISTRY_VALUE_BYTES_MAX):
        keys.append(f"{prefix}{len(keys)}")
        registry.put(keys[-1], packed[at : at + REGISTRY_VALUE_BYTES_MAX], 0)
    return keys


def _drop_parts(registry: Registry, made: _CatalogHead, former: _CatalogHead | None) -> None:
    """Take away what no version needs: all but the latest two, which somebody may be reading."""
    needed = {*made.parts, *(former.parts if former else [])}
    try:
        for key in registry.list(_PARTS_PREFIX):
            if key not in needed and int(key.removeprefix(_PARTS_PREFIX).split("-")[0]) < (
                made.number
            ):
                registry.delete(key)
    except EngineAwayError:
        return  # the next change does


def _unpacked(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        return unpacker.decompress(packed, _BYTES_MAX)
    except zlib.error:
        return b""


def _gone() -> CatalogUnchangedError:
    return CatalogUnchangedError(
        "The cluster's registry holds no catalog: it was wiped, or never begun.",
        "See `headcount cluster status`.",
    )


def _faster() -> CatalogUnchangedError:
    return CatalogOvertakenError(
        "The catalog was changed on another node of the cluster at the same moment.",
        "Nothing was changed here: try again.",
    )
