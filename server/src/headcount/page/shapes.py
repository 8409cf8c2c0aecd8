"""What the API answers, as far as the page shows it."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "Columns",
    "Daily",
    "Limits",
    "MonthTotals",
    "NewToken",
    "OutcomeCounts",
    "Outcomes",
    "Source",
    "SourceBody",
    "SourceColumns",
    "SourceOutcomes",
    "SourceTotals",
    "Sources",
    "Summary",
    "Token",
    "Tokens",
    "Totals",
    "Workspace",
    "WorkspaceBody",
]


class _Shape(msgspec.Struct, rename="camel", gc=False):
    pass


class Workspace(_Shape):
    """A workspace, and what the token may do in it."""

    id: str
    name: str
    token_scope: Literal["read", "admin"]


class WorkspaceBody(_Shape):
    """The answer that holds the token's workspace."""

    workspace: Workspace


class Source(_Shape):
    """A source; its write key is shown to admin tokens."""

    id: str
    name: str
    enabled: bool
    created_at: str
    write_key: str | None = None


class Sources(_Shape):
    """All sources of the workspace."""

    sources: list[Source]


class SourceBody(_Shape):
    """The answer that holds one source."""

    source: Source


class Token(_Shape):
    """A token, without its secret."""

    id: str
    scope: Literal["read", "admin"]
    created_at: str
    valid: bool
    expires_at: str | None = None
    revoked_at: str | None = None


class Tokens(_Shape):
    """All tokens of the workspace."""

    tokens: list[Token]


class NewToken(_Shape):
    """A token that was just made, with its secret, which is shown once."""

    token: Token
    secret: str


class Limits(_Shape):
    """What the plan includes in a month; None where it sets no limit."""

    mtu: int | None
    api_calls: int | None


class Totals(_Shape):
    """Counts from the start of a month up to and including a day."""

    api_calls: int
    mtu: int
    identified: int
    anonymous: int
    anonymous_identified: int
    never_identified: int


class MonthTotals(_Shape):
    """A month up to a day."""

    period: str
    day: str
    counted_until: str
    totals: Totals


class SourceTotals(_Shape):
    """A source in the month and up to the same day of the month before."""

    source_id: str
    source_name: str
    totals: Totals
    previous: Totals | None = None


class Summary(_Shape):
    """A month in one answer."""

    month: MonthTotals
    sources: list[SourceTotals]
    plan_limits: Limits
    previous: MonthTotals | None = None


class Columns(_Shape):
    """Running totals of one scope by day."""

    api_calls: list[int]
    mtu: list[int]
    identified: list[int]
    anonymous: list[int]
    anonymous_identified: list[int]
    never_identified: list[int]
    duplicate: list[int]


class SourceColumns(_Shape):
    """Running totals of one source by day."""

    source_id: str
    source_name: str
    totals: Columns


class Daily(_Shape):
    """A month day by day."""

    period: str
    current_period: str
    counted_until: str
    days: list[str]
    rejected: int
    workspace: Columns
    sources: list[SourceColumns]
    first_period: str | None = None


class OutcomeCounts(_Shape):
    """How many messages had each outcome."""

    accepted: int
    duplicate: int
    rejected: int
    rejected_by_reason: dict[str, int]


class SourceOutcomes(_Shape):
    """The outcomes of one source."""

    source_id: str
    source_name: str
    outcomes: OutcomeCounts


class Outcomes(_Shape):
    """The outcomes of a month."""

    totals: OutcomeCounts
    sources: list[SourceOutcomes]
