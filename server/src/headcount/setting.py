"""What one setting is: its names on the command line, in variables and in the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ENV_PREFIX", "About", "Setting"]

ENV_PREFIX = "HEADCOUNT_"
"""What the variables of all settings begin with."""


@dataclass(frozen=True, slots=True)
class About:
    """What the annotation of a setting says: how a value looks, is read, and what it is for."""

    metavar: str
    parse: Callable[[str], object]
    doc: str
    reading: bool = False
    default_varies: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """How one field of `Settings` is called and what it takes.

    Attributes:
        name: the field, and the key in headcount.toml.
        metavar: what a value looks like in help texts.
        parse: text to value; raises ValueError with what would be right.
        doc: what it is for.
        default: the value that holds when nobody sets it.
        reading: whether it is for commands that read usage, and not for the server.
        default_varies: whether the default depends on the machine; `doc` then says how.
    """

    name: str
    metavar: str
    parse: Callable[[str], object]
    doc: str
    default: object
    reading: bool
    default_varies: bool

    @property
    def is_switch(self) -> bool:
        """Whether it is true or false, and its flag takes no value."""
        return isinstance(self.default, bool)

    @property
    def flag(self) -> str:
        """The option on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def default_text(self) -> str | None:
        """The default as documentation shows it; None where there is none, or `doc` says it."""
        if self.default is None or self.default_varies or self.is_switch:
            return None
        return str(self.default)

    @property
    def env(self) -> str:
        """The environment variable."""
        return ENV_PREFIX + self.name.upper()
