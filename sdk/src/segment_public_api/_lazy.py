"""Takes a package's names and their modules; gives the hooks that import each at first use.

Importing the whole package would cost every program a second of models that it may never touch;
so the packages here hold a table of names and load what is asked for (PEP 562).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy(
    package: str, module_by_name: Mapping[str, str], submodules: tuple[str, ...] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` for `package`.

    Args:
        package: its full name.
        module_by_name: name to the module that defines it, relative to the package; a dot in
            front goes to the package above.
        submodules: further modules that can be reached as attributes.
    """
    reachable = {*module_by_name.values(), *submodules}

    def value_of(name: str) -> Any:
        if name in module_by_name:
            module = importlib.import_module(f".{module_by_name[name]}", package)
            value = getattr(module, name)
        elif name in reachable:
            value = importlib.import_module(f".{name}", package)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        # Remembered where the next access finds it without coming here.
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_by_name, *reachable})

    return value_of, names
