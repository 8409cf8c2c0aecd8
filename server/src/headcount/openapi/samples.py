"""A sample of a shape: takes its schema and values for its members, gives what an answer may hold.

Members of which nobody named a value get one by their type, so that a sample is never short of a
member.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Samples"]

_TYPES: dict[str, Any] = {
    "integer": int,
    "number": int | float,
    "string": str,
    "boolean": bool,
    "array": list,
    "object": Mapping,
    "null": type(None),
}


class Samples:
    """Makes samples.

    Args:
        components: schemas by name.
        values: values by the name of a member, or by `Shape.member`, which goes first, or whole
            samples by the name of a shape. A member's value that is an object is laid over the
            sample that the schema gives; in it, `...` leaves a member out.
    """

    def __init__(self, components: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        self._components = components
        self._values = values

    def but(self, values: Mapping[str, Any]) -> Samples:
        """The same with other values for some members."""
        return Samples(self._components, {**self._values, **values})

    def of(self, schema: Mapping[str, Any]) -> Any:
        """A sample of a schema."""
        return self._sample(schema, "", "")

    def of_body(self, schema: Mapping[str, Any]) -> Any:
        """A sample of what is sent: what must be there, and what `values` names for this shape."""
        shape = schema["$ref"].rpartition("/")[2]
        if shape in self._values:
            return self._values[shape]
        needed = self._components[shape].get("required", [])
        return {
            member: value
            for member, value in self.of(schema).items()
            if member in needed or f"{shape}.{member}" in self._values
        }

    def _sample(self, schema: Mapping[str, Any], shape: str, member: str) -> Any:
        value = self._values.get(f"{shape}.{member}")
        if value is None and self._fits(self._values.get(member), schema):
            value = self._values[member]
        if value is not None and not isinstance(value, Mapping):
            return (
                [value] if schema.get("type") == "array" and not isinstance(value, list) else value
            )
        return _laid_over(self._made(schema, shape, member), value)

    def _fits(self, value: Any, schema: Mapping[str, Any]) -> bool:
        """Whether a value that goes by a member's name alone is of the type that is wanted."""
        if value is None:
            return False
        if "$ref" in schema:
            return self._fits(value, self._components[schema["$ref"].rpartition("/")[2]])
        if "anyOf" in schema and "type" not in schema:
            return any(self._fits(value, each) for each in schema["anyOf"])
        wanted = schema.get("type")
        return wanted is None or isinstance(value, _TYPES.get(wanted, object))

    def _made(self, schema: Mapping[str, Any], shape: str, member: str) -> Any:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name in self._values:
                return self._values[name]
            return self._made(self._components[name], name, "")
        if "anyOf" in schema and "type" not in schema:
            return self._made(
                next(each for each in schema["anyOf"] if each.get("type") != "null"), shape, member
            )
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type")
        if kind == "array":
            return [self._sample(schema["items"], shape, "")]
        if kind == "object":
            return {
                name: self._sample(described, shape, name)
                for name, described in schema.get("properties", {}).items()
                if self._values.get(f"{shape}.{name}") is not ...
            }
        plain: dict[Any, Any] = {"integer": 12, "number": 1.5, "boolean": True, "string": "text"}
        return plain.get(kind)


def _laid_over(below: Any, above: Mapping[str, Any] | None) -> Any:
    if above is None:
        return below
    if not isinstance(below, Mapping):
        return above
    merged = dict(below)
    for name, value in above.items():
        if value is ...:
            merged.pop(name, None)
        else:
            is_object = isinstance(value, Mapping)
            merged[name] = _laid_over(below.get(name), value) if is_object else value
    return merged
