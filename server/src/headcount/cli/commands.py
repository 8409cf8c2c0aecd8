"""The commands by their names: takes a name, imports the module that has it when it is asked for.

What all of them import together takes longer than most of them run.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module

import click

__all__ = ["LateCommands"]


class LateCommands(MutableMapping[str, click.Command]):
    """Commands, in an order.

    Args:
        places: name of each to `module:attribute`.
    """

    def __init__(self, places: dict[str, str]) -> None:
        self._places = places
        self._commands: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._commands:
            module, _, attribute = self._places[name].partition(":")
            self._commands[name] = getattr(import_module(module), attribute)
        return self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._places[name] = ""
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._places[name]
        self._commands.pop(name, None)
