"""`dmarcworks serve`: run the system until it is stopped."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Collection
from functools import partial
from pathlib import Path

import structlog
import typer
import uvloop

from dmarcworks.api.first_login import FirstLogin
from dmarcworks.catalogue.accounts import FIRST_USER
from dmarcworks.errors import UsageError
from dmarcworks.process import garbage, logs, threads
from dmarcworks.process.announcement import Running
from dmarcworks.settings import Settings, load
from dmarcworks.wiring.server import ROLES
from dmarcworks.wiring.server import serve as run

log = structlog.get_logger("dmarcworks.serve")


def serve(
    roles: str = typer.Option(
        ",".join(ROLES),
        "--roles",
        help="Roles of this process: smtp receives mail, worker processes it, web answers HTTP.",
    ),
    accept_loss: bool = typer.Option(
        False, "--accept-loss", help="Start although a store has lost its content, and record that content as deleted."
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
        runner.run(_run(settings, wanted, accept_loss))


async def _run(settings: Settings, roles: Collection[str], accept_loss: bool) -> None:
    # Everything open is closed by then, so a parse that does not end need not delay the exit.
    pool = threads.pool()
    await run(settings, partial(announce, settings.home), roles, accept_loss=accept_loss)
    await threads.leave(pool)


def announce(data_directory: Path, running: Running) -> None:
    """Print the addresses for the user, and the first login link: itself on a terminal, else the path of its file."""
    lines = ["", "  dmarcworks is up." + (f" Dashboard: {running.public_url}" if running.http else "")]
    if running.smtp:
        lines.append(f"  Report mail: SMTP on {running.smtp}")
    lines.append(f"  Data directory: {data_directory.resolve()}")
    if running.login:
        lines += ["", f"  {first_login(data_directory, running)}"]
    elif running.login_file:
        lines += ["", f"  First login (once): {running.login_file} holds the link"]
    elif running.http:
        name = running.login_name or "<your address>"
        lines += [f"  Log in with your password, or create a link: {this_command(data_directory)} user link {name}"]
    if running.notices:
        lines += ["", *(f"  {line}" for line in running.notices)]
    lines += ["", f"  Next: {this_command(data_directory)} domain add example.com", ""]
    print("\n".join(lines), flush=True)
    sys.stdout.flush()


def this_command(data_directory: Path) -> str:
    """The start of a command line that works from any directory: absolute paths, and the data directory's name."""
    called = Path(sys.argv[0])
    if called.name != "dmarcworks" or not called.exists():
        # Started as a module: the script is in the directory of the interpreter.
        called = Path(sys.executable).with_name("dmarcworks")
    program = shlex.quote(str(called.absolute())) if called.exists() else "dmarcworks"
    return f"DMARCWORKS_HOME={shlex.quote(str(data_directory.resolve()))} {program}"


def first_login(data_directory: Path, running: Running) -> str:
    """The sentence that leads to the first login.

    Standard output that is not a terminal may be a journal, which others can read: the link is then written to a file.
    """
    link = f"{running.public_url}{running.login}"
    if sys.stdout.isatty():
        return f"First login (once, within 24 hours): {link}"
    file = FirstLogin(data_directory)
    if file.write(link):
        return f"First login (once, within 24 hours): {file.path} holds the link"
    command = f"{this_command(data_directory)} user link {FIRST_USER}"
    return f"First login: {file.path} cannot be written; create a link with: {command}"
