"""`dmarcworks demo`: the real system in a temporary directory, filled over real SMTP with sample reports."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import smtplib
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dmarcworks.bindings.contracts import SYSTEM_QUEUE, Queue
from dmarcworks.catalogue.stores import Stores, opened
from dmarcworks.cli import demo_data, demo_mails
from dmarcworks.cli.demo_dns import demo_names
from dmarcworks.errors import UsageError
from dmarcworks.process import logs
from dmarcworks.process.announcement import Running
from dmarcworks.settings import Settings, load
from dmarcworks.wiring.server import serve

DOMAIN = "example.com"
CONNECTIONS = 3
Mail = tuple[str, bytes]


def demo(
    days: int = typer.Option(90, "--days", min=1, max=730, help="Days of reports, up to yesterday."),
    data_directory: Path | None = typer.Option(
        None, "--home", help="An empty folder to use and keep, instead of a temporary one."
    ),
) -> None:
    """Run the system in a temporary directory with sample reports; Ctrl-C stops it and removes the directory."""
    _end_on_sigterm()
    with _demo_directory(data_directory) as folder:
        settings = demo_settings(folder)
        logs.setup(settings.log_format, settings.log_level)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings, days))


def demo_settings(data_directory: Path) -> Settings:
    """The user's settings, except for the stores: those are always in the demo's folder, never the user's real ones."""
    settings, sources = load()
    changes: dict[str, object] = {"home": data_directory, "database_url": "", "objects_url": "", "analytics_url": ""}
    quiet = {
        "smtp_port": 0,
        "http_port": 0,
        "hostname": "reports.example.net",
        "log_level": "warning",
        "report_auth": "off",
    }
    changes |= {name: value for name, value in quiet.items() if name not in sources}
    return settings.model_copy(update=changes)


@contextlib.contextmanager
def _demo_directory(wanted: Path | None) -> Iterator[Path]:
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="dmarcworks-demo-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
        return
    if wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
        raise UsageError(f"--home {wanted} is not an empty folder; the demo does not mix with existing data")
    yield wanted


def _end_on_sigterm() -> None:
    """While the server does not handle SIGTERM, exit through the blocks that remove the folder."""

    def leave(number: int, frame: object) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)


async def _run(settings: Settings, days: int) -> None:
    filling: list[asyncio.Task[None]] = []
    async with opened(settings) as stores:
        domain = await stores.accounts.add_domain(DOMAIN, operator=True)
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        stop = threading.Event()

        def started(running: Running) -> None:
            filling.append(asyncio.create_task(_fill(running, stores, domain.rua, yesterday, days, stop)))

        try:
            async with demo_names(DOMAIN, domain.rua) as server:
                # Nothing of the demo exists outside: its names come from its own name server.
                own = settings if settings.dns_server else settings.model_copy(update={"dns_server": server})
                await serve(own, started)
        finally:
            stop.set()
            for task in filling:
                task.cancel()
            # The task reports its own failure; here it only has to end before the folder is removed.
            await asyncio.gather(*filling, return_exceptions=True)


async def _fill(running: Running, stores: Stores, rua: str, last: date, days: int, stop: threading.Event) -> None:
    console = Console()
    console.print(
        f"[bold]dmarcworks demo[/]: {days} days of sample reports about {DOMAIN}, sent over SMTP", highlight=False
    )
    mails = await asyncio.to_thread(_mails, rua, last, days)
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            sending = progress.add_task("reports sent", total=len(mails))
            await asyncio.to_thread(
                send, running.smtp, rua, mails, stop, lambda: progress.advance(sending), CONNECTIONS
            )
            await _drained(stores.queue)
    except (OSError, smtplib.SMTPException) as error:
        if not stop.is_set():
            console.print(f"  Sending stopped: {error}", style="red", markup=False, highlight=False)
    if not stop.is_set():
        print("\n".join(_instructions(running, rua, len(mails))), flush=True)


def _mails(rua: str, last: date, days: int) -> list[Mail]:
    reports = list(demo_data.reports(DOMAIN, last, days))
    mails = [(report.reporter.email, demo_mails.mail(report, rua)) for report in reports]
    again = mails[-1:]  # the same report sent twice is counted once
    return [*mails, *again, *demo_mails.broken(DOMAIN, last, rua)]


def send(
    smtp: str, to: str, mails: Sequence[Mail], stop: threading.Event, done: Callable[[], None], connections: int = 1
) -> None:
    """Send the mails over SMTP, in order on each of some connections; blocks until done or until `stop` is set."""
    host, _, port = smtp.rpartition(":")
    failures: list[Exception] = []

    def worker(share: Sequence[Mail]) -> None:
        try:
            with smtplib.SMTP(host.strip("[]"), int(port), local_hostname="demo.example", timeout=60) as client:
                for sender, raw in share:
                    if stop.is_set() or failures:
                        return
                    client.sendmail(sender, [to], raw)
                    done()
        except (OSError, smtplib.SMTPException) as error:
            failures.append(error)

    threads = [threading.Thread(target=worker, args=(mails[first::connections],)) for first in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


async def _drained(queue: Queue) -> None:
    """Wait until every mail is processed and published."""
    while True:
        stats = (await queue.stats()).get(SYSTEM_QUEUE)
        if stats is None or not stats.ready + stats.delayed + stats.leased:
            return
        await asyncio.sleep(0.1)


def _instructions(running: Running, rua: str, mails: int) -> list[str]:
    login = f"{running.public_url}{running.login}" if running.login else running.public_url
    return [
        "",
        f"  Dashboard, with {mails} mails processed: {running.public_url}",
        f"  One-time login link: {login}",
        "",
        f"  Send more reports to {rua} over SMTP on {running.smtp}",
        "  Ctrl-C stops the demo and removes its temporary directory.",
        "",
    ]
