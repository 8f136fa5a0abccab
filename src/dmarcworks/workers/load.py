"""Workers of the user's own: a setting names them, each a file or module with `async def email(message, env, ctx)`.

`name=path.py` or `name=package.module`, several separated by commas. `recipient(address, env)` is used when it is
there. Refused with `SettingsError`: what cannot be imported or has no `email`.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from dmarcworks.errors import SettingsError

SETTING = "DMARCWORKS_WORKERS"
BINDINGS = "DMARCWORKS_WORKER_BINDINGS"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,48}")
_BINDING = re.compile(r"([A-Za-z0-9_-]{1,48})\.([A-Za-z_][A-Za-z0-9_]{0,63})=(kv|objects|analytics)(?::(.*))?")


def parse_workers(text: str, reserved: str) -> dict[str, str]:
    """Name → path or module, as the setting says."""
    found: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, where = (piece.strip() for piece in entry.partition("="))
        if not _NAME.fullmatch(name) or not where:
            raise SettingsError(f"{SETTING}: {entry!r} is not name=path.py or name=package.module")
        if name == reserved or name in found:
            raise SettingsError(f"{SETTING}: there is a worker {name!r} already")
        found[name] = where
    return found


def parse_bindings(text: str, workers: Mapping[str, str]) -> dict[str, dict[str, tuple[str, str | None]]]:
    """Worker → binding's name → (kind, prefix); None for the prefix of the worker's own."""
    found: dict[str, dict[str, tuple[str, str | None]]] = {name: {} for name in workers}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        match = _BINDING.fullmatch(entry)
        if match is None or match[1] not in found:
            raise SettingsError(f"{BINDINGS}: {entry!r} is not worker.NAME=kv|objects|analytics[:prefix]")
        found[match[1]][match[2]] = (match[3], match[4])
    return found


def load(name: str, where: str) -> ModuleType:
    """The worker's module, imported now."""
    try:
        module = _of_file(name, Path(where)) if where.endswith(".py") else importlib.import_module(where)
    # Other people's code is run by this import; whatever it raises is told as what it is.
    except (Exception, SystemExit) as error:
        raise SettingsError(f"{SETTING}: {name}={where} cannot be imported: {error!r}") from None
    for handler in ("email", "recipient"):
        found = getattr(module, handler, None)
        if (found is None and handler == "email") or (found is not None and not inspect.iscoroutinefunction(found)):
            raise SettingsError(f"{SETTING}: {name}={where} has no `async def {handler}`")
    return module


def _of_file(name: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise SettingsError(f"{SETTING}: there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"dmarcworks_worker_{name.replace('-', '_')}", path)
    if spec is None or spec.loader is None:
        raise SettingsError(f"{SETTING}: {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
