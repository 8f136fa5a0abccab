"""The real system as a process of its own, used from outside only: commands, SMTP, HTTP and a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import smtplib
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, Dialog, Page

from dmarcworks.catalogue.stores import opened
from dmarcworks.ingest.setup import environment
from dmarcworks.settings import load
from dmarcworks.workers.message import Message
from dmarcworks.workers.outcome import ACCEPTED
from tests.support.ingesting import deliver
from tests.support.waiting import PATIENCE, wait_for

SOURCE = Path(__file__).parents[2] / "src"
COMMAND = [sys.executable, "-c", "from dmarcworks.cli import main; main()"]
CHROMIUM = Path("/usr/bin/chromium")
HOST = "reports.example.net"


def skip(reason: str) -> None:
    """Skip; tests/conftest.py makes that a failure when all tests are asked for."""
    pytest.skip(reason)


@dataclass
class System:
    """A home and the process that serves it."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    http: str = ""
    smtp: tuple[str, int] = ("", 0)
    token: str = ""
    account_id: str = ""
    rua: dict[str, str] = field(default_factory=dict)
    command: Sequence[str] = field(default_factory=lambda: COMMAND)

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DMARCWORKS_")}
        ours = {
            "DMARCWORKS_HOME": str(self.home),
            "DMARCWORKS_SMTP_PORT": "0",
            "DMARCWORKS_HTTP_PORT": "0",
            "DMARCWORKS_HOSTNAME": HOST,
            "DMARCWORKS_LOG_FORMAT": "json",
            # Most machines that run tests have no DNS to ask.
            "DMARCWORKS_REPORT_AUTH": "off",
            # Nor do rows depend on the file that was installed.
            "DMARCWORKS_IP_DATA": "off",
            "DMARCWORKS_ADDRESS_NAMES": "off",
            "DMARCWORKS_SETUP_CHECKS": "off",
            "DMARCWORKS_DNS_CHECKS": "off",
        }
        return {**clean, "PYTHONPATH": str(SOURCE), "NO_COLOR": "1", **ours, **self.settings}

    @property
    def output(self) -> Path:
        return self.home.parent / f"{self.home.name}.out"

    @property
    def log(self) -> Path:
        return self.home.parent / f"{self.home.name}.log"

    def start(self) -> None:
        self.launch()
        self.up()

    def launch(self) -> None:
        """Begin to start."""
        with self.output.open("wb") as out, self.log.open("ab") as log:
            self.process = subprocess.Popen([*self.command, "serve"], env=self.environment, stdout=out, stderr=log)

    def up(self) -> None:
        """Until it says so."""
        wait_for(lambda: "is up" in self.output.read_text() or self._died(), "up")
        running = json.loads((self.home / "running.json").read_text())
        self.http = running["http"]
        host, _, port = running["smtp"].rpartition(":")
        self.smtp = (host, int(port))

    def _died(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            pytest.fail(f"the server ended with {self.process.returncode}: {self.log.read_text()[-3000:]}")
        return False

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def login_link(self) -> str:
        """The link that the first start left in a file, because its output is no terminal."""
        return (self.home / "first-login").read_text().strip()

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments], env=self.environment, capture_output=True, text=True, timeout=180, check=False
        )

    def json(self, *arguments: str) -> Any:
        done = self.cli(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def add_domain(self, name: str) -> Mapping[str, Any]:
        """By command, while the server runs; the first time also a token for its account."""
        domain: Mapping[str, Any] = self.json("domain", "add", name)
        if not self.token:
            made = self.json("token", "create")
            self.token, self.account_id = made["token"], made["account_id"]
        assert domain["account_id"] == self.account_id
        self.rua[name] = domain["rua"]
        return domain

    def add_domains(self, *names: str) -> None:
        """What the commands do, on the running system's stores, without the seconds that a process takes to start."""
        settings, _ = load({name: value for name, value in self.environment.items() if name.startswith("DMARCWORKS_")})

        async def add() -> None:
            async with opened(settings) as stores:
                for name in names:
                    await stores.accounts.add_domain(name)
                for domain in await stores.accounts.domains():
                    self.rua[domain.name], self.account_id = domain.rua, domain.account_id
                if self.account_id and not self.token:
                    self.token, _ = await stores.accounts.create_token(self.account_id)

        # Playwright's own loop may be running in this thread.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, add()).result()

    def keep(self, to: str, *mails: bytes) -> None:
        """Accept mails as a process without a reader does: they stand in the queue together."""
        settings, _ = load({name: value for name, value in self.environment.items() if name.startswith("DMARCWORKS_")})

        async def accept() -> None:
            async with opened(settings) as stores:
                env = environment(settings, stores, cast("Any", None))
                for raw in mails:
                    assert await deliver(Message("a@mail.example", to, raw), env) == ACCEPTED

        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, accept()).result()

    def send(self, to: str, *mails: bytes) -> list[tuple[int, str]]:
        """Send with an ordinary client; the last reply to each."""
        return self.send_all([(to, raw) for raw in mails])

    def send_all(self, mails: Iterable[tuple[str, bytes]]) -> list[tuple[int, str]]:
        """The same to a recipient each, over one connection."""
        replies = []
        with smtplib.SMTP(*self.smtp, local_hostname="mail.example", timeout=30) as client:
            for to, raw in mails:
                try:
                    client.sendmail("dmarc@mail.example", [to], raw)
                    replies.append((250, ""))
                except smtplib.SMTPRecipientsRefused as refused:
                    code, words = refused.recipients[to]
                    replies.append((code, words.decode()))
                except smtplib.SMTPResponseException as refused:
                    words = refused.smtp_error
                    replies.append((refused.smtp_code, words.decode() if isinstance(words, bytes) else words))
        return replies

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.http + path, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ready(self) -> dict[str, Any]:
        """What /readyz says, ready or not."""
        told: dict[str, Any] = json.loads(self.get("/readyz")[1])
        return told

    def sql(self, query: str) -> Any:
        """The `data` that the SQL API answers."""
        request = urllib.request.Request(
            f"{self.http}/client/v4/accounts/{self.account_id}/analytics_engine/sql",
            data=query.encode(),
            headers={"Authorization": f"Bearer {self.token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as error:
            pytest.fail(f"{error.code}: {error.read().decode()}")

    def total(self, domain: str = "") -> int:
        """SUM(double8): the messages of the account, or of one policy domain."""
        where = f" WHERE blob4 = '{domain}'" if domain else ""
        (row,) = self.sql(f"SELECT SUM(double8) AS messages FROM dmarc_reports{where}")
        return int(row["messages"])

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """What stands in the catalogue's file: a command for each look would take the suite's whole time."""
        path = self.settings.get("DMARCWORKS_DATABASE_URL", f"sqlite:///{self.home / 'dmarcworks.db'}")
        with contextlib.closing(
            sqlite3.connect(f"file:{path.removeprefix('sqlite:///')}?mode=ro", uri=True, timeout=10)
        ) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement)]

    def settle(self, seconds: float = PATIENCE) -> None:
        """Until every mail that was taken is read."""
        wait_for(lambda: not self.rows("SELECT id FROM queue WHERE dead IS NULL"), "all mails read", seconds)

    def problems(self) -> list[dict[str, Any]]:
        """The open ones."""
        return self.rows("SELECT * FROM problems WHERE state = 'open' ORDER BY id")

    def other_mail(self) -> list[dict[str, Any]]:
        """Mail that is no report."""
        return self.rows("SELECT * FROM problems WHERE state = 'other' ORDER BY id")


class Visitor:
    """A person at a browser; whatever goes wrong in their pages is kept."""

    def __init__(self, browser: Browser) -> None:
        self.context = browser.new_context()
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", self._dialog)
        self.page.set_default_timeout(20_000)

    def _dialog(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def log_in(self, link: str) -> None:
        """By a one-time link: open it, press the button."""
        self.page.goto(link)
        self.page.get_by_role("button").first.click()
        self.page.wait_for_url(lambda url: "/login" not in url)


def figures(page: Page) -> dict[str, str]:
    """The key figures of a domain's page by their names."""
    cards = page.locator(".figures > *")
    return {
        card.locator("span").first.inner_text(): card.locator("b").inner_text()
        for card in [cards.nth(index) for index in range(cards.count())]
    }


def resident(process: subprocess.Popen[bytes] | None) -> int:
    """Resident bytes of the process."""
    assert process is not None
    with open(f"/proc/{process.pid}/status") as status:
        found = re.search(r"VmRSS:\s+(\d+) kB", status.read())
    assert found
    return int(found[1]) * 1024
