"""What a started server announces: a value for its caller, and a file for its owner's commands."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Running", "announced"]


@dataclass(frozen=True, slots=True)
class Running:
    """Where a started system is: its addresses, and the first login link's path when one was made.

    `commands` is the HTTP address for commands on this machine, always on a loopback address; `login_file` the file of
    a link that an earlier start made and nobody used yet; `login_name` the first user while they have no password;
    `notices` are sentences that the operator should read.
    """

    smtp: str
    http: str
    public_url: str
    login: str | None
    commands: str = ""
    login_file: Path | None = None
    login_name: str = ""
    notices: tuple[str, ...] = ()


@contextlib.contextmanager
def announced(path: Path, running: Running, secret: str, settings: Mapping[str, str]) -> Iterator[None]:
    """Keep the file while the block runs: where the server is, and the secret that lets its owner's commands in.

    `settings` are those that commands must share with the server, whatever their own environment is.
    """
    content = {"pid": os.getpid(), "http": running.http, "smtp": running.smtp, "secret": secret}
    content |= {"commands": running.commands, "settings": dict(settings)}
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(content, file)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
