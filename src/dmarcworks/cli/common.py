"""Shared by the commands: open the stores and run a coroutine over them, print tables and JSON."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from dmarcworks.settings import Settings, load, with_shared

# Imported when a command opens the stores: `settings` and its like do not.
if TYPE_CHECKING:
    from dmarcworks.catalogue.stores import Stores

Result = TypeVar("Result")
_UNBROKEN = 10_000


def with_stores(work: Callable[[Stores, Settings], Awaitable[Result]]) -> Result:
    """Open the catalogue's stores (a running server may have them open too) and do the work."""
    from dmarcworks.catalogue.audit import act, command
    from dmarcworks.catalogue.stores import opened

    settings, named = _shared()
    act(command())

    async def run() -> Result:
        async with opened(settings, create=False, recorded_hostname=not named) as stores:
            return await work(stores, settings.model_copy(update={"hostname": stores.accounts.hostname}))

    return asyncio.run(run())


def command_settings() -> Settings:
    """The settings of a command: those of the running server of the data directory come before its own."""
    return _shared()[0]


def _shared() -> tuple[Settings, bool]:
    """The settings, and whether the host name is the running server's or was set for the command."""
    from dmarcworks.catalogue.stores import running_server

    settings, sources = load()
    running = running_server(settings)
    if running is None:
        return settings, "hostname" in sources
    return with_shared(settings, sources, running.get("settings")), True


def dashboard_address(settings: Settings) -> str:
    """The dashboard's address for a link: the setting, otherwise the running server's address."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    from dmarcworks.catalogue.stores import running_server

    running = running_server(settings)
    return str(running["http"]) if running else f"http://{settings.http_host}:{settings.http_port}"


def print_json(value: Any) -> None:
    """One JSON document on standard output; times as ISO 8601."""
    print(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """A table for people, or the sentence `empty`. Text from strangers stays text."""
    # Imported when a table is printed: most commands print JSON for a program as often.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # A file or a pipe has no width: a line stays whole there, for grep and its like.
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _UNBROKEN)
    if not rows:
        console.print(empty, highlight=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("".join(c if c.isprintable() else " " for c in _cell(cell))) for cell in row))
    console.print(table)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return "–" if value is None else str(value)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
