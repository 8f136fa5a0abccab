"""Workers of the user's own: a setting names them, each a file or module with `async def email(message, env, ctx)`.

`name=path.py` or `name=package.module`, several separated by commas. `recipient(address, env)` and
`queue(batch, env, ctx)` are used when they are there. Refused with `SettingsError`: what cannot be imported or has no
handler, and a queue that nobody consumes.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from dmarcworks.errors import SettingsError
from dmarcworks.workers.consumer import QueuePolicy

SETTING = "DMARCWORKS_WORKERS"
BINDINGS = "DMARCWORKS_WORKER_BINDINGS"
QUEUES = "DMARCWORKS_WORKER_QUEUES"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,48}")
_BINDING = re.compile(r"([A-Za-z0-9_-]{1,48})\.([A-Za-z_][A-Za-z0-9_]{0,63})=(kv|objects|analytics|queue)(?::(.*))?")
_FEEDING = re.compile(r"([A-Za-z0-9_-]{1,48})\.([a-z_]+)=([A-Za-z0-9._-]{1,48})")
_BOUNDS = {
    "max_batch_size": (1, 100),
    "max_batch_timeout": (0, 60),
    "max_retries": (0, 100),
    "retry_delay": (0, 43_200),
}


def parse_workers(text: str, reserved: str) -> dict[str, str]:
    """Name → path or module, as the setting defines them."""
    files: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, where = (piece.strip() for piece in entry.partition("="))
        if not _NAME.fullmatch(name) or not where:
            raise SettingsError(f"{SETTING}: {entry!r} is not name=path.py or name=package.module")
        if name == reserved or name in files:
            raise SettingsError(f"{SETTING}: there is a worker {name!r} already")
        files[name] = where
    return files


def parse_bindings(text: str, workers: Mapping[str, str]) -> dict[str, dict[str, tuple[str, str | None]]]:
    """Worker → binding's name → (kind, prefix); None for the prefix of the worker's own."""
    variables: dict[str, dict[str, tuple[str, str | None]]] = {name: {} for name in workers}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        match = _BINDING.fullmatch(entry)
        if match is None or match[1] not in variables:
            raise SettingsError(f"{BINDINGS}: {entry!r} is not worker.NAME=kv|objects|analytics|queue[:prefix]")
        variables[match[1]][match[2]] = (match[3], match[4])
    return variables


def parse_queues(text: str, workers: Mapping[str, str]) -> dict[str, QueuePolicy]:
    """Worker → how its queue is consumed."""
    policies = {name: QueuePolicy() for name in workers}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        match = _FEEDING.fullmatch(entry)
        if match is None or match[1] not in policies or match[2] not in (*_BOUNDS, "dead_letter_queue"):
            options = "|".join((*_BOUNDS, "dead_letter_queue"))
            raise SettingsError(f"{QUEUES}: {entry!r} is not worker.OPTION=value with OPTION {options}")
        name, option, value = match.groups()
        if option == "dead_letter_queue":
            if value == name:
                raise SettingsError(f"{QUEUES}: {entry!r}: a queue cannot take its own dead letters")
            policies[name] = replace(policies[name], dead_letter_queue=value)
            continue
        least, most = _BOUNDS[option]
        if not value.isdecimal() or not least <= int(value) <= most:
            raise SettingsError(f"{QUEUES}: {entry!r}: {option} is {least} to {most}")
        given: Any = {option: int(value)}
        policies[name] = replace(policies[name], **given)
    return policies


def check_queues(
    consuming: Collection[str],
    bindings: Mapping[str, Mapping[str, tuple[str, str | None]]],
    feeding: Mapping[str, QueuePolicy],
) -> None:
    """Every queue that is named has a consumer: what is sent to it must not wait for ever."""
    for worker, named in bindings.items():
        for name, (kind, queue) in named.items():
            if kind == "queue" and (queue or worker) not in consuming:
                raise SettingsError(f"{BINDINGS}: {worker}.{name}: no worker {queue or worker!r} has a `queue` handler")
    for worker, options in feeding.items():
        if options != QueuePolicy() and worker not in consuming:
            raise SettingsError(f"{QUEUES}: worker {worker!r} has no `queue` handler")
        if options.dead_letter_queue and options.dead_letter_queue not in consuming:
            raise SettingsError(f"{QUEUES}: {worker}: no worker {options.dead_letter_queue!r} has a `queue` handler")


def load(name: str, where: str) -> ModuleType:
    """The worker's module, imported now."""
    try:
        module = _of_file(name, Path(where)) if where.endswith(".py") else importlib.import_module(where)
    # Other people's code is run by this import; whatever it raises is reported as it is.
    except (Exception, SystemExit) as error:
        raise SettingsError(f"{SETTING}: {name}={where} cannot be imported: {error!r}") from None
    for handler in ("email", "recipient", "queue"):
        function = getattr(module, handler, None)
        missing = function is None and handler == "email" and not hasattr(module, "queue")
        if missing or (function is not None and not inspect.iscoroutinefunction(function)):
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
