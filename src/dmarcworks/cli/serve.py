"""`dmarcworks serve`: run the whole system until it is told to stop."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from dmarcworks import logs
from dmarcworks.app import Running
from dmarcworks.app import serve as run
from dmarcworks.settings import load


def serve() -> None:
    """Run SMTP, the reader and the dashboard until SIGTERM or Ctrl-C."""
    settings, _ = load()
    logs.setup(settings.log_format, settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings, announce))


def announce(running: Running) -> None:
    """Tell a person where everything is; the login link is printed this once."""
    lines = [
        "",
        f"  dmarcworks is up. Dashboard: {running.public_url}",
        f"  Mail with reports: SMTP on {running.smtp}",
    ]
    if running.login:
        lines += ["", f"  First login (once, within 24 hours): {running.public_url}{running.login}"]
    else:
        lines += ["  Log in with your password, or make a link: dmarcworks user link <your address>"]
    lines += ["", "  Next: dmarcworks domain add example.com", ""]
    print("\n".join(lines), flush=True)
    sys.stdout.flush()
