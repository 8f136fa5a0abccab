"""The list of the server's background tasks: what each role runs, in which order, and what a failure does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from dmarcworks.bindings.absent import AbsentAnalytics
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.process.descriptors import shared
from dmarcworks.process.supervisor import BackgroundTask, BackgroundTaskError, OnFailure
from dmarcworks.routing.smtp import SmtpServer
from dmarcworks.settings import load
from dmarcworks.wiring import server as composition

MAIL = ["data points", "activity log"]
UPKEEP = [
    "domain notes",
    "retention",
    "names of addresses",
    "set-up of domains",
    "refresh of senders",
    "checks of DNS records",
]
QUEUE = ["takeover", "queue of dmarc, consumer 0", "queue of dmarc, consumer 1"]
WORKER = "async def email(message, env, ctx): ...\nasync def queue(batch, env, ctx): ...\n"


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list does not depend on the analytics store, and one process opens one only."""

    def absent(settings: object, present: bool) -> AbstractAsyncContextManager[Analytics]:
        return contextlib.nullcontext(AbsentAnalytics())

    async def settled(*arguments: object, **options: object) -> None:
        """There is nothing to compare with the catalogue."""

    monkeypatch.setattr(composition, "server_analytics", absent)
    monkeypatch.setattr(composition, "settle_analytics", settled)


async def tasks(home: Path, roles: Collection[str], **settings: str) -> list[BackgroundTask]:
    worker = home / "mine.py"
    worker.write_text(WORKER)
    wanted = {"HOME": str(home / "home"), "HTTP_PORT": "0", "SMTP_PORT": "0", "REPORT_AUTH": "off"}
    wanted |= {name.upper(): value.format(worker=worker) for name, value in settings.items()}
    loaded, _ = load({f"DMARCWORKS_{name}": value for name, value in wanted.items()})
    async with composition.opened_server(loaded, roles, shared(4096, 1000, 500), False) as server:
        return composition.background_tasks(server, "secret")


@pytest.mark.parametrize(
    ("roles", "settings", "names"),
    [
        (["smtp"], {}, [*MAIL, "smtp"]),
        (["web"], {}, [*MAIL, "http"]),
        (["worker"], {}, [*UPKEEP, *MAIL, "mailboxes", *QUEUE]),
        (composition.ROLES, {}, [*UPKEEP, *MAIL, "mailboxes", "smtp", "http", *QUEUE]),
        (["smtp"], {"smtp_processes": "2"}, [*MAIL, "smtp", "smtp process 0", "smtp process 1"]),
        (["smtp"], {"workers": "mine={worker}"}, [*MAIL, "smtp"]),
        (
            composition.ROLES,
            {"workers": "mine={worker}", "relay_url": "smtp://127.0.0.1:25", "metrics_port": "9"},
            [*UPKEEP, *MAIL, "outbound mail", "mailboxes", "queue of mine", "smtp", "monitoring", "http", *QUEUE],
        ),
    ],
)
async def test_each_role_has_its_tasks_in_order(
    tmp_path: Path, unused_tcp_port: int, roles: list[str], settings: dict[str, str], names: list[str]
) -> None:
    """Users' queues are consumed by the role worker only; the system's queue is consumed last."""
    if "metrics_port" in settings:
        settings = {**settings, "metrics_port": str(unused_tcp_port)}
    assert [task.name for task in await tasks(tmp_path, roles, **settings)] == names


async def test_what_takes_work_in_is_drained_and_servers_end_the_process(tmp_path: Path) -> None:
    """SMTP and the consumers have something to finish; a server that ends by itself must not go unnoticed."""
    listed = await tasks(tmp_path, composition.ROLES, workers="mine={worker}")
    assert [task.name for task in listed if task.drain is not None] == [
        "mailboxes",
        "queue of mine",
        "smtp",
        "queue of dmarc, consumer 0",
        "queue of dmarc, consumer 1",
    ]
    assert [task.name for task in listed if task.on_failure is OnFailure.END] == ["smtp", "http"]
    assert {task.name: task.grace for task in listed if task.stop is not None} == {
        "data points": None,
        "activity log": None,
        "http": 1.5,
    }


async def test_a_listener_that_breaks_ends_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an error, so that the service manager starts it again, and after an orderly stop."""
    stopped: list[float] = []
    stop = SmtpServer.stop

    async def broken(self: SmtpServer, bound: object) -> None:
        raise RuntimeError("accepting broke")

    async def noted(self: SmtpServer, grace: float = 5.0) -> None:
        stopped.append(grace)
        await stop(self, grace)

    monkeypatch.setattr(SmtpServer, "_accept", broken)
    monkeypatch.setattr(SmtpServer, "stop", noted)
    settings, _ = load(
        {
            "DMARCWORKS_HOME": str(tmp_path / "home"),
            "DMARCWORKS_REPORT_AUTH": "off",
            "DMARCWORKS_SMTP_LISTEN": "127.0.0.1:0/proxy",
            "DMARCWORKS_SMTP_PROXY_NETWORKS": "127.0.0.1/32",
        }
    )
    with pytest.raises(BackgroundTaskError, match="the background task 'smtp' ended: accepting broke"):
        await asyncio.wait_for(composition.serve(settings, roles=["smtp"]), 30)
    assert stopped == [3.0]
