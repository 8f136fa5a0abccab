"""`dmarcworks serve`: run the system until it is stopped."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection

import typer
import uvloop

from dmarcworks.errors import UsageError
from dmarcworks.process import garbage, logs, threads
from dmarcworks.settings import Settings, load
from dmarcworks.wiring.server import ROLES, Running
from dmarcworks.wiring.server import serve as run


def serve(
    roles: str = typer.Option(
        ",".join(ROLES),
        "--roles",
        help="Roles of this process: smtp receives mail, worker processes it, web answers HTTP.",
    ),
) -> None:
    """Run SMTP, the worker and the dashboard, or some of them, until SIGTERM or Ctrl-C."""
    wanted = [role.strip() for role in roles.split(",") if role.strip()]
    if not wanted or not set(wanted) <= set(ROLES):
        raise UsageError(f"--roles must be a list of {', '.join(ROLES)}, not {roles!r}")
    settings, _ = load()
    logs.setup(settings.log_format, settings.log_level)
    garbage.rarely()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, wanted))


async def _run(settings: Settings, roles: Collection[str]) -> None:
    # Everything open is closed by then, so a parse that does not end need not delay the exit.
    pool = threads.pool()
    await run(settings, announce, roles)
    await threads.leave(pool)


def announce(running: Running) -> None:
    """Print the addresses for the user; the login link is printed once."""
    lines = ["", "  dmarcworks is up." + (f" Dashboard: {running.public_url}" if running.http else "")]
    if running.smtp:
        lines.append(f"  Report mail: SMTP on {running.smtp}")
    if running.login:
        lines += ["", f"  First login (once, within 24 hours): {running.public_url}{running.login}"]
    elif running.http:
        lines += ["  Log in with your password, or create a link: dmarcworks user link <your address>"]
    lines += ["", "  Next: dmarcworks domain add example.com", ""]
    print("\n".join(lines), flush=True)
    sys.stdout.flush()
