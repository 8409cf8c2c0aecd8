"""Takes flags, `HEADCOUNT_*` variables and headcount.toml, gives one `Settings`.

A flag goes before a variable, a variable before the file. Refuses values that cannot be used, by
name, with where they came from and what would be right.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headcount.config import (
    CONFIG_ENV,
    DEFAULTS,
    ENV_PREFIX,
    SECRET_ENVS,
    SETTINGS,
    Setting,
    Settings,
)
from headcount.errors import SettingError

__all__ = ["load_settings"]

_FILE_NAME = "headcount.toml"


def load_settings(
    flags: Mapping[str, str | None],
    environ: Mapping[str, str],
    config: str | None = None,
) -> tuple[Settings, list[str]]:
    """Settings from a command line, an environment and a file.

    Args:
        flags: setting names to the texts given as flags; None where a flag was left out.
        environ: the environment; empty values count as not set.
        config: the settings file; when None, the one that `HEADCOUNT_CONFIG` names, else
            headcount.toml in the working folder if there is one.

    Returns:
        The settings, and warnings about variables that look like settings but are none.

    Raises:
        SettingError: a value cannot be used, the file cannot be read, or it has unknown keys.
    """
    file = _config_file(config, environ)
    texts, folder = _file_texts(file) if file is not None else ({}, Path())
    values: dict[str, Any] = {}
    for name, text in texts.items():
        value = _parsed(SETTINGS[name], text, f"{name} in {file}")
        # What a file says about paths must not depend on where the command was started.
        values[name] = folder / value if isinstance(value, Path) else value
    for name, setting in SETTINGS.items():
        if env_text := environ.get(setting.env):
            values[name] = _parsed(setting, env_text, f"The variable {setting.env}")
    for name, flag_text in flags.items():
        if flag_text is not None:
            setting = SETTINGS[name]
            values[name] = _parsed(setting, flag_text, f"The option {setting.flag}")
    settings = Settings(**values)
    if settings.tracking == settings.api and settings.api.port:
        raise SettingError(
            f"The tracking and the API address are both {settings.api}.",
            "Give --tracking and --api two different ports.",
        )
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise SettingError(
            "Of --tls-cert and --tls-key only one is given.",
            "Give both: TLS needs the certificate and its private key.",
        )
    _check_cluster(settings)
    return settings, _unknown_variables(environ)


def _check_cluster(settings: Settings) -> None:
    """See that nobody relies on a setting that means nothing where they gave it."""
    if settings.cluster is not None:
        if settings.prune_after == "backup" and settings.backups is None:
            raise SettingError(
                "--prune-after backup keeps journals until backups hold what they hold, and there"
                " are none.",
                "Name the folder of the partitions' backups with --backups (HEADCOUNT_BACKUPS).",
            )
        return
    for name in ("node", "ack", "prune_after", "take_over_after", "backups"):
        if getattr(settings, name) != getattr(DEFAULTS, name):
            raise SettingError(
                f"{SETTINGS[name].flag} means something in a cluster only, and none is named.",
                "Name it with --cluster (HEADCOUNT_CLUSTER), or leave it out.",
            )


def _config_file(config: str | None, environ: Mapping[str, str]) -> Path | None:
    if named := config or environ.get(CONFIG_ENV):
        return Path(named).expanduser()
    found = Path(_FILE_NAME)
    return found if found.exists() else None


def _file_texts(file: Path) -> tuple[dict[str, str], Path]:
    try:
        entries = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SettingError(
            f"The settings file {file} cannot be read: {error.strerror}.",
            "Name another one with --config, or fix its permissions.",
        ) from error
    except ValueError as error:
        raise SettingError(
            f"The settings file {file} is not TOML: {error}.",
            'Write lines such as: workers = 2, or: data = "/var/lib/headcount".',
        ) from error
    texts = {}
    for name, value in entries.items():
        if name not in SETTINGS:
            raise SettingError(
                f'The settings file {file} has an unknown key "{name}".',
                _did_you_mean(name, list(SETTINGS)),
            )
        if SETTINGS[name].is_switch and isinstance(value, bool):
            texts[name] = str(value).lower()
            continue
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise SettingError(
                f"{name} in {file} is neither text nor a whole number.",
                f"Give it as {SETTINGS[name].metavar or 'true or false'}, in quotes unless it is a"
                " number.",
            )
        texts[name] = str(value)
    return texts, file.parent


def _parsed(setting: Setting, text: str, place: str) -> object:
    try:
        return setting.parse(text)
    except ValueError as error:
        # An address may hold a password, which is quoted nowhere.
        said = "cannot be used" if setting.name == "cluster" else f'is "{text}"'
        raise SettingError(f"{place} {said}.", f"Give {error}.") from error


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    known = [CONFIG_ENV, *SECRET_ENVS, *(setting.env for setting in SETTINGS.values())]
    return [
        f"The variable {name} is not a known setting and is ignored. {_did_you_mean(name, known)}"
        for name in sorted(environ)
        if name.startswith(ENV_PREFIX) and name not in known
    ]


def _did_you_mean(name: str, known: list[str]) -> str:
    if close := difflib.get_close_matches(name, known, n=1):
        return f"Did you mean {close[0]}?"
    return f"Known are: {', '.join(known)}."
