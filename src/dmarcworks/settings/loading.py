"""Where settings come from: the environment, then a TOML file, then the default.

In: `DMARCWORKS_<NAME>` variables, `DMARCWORKS_<NAME>_FILE` (a file whose content is the value, for secrets), and the
TOML file that `DMARCWORKS_CONFIG` names, which may also hold tables (`tables.py`). Out: a frozen `Settings`. Refused
with `SettingsError`: an unknown name (the closest one is suggested), a value out of its bounds, a file that cannot be
read.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dmarcworks.errors import SettingsError
from dmarcworks.settings.definitions import Settings
from dmarcworks.settings.shown import shown_value
from dmarcworks.settings.tables import TABLES

__all__ = ["CONFIG", "PREFIX", "load"]

PREFIX = "DMARCWORKS_"
CONFIG = "DMARCWORKS_CONFIG"


def load(environ: Mapping[str, str] | None = None) -> tuple[Settings, dict[str, str]]:
    """The settings, and the source of each name that was set; `SettingsError` names what is wrong."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    if path := environ.get(CONFIG):
        for name, value in _toml(path).items():
            if table := TABLES.get(name):
                values[table.setting], sources[table.setting] = table.read(path, value), path
                continue
            _known(name, f"{path}: {name}", "")
            values[name], sources[name] = value, path
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable == CONFIG or variable.startswith(PREFIX + "TEST_"):
            continue
        name = variable[len(PREFIX) :].lower()
        if name.endswith("_file") and name not in Settings.model_fields:
            name, value = name[: -len("_file")], _secret(variable, value)
        _known(name, variable, PREFIX)
        values[name], sources[name] = value, variable
    try:
        return Settings.model_validate(values), sources
    except ValidationError as error:
        lines = []
        for detail in error.errors():
            name = str(detail["loc"][0]) if detail["loc"] else "?"
            shown = shown_value(name, str(values.get(name)))
            lines.append(f"{sources.get(name, name)}={shown}: {detail['msg']}")
        raise SettingsError("; ".join(lines)) from None


def _known(name: str, shown: str, prefix: str) -> None:
    names = Settings.model_fields.keys() - {table.setting for table in TABLES.values()}
    if name in names:
        return
    # Compared without the prefix, which alone would make any two names similar. Only the file has tables.
    near = difflib.get_close_matches(name, sorted(names if prefix else names | TABLES.keys()), n=1)
    hint = "; `dmarcworks settings` lists all settings"
    if near:
        hint = f"; did you mean {prefix + near[0].upper() if prefix else near[0]}?"
    raise SettingsError(f"{shown} is not a setting{hint}")


def _toml(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{CONFIG}={path} cannot be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None


def _secret(variable: str, path: str) -> str:
    try:
        value = Path(path).read_text().strip()
    except OSError as error:
        raise SettingsError(f"{variable}={path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:  # the error's text would quote the secret
        raise SettingsError(f"{variable}={path} cannot be read: it is not text") from None
    if not value:
        # An empty secret must not disable what it protects.
        raise SettingsError(f"{variable}={path} is empty")
    return value
