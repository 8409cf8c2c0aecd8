"""What every model shares. Takes JSON names or Python names; gives both; keeps unknown fields."""

from __future__ import annotations

import json
import pprint
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt

# Whole numbers come first: JSON's 1612137600 stays an int, and the usual case is the fast one.
Number = Annotated[StrictInt | StrictFloat, Field(union_mode="left_to_right")]


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

    def to_str(self) -> str:
        """The model as indented text, under the API's names."""
        return pprint.pformat(self.model_dump(by_alias=True))

    def to_json(self) -> str:
        """The model as JSON, under the API's names, without what is None."""
        return json.dumps(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The model as a dict, under the API's names, without what is None."""
        return self.model_dump(by_alias=True, exclude_none=True)

    @classmethod
    def from_json(cls, json_str: str) -> Self | None:
        """A model out of JSON; None for `null`. Raises `ValidationError` for another shape."""
        return cls.from_dict(json.loads(json_str))

    @classmethod
    def from_dict(cls, obj: dict[str, Any] | None) -> Self | None:
        """A model out of a dict; None for None. Raises `ValidationError` for another shape."""
        return None if obj is None else cls.model_validate(obj)
