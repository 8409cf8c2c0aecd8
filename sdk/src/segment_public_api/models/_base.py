"""What every model shares. Takes JSON names or Python names; gives both; keeps unknown fields."""

from __future__ import annotations

import functools
import json
import pprint
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    ValidationInfo,
    model_validator,
)

# Whole numbers come first: JSON's 1612137600 stays an int, and the usual case is the fast one.
Number = Annotated[StrictInt | StrictFloat, Field(union_mode="left_to_right")]

AS_READ = object()
"""The context under which answers and dicts are read: what they leave out was given as None."""


class ApiModel(BaseModel):
    """A model of the API.

    Fields are accepted under their Python names and under the API's names. A field that this
    version does not know is kept, ignored, and written again by `to_dict` and `to_json`.
    """

    model_config = ConfigDict(
        populate_by_name=True,
        validate_assignment=True,
        protected_namespaces=(),
        extra="allow",
    )

    nullable_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that the API documents as nullable."""

    def to_str(self) -> str:
        """The model as indented text, under the API's names."""
        return pprint.pformat(self.model_dump(by_alias=True))

    def to_json(self) -> str:
        """The model as JSON, under the API's names, without what is None."""
        return json.dumps(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The model as a dict, under the API's names, without what is None.

        Fields that the API documents as nullable are there as None if they were given so, as they
        all are in an answer: `answer.to_dict()["data"]["pagination"]["next"]` never fails.
        """
        made = self.model_dump(by_alias=True, exclude_none=True)
        self._add_nulls(made)
        return made

    def _add_nulls(self, made: dict[str, Any]) -> None:
        """Put None into what was dumped where a nullable field, here or below, was given so."""
        for name, alias in _names(type(self)):
            value = getattr(self, name)
            # Most are texts and numbers; to ask whether something is a model takes longer.
            if isinstance(value, (str, int, float)):
                continue
            if value is None:
                if name in self.nullable_fields and name in self.model_fields_set:
                    made[alias] = None
            elif isinstance(value, ApiModel):
                value._add_nulls(made[alias])
            elif isinstance(value, list):
                for item, of_item in zip(value, made[alias], strict=True):
                    if isinstance(item, ApiModel):
                        item._add_nulls(of_item)

    @classmethod
    def from_json(cls, json_str: str) -> Self | None:
        """A model out of JSON; None for `null`. Raises `ValidationError` for another shape."""
        return cls.from_dict(json.loads(json_str))

    @classmethod
    def from_dict(cls, obj: dict[str, Any] | None) -> Self | None:
        """A model out of a dict; None for None. Raises `ValidationError` for another shape."""
        return None if obj is None else cls.model_validate(obj, context=AS_READ)


@functools.cache
def _names(model: type[ApiModel]) -> tuple[tuple[str, str], ...]:
    """Each field of a model, and what the API calls it."""
    return tuple((name, field.alias or name) for name, field in model.model_fields.items())


class NullableModel(ApiModel):
    """A model with nullable fields; apart, so that rows, which have none, stay quick to read."""

    @model_validator(mode="after")
    def _given_if_read(self, info: ValidationInfo) -> Self:
        if info.context is AS_READ:
            self.__pydantic_fields_set__.update(self.nullable_fields)
        return self
