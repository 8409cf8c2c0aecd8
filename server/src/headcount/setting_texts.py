"""Settings as texts, for another process: takes `Settings`, gives what a variable could hold, and
back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headcount.config import SETTINGS, Settings
from headcount.setting_values import Address

__all__ = ["settings_from", "texts_of"]


def texts_of(settings: Settings) -> dict[str, str]:
    """Settings as texts, for another process: what `settings_from` reads.

    Those without a value are left out; paths are absolute, wherever the other process works.
    """
    values = {name: getattr(settings, name) for name in SETTINGS}
    return {name: _text_of(value) for name, value in values.items() if value is not None}


def settings_from(texts: Mapping[str, str]) -> Settings:
    """The settings that `texts_of` wrote."""
    values: dict[str, Any] = {name: SETTINGS[name].parse(text) for name, text in texts.items()}
    return Settings(**values)


def _text_of(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case Path():
            return str(value.absolute())
        case Address():
            return str(value)
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)
