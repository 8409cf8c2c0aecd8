"""The records of the catalog, and the random texts that name and protect them.

Takes plain values, gives frozen records; refuses names that nobody could type or read.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import unicodedata
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from headcount.counting.cost import Price
from headcount.counting.hashing import KeyPlan
from headcount.errors import UsageError

__all__ = [
    "FROM_THE_BEGINNING",
    "DatedLimit",
    "DatedPrice",
    "Deletion",
    "Forwarding",
    "ForwardingState",
    "HashKeys",
    "Link",
    "PlanLimits",
    "Scope",
    "Source",
    "Token",
    "View",
    "WhenFull",
    "Workspace",
    "clean_name",
    "fresh_id",
    "fresh_link_secret",
    "fresh_token_secret",
    "fresh_write_key",
    "secret_hash",
]

Scope = Literal["read", "admin"]
"""What a token may do: read usage, or also change sources, tokens and past days."""

View = Literal["workspace", "source", "all"]
"""What a link shows: a workspace's page, the page of one source, or the workspace's and those of
all of its sources."""

PlanLimits = dict[str, int | None]
"""What a workspace's plan includes in a month, by the name of the metric; none, or None, where
there is no limit."""

FROM_THE_BEGINNING = 0
"""The day from which a limit is in force that has always been; no message is as old."""


class HashKeys(NamedTuple):
    """The keys under which ids are hashed, as far as the catalog may know them.

    Attributes:
        plan: which of them serves which month.
        fingerprint: of the first; None before the first start.
        next_fingerprint: of the one after it; None where none is planned.
    """

    plan: KeyPlan
    fingerprint: str | None
    next_fingerprint: str | None

    @property
    def fingerprints(self) -> list[str]:
        """Of all keys in use, in the order of the months that they serve."""
        return [each for each in (self.fingerprint, self.next_fingerprint) if each is not None]


_NAME_CHARACTERS_MAX = 200
# Letters and digits only: an id that began with a dash would be taken for an option on a command
# line, and every other mark means something to some shell or address.
_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Workspace:
    """A tenant.

    Attributes:
        number: 1, 2, 3, ...; what facts and counts carry; never reused.
        id: random text, what the API shows.
        name: unique among workspaces.
        created_at_ms: milliseconds since 1970, UTC.
    """

    number: int
    id: str
    name: str
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class Source:
    """One stream of messages inside a workspace.

    Attributes:
        number: 1, 2, 3, ... over all workspaces; never reused.
        id: random text, what the usage API shows.
        name: unique within the workspace.
        workspace: the number of its workspace.
        write_key: the secret that a tracking SDK sends.
        enabled: whether messages with its write key are admitted.
        created_at_ms: milliseconds since 1970, UTC.
        deleted_at_ms: when it, or its workspace, was deleted; None where it was not.
        refuses_bots: whether messages of known bots are refused; else they count like others.
    """

    number: int
    id: str
    name: str
    workspace: int
    write_key: str
    enabled: bool
    created_at_ms: int
    deleted_at_ms: int | None = None
    refuses_bots: bool = False


class Deletion(NamedTuple):
    """A workspace that was deleted.

    Attributes:
        number: the workspace's.
        deleted_at_ms: when, milliseconds since 1970.
        erase_from_ms: from when on what is known of it is erased.
        erased_at_ms: when that began; None before.
    """

    number: int
    deleted_at_ms: int
    erase_from_ms: int
    erased_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Token:
    """An API token, without its secret, which is shown once and kept only as a hash.

    Attributes:
        id: random text by which the token is listed and revoked.
        workspace: the number of the workspace that it may see.
        scope: `"read"` or `"admin"`.
        created_at_ms: milliseconds since 1970, UTC.
        expires_at_ms: first moment at which it is no longer valid; None for never.
        revoked_at_ms: when it was revoked; None if it was not.
    """

    id: str
    workspace: int
    scope: Scope
    created_at_ms: int
    expires_at_ms: int | None
    revoked_at_ms: int | None

    def valid_at(self, now_ms: int) -> bool:
        """Whether it opens its workspace at that moment."""
        # A revoked token stays revoked even when the clock is set back.
        if self.revoked_at_ms is not None:
            return False
        return self.expires_at_ms is None or now_ms < self.expires_at_ms


@dataclass(frozen=True, slots=True)
class DatedLimit:
    """What a plan includes of one metric in a month, from a day on until the next one of it.

    Attributes:
        metric: the metric's name.
        from_day: the first day (days since 1970) on which it is in force; `FROM_THE_BEGINNING`
            where it has always been.
        amount: a count a month; None for no limit.
        set_at_ms: when it was set, milliseconds since 1970, UTC; None where a former format of
            the catalog held it, which did not say.
    """

    metric: str
    from_day: int
    amount: int | None
    set_at_ms: int | None


@dataclass(frozen=True, slots=True)
class DatedPrice:
    """What a plan charges beyond the limit of one metric, from a day on until the next one of it.

    Attributes:
        metric: the metric's name.
        from_day: the first day (days since 1970) on which it is in force; `FROM_THE_BEGINNING`
            where it has always been.
        price: for each step; None for none.
        set_at_ms: when it was set, milliseconds since 1970, UTC.
    """

    metric: str
    from_day: int
    price: Price | None
    set_at_ms: int


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a view that needs no token, without its secret, which is kept only as a hash.

    Attributes:
        id: random text by which the link is listed and revoked.
        workspace: the number of the workspace whose usage it shows.
        view: which pages it shows.
        source: the number of the source whose page it shows; None where it shows another view.
        period: the number of the month that it shows; None for the one that runs.
        against: how many months before lies the month that this one is held against.
        name: what a person calls it; may be empty.
        created_at_ms: milliseconds since 1970, UTC.
        expires_at_ms: first moment at which it is no longer valid; None for never.
        revoked_at_ms: when it was revoked; None if it was not.
        used_at_ms: when somebody last looked, as far as it was written down; None for never.
    """

    id: str
    workspace: int
    view: View
    source: int | None
    period: int | None
    against: int
    name: str
    created_at_ms: int
    expires_at_ms: int | None
    revoked_at_ms: int | None
    used_at_ms: int | None

    def valid_at(self, now_ms: int) -> bool:
        """Whether it shows anything at that moment."""
        if self.revoked_at_ms is not None:
            return False
        return self.expires_at_ms is None or now_ms < self.expires_at_ms


WhenFull = Literal["refuse", "stop"]
"""What a source does whose messages find no room to wait for its vendor: refuse them, or count them
and forward no more."""

ForwardingState = Literal["on", "ending", "off"]
"""Whether a source forwards what it sends, only delivers what waits, or neither."""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Where a source's messages are delivered on to.

    Attributes:
        source: the source's number.
        url: the beginning of the vendor's addresses, such as `https://api.segment.io`.
        write_key: the vendor's key for it; a secret, shown nowhere.
        when_full: what to do when what waits takes all the room there is.
        state: whether it does.
        by_token: whether somebody with a token named the address, rather than the operator: it may
            then not lead into the operator's own network.
        changes: how often this was changed; grows with each.
        changed_at_ms: when it was last, milliseconds since 1970, UTC.
    """

    source: int
    url: str
    write_key: str = field(repr=False)
    when_full: WhenFull
    state: ForwardingState
    by_token: bool
    changes: int
    changed_at_ms: int


def clean_name(kind: str, name: str) -> str:
    """A name as it is kept: trimmed, in Unicode's composed form.

    Args:
        kind: what is named, for the error: `"workspace"` or `"source"`.
        name: what a person typed.

    Raises:
        UsageError: it is empty, too long, or holds line breaks or other control characters.
    """
    cleaned = unicodedata.normalize("NFC", name).strip()
    if not cleaned:
        raise UsageError(f"The {kind}'s name is empty.", "Give it a name that people recognise.")
    if len(cleaned) > _NAME_CHARACTERS_MAX:
        raise UsageError(
            f"The {kind}'s name has {len(cleaned)} characters.",
            f"Use at most {_NAME_CHARACTERS_MAX}.",
        )
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in cleaned):
        raise UsageError(
            f"The {kind}'s name holds a control character or broken text.",
            "Use letters of any script, digits, marks and spaces.",
        )
    return cleaned


def fresh_id() -> str:
    """A random id of 22 letters and digits (131 bits)."""
    return _random_text(22)


def fresh_write_key() -> str:
    """A random write key of 32 letters and digits."""
    return _random_text(32)


def fresh_token_secret() -> str:
    """A random token secret; its beginning lets scanners of leaked secrets recognise it."""
    return "hct_" + _random_text(43)


def fresh_link_secret() -> str:
    """A random link's secret, which is told from a token's by its beginning."""
    return "hcl_" + _random_text(43)


def secret_hash(secret: str) -> bytes:
    """The only form in which the secret of a token or link is kept: 32 bytes.

    The secret is random and long, so a plain fast hash keeps it safe; there is nothing to guess.
    """
    return hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), digest_size=32).digest()


def _random_text(characters: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(characters))
