"""A server's analytics store; an embedded one belongs to one server at a time."""

from __future__ import annotations

import fcntl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from dmarcworks.analytics.setup import opened_analytics
from dmarcworks.bindings import open as bindings
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue.stores import running_server
from dmarcworks.errors import ConflictError
from dmarcworks.settings import Settings

__all__ = ["server_analytics"]


@asynccontextmanager
async def server_analytics(settings: Settings, present: bool) -> AsyncIterator[Analytics]:
    """The analytics store, or one that refuses when the roles have none; `ConflictError` when another server has it."""
    if not present:
        yield bindings.absent_analytics()
        return
    async with AsyncExitStack() as stack:
        # The engine's lock decides, not the file: a server that was killed leaves its file behind.
        if _locked(settings) and (other := running_server(settings)) is not None:
            raise ConflictError(
                f"a server (process {other['pid']}) is already running on the data directory {settings.home.resolve()};"
                " stop it first, or name another directory with DMARCWORKS_HOME"
            )
        yield await stack.enter_async_context(opened_analytics(settings))


def _locked(settings: Settings) -> bool:
    """Whether another process has the embedded analytics store open. Looked at before, since the engine would print."""
    url = settings.analytics
    if not url.startswith("chdb://"):
        return False
    try:
        with open(Path(url.removeprefix("chdb://")) / "status", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # not there yet, or not to be read: the engine reports what is wrong
        return False
    return False
