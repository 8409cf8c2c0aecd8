"""Names of a package whose modules are imported when they are asked for.

A process that needs one name of a package does not wait for all that the others bring in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["late_names"]


def late_names(package: str, modules: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a package.

    Args:
        package: its name.
        modules: a module of it, to the names, parted by spaces, that it has.
    """
    places = {name: module for module, names in modules.items() for name in names.split()}

    def found(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{places[name]}"), name)

    return found
