"""What snapshots share: the API's text fields, and beside them the same as numbers and dates."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, SerializationInfo, StrictStr
from pydantic_core import CoreSchema, core_schema

from ._base import ApiModel, Number


class DumpedCount(int):
    """A count as `model_dump` gives it: a number, which models take back as the text it was."""


class _CountText:
    """Strict text on the wire and as an attribute; a number where a model is dumped for Python."""

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(strict=True)
        return core_schema.json_or_python_schema(
            json_schema=text,
            python_schema=core_schema.no_info_before_validator_function(_taken_back, text),
            serialization=core_schema.plain_serializer_function_ser_schema(_dumped, info_arg=True),
        )


def _taken_back(value: Any) -> Any:
    return str(value) if type(value) is DumpedCount else value


def _dumped(value: Any, info: SerializationInfo) -> Any:
    # Under the API's names, and as JSON, a model is what the API sends: text.
    if info.by_alias or info.mode == "json":
        return value
    try:
        number = DumpedCount(value)
    except (TypeError, ValueError):
        return value
    # What would not come back as it was stays.
    return number if str(number) == value else value


CountText = Annotated[str, _CountText()]


class OfSource(ApiModel):
    """The scope of a snapshot that counts one source."""

    source_id: StrictStr = Field(alias="sourceId", description="The source that was counted.")


class DayMixin:
    """The day of a snapshot; a plain class, so that fields keep the order of the documents."""

    if TYPE_CHECKING:
        timestamp: str

    @property
    def day(self) -> datetime.date:
        """The day (UTC) at whose end the counts stand. Raises `ValueError` for no date."""
        return datetime.date.fromisoformat(self.timestamp[:10])

    @property
    def day_starts_at(self) -> datetime.datetime:
        """The first moment of that day, in UTC."""
        return datetime.datetime.combine(self.day, datetime.time(), datetime.UTC)

    def to_record(self) -> dict[str, Any]:
        """The snapshot as one flat row of plain values; see `to_records`."""
        source_id = getattr(self, "source_id", None)
        return {"day": self.day} if source_id is None else {"day": self.day, "source_id": source_id}


class ApiCallsSnapshot(DayMixin, ApiModel):
    """API calls of one scope."""

    api_calls: CountText = Field(
        alias="apiCalls", description="API calls so far in the period, as decimal text."
    )
    timestamp: StrictStr = Field(description="Midnight UTC at the start of the day.")

    @property
    def api_calls_int(self) -> int:
        """`api_calls` as a number."""
        return int(self.api_calls)

    def to_record(self) -> dict[str, Any]:
        """The snapshot as one flat row: `day`, `source_id` (per source), `api_calls`."""
        return {**super().to_record(), "api_calls": self.api_calls_int}


class MtuSnapshot(DayMixin, ApiModel):
    """Tracked users of one scope."""

    period_start: Number = Field(
        alias="periodStart", description="First second of the period, as Unix time in seconds."
    )
    period_end: Number = Field(
        alias="periodEnd", description="First second after the period, as Unix time in seconds."
    )
    anonymous: CountText = Field(
        description="Distinct anonymous ids seen so far in the period, as decimal text."
    )
    anonymous_identified: CountText = Field(
        alias="anonymousIdentified",
        description="How many of these anonymous ids were also seen together with a user id.",
    )
    identified: CountText = Field(
        description="Distinct user ids seen so far in the period, as decimal text."
    )
    never_identified: CountText = Field(
        alias="neverIdentified",
        description="How many of these anonymous ids were never seen with a user id.",
    )
    timestamp: StrictStr = Field(description="Midnight UTC at the start of the day.")

    @property
    def mtu(self) -> int:
        """Monthly tracked users so far: the identified and the never identified."""
        return self.identified_int + self.never_identified_int

    @property
    def anonymous_int(self) -> int:
        """`anonymous` as a number."""
        return int(self.anonymous)

    @property
    def anonymous_identified_int(self) -> int:
        """`anonymous_identified` as a number."""
        return int(self.anonymous_identified)

    @property
    def identified_int(self) -> int:
        """`identified` as a number."""
        return int(self.identified)

    @property
    def never_identified_int(self) -> int:
        """`never_identified` as a number."""
        return int(self.never_identified)

    @property
    def period_starts_at(self) -> datetime.datetime:
        """`period_start` as a moment in UTC."""
        return datetime.datetime.fromtimestamp(self.period_start, datetime.UTC)

    @property
    def period_ends_at(self) -> datetime.datetime:
        """`period_end`, the first moment after the period, in UTC."""
        return datetime.datetime.fromtimestamp(self.period_end, datetime.UTC)

    def to_record(self) -> dict[str, Any]:
        """The snapshot as one flat row: `day`, `source_id` (per source), `mtu` and its counts."""
        return {
            **super().to_record(),
            "mtu": self.mtu,
            "identified": self.identified_int,
            "never_identified": self.never_identified_int,
            "anonymous": self.anonymous_int,
            "anonymous_identified": self.anonymous_identified_int,
        }
