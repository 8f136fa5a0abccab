"""A process that only accepts mail, one of several that `routing.smtp.processes` starts.

In: one line on standard input with the settings and where to listen; the input's end stops it.
It opens the shared stores, not the analytics, which belongs to the process that reads and publishes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from functools import partial

import structlog
import uvloop

from dmarcworks.bindings.open import absent_analytics
from dmarcworks.catalogue.stores import opened
from dmarcworks.ingest.setup import environment
from dmarcworks.process import logs
from dmarcworks.process.metrics import Metrics, keep_in
from dmarcworks.process.supervisor import BackgroundTask, OnFailure, Supervisor
from dmarcworks.routing.smtp.processes import READY
from dmarcworks.routing.smtp.receiver import ReceiverSettings, bound_listeners, read_settings, share_of
from dmarcworks.routing.smtp.setup import smtp_server
from dmarcworks.settings import Settings
from dmarcworks.wiring.routing import routing

log = structlog.get_logger("dmarcworks.wiring.smtp_process")
_GRACE_SECONDS = 3.0


async def accept_mail(settings: Settings, receiver: ReceiverSettings) -> None:
    """Accept mail until standard input ends or SIGTERM comes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # Ctrl-C reaches every process of a terminal; this one ends when its parent closes standard input.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    await loop.connect_read_pipe(lambda: _Ends(stop), sys.stdin)
    if receiver.counters is not None:
        keep_in(receiver.counters, receiver.slot)
    shared, metrics = share_of(settings, receiver), Metrics()
    async with opened(shared) as stores:
        env = environment(shared, stores, absent_analytics(), metrics)
        async with routing(shared, stores, env, metrics) as mail, Supervisor() as supervisor:
            server = smtp_server(shared, mail.router, env.full)
            start, drain = partial(server.start, bound_listeners(receiver)), partial(server.stop, _GRACE_SECONDS)
            smtp = BackgroundTask("smtp", server.run, OnFailure.END, start=start, drain=drain)
            await supervisor.start([*mail.background_tasks(), smtp])
            sys.stdout.buffer.write(READY)
            sys.stdout.buffer.flush()
            await supervisor.until(stop)


class _Ends(asyncio.Protocol):
    """Sees the end of a pipe."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def connection_lost(self, error: Exception | None) -> None:
        self._stop.set()


def main() -> None:
    """Read the parent's settings from standard input, then accept mail."""
    receiver, parent = read_settings(sys.stdin.readline()), os.getppid()
    settings = Settings.model_validate(receiver.settings)
    logs.setup(settings.log_format, settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(accept_mail(settings, receiver))
    if receiver.counters is not None and os.getppid() != parent:
        shutil.rmtree(receiver.counters, ignore_errors=True)  # the parent that made it has died


if __name__ == "__main__":
    main()
