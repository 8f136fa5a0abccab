"""The whole system with its catalogue and queue on a real PostgreSQL: the same mails, the same figures, every page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from tests.support.mails import report_mail
from tests.support.postgres import PostgresServer, fresh
from tests.support.system import System, skip, wait_for

PAGES = ("/", "/reports", "/problems", "/problems/1", "/activity", "/audit", "/domains/example.com", "/password")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    if not server.start():
        skip(f"no PostgreSQL server can be started here: {server.why}")
    url = asyncio.run(fresh(server.url))
    running = System(tmp_path_factory.mktemp("home") / "home", {"DMARCWORKS_DATABASE_URL": url})
    running.start()
    yield running
    if running.alive:
        running.stop()
    server.stop()


def test_mails_become_figures_and_problems(system: System) -> None:
    """Two reports count once each, a foreign one when it is adopted, a mail without one is other mail."""
    system.add_domains("example.com")
    rua = system.rua["example.com"]
    foreign, none = report_mail("3", domain="mail.example.org"), b"Subject: x\r\n\r\nNo report.\r\n"
    mails = [report_mail("1"), report_mail("2"), report_mail("2"), foreign, none]
    assert system.send(rua, *mails) == [(250, "")] * 5
    wait_for(lambda: system.total() == 10, "counted")
    wait_for(lambda: system.ready()["inbox"]["waiting"] == 0, "read")
    assert [row["reason"] for row in system.json("problems", "list")] == ["other_domain"]
    assert [row["reason"] for row in system.json("problems", "other")] == ["no_report"]
    system.add_domains("example.org")
    assert system.json("problems", "adopt", "--all") == {"mails": 1, "skipped": []}
    wait_for(lambda: system.total() == 15, "adopted")


def test_every_page_is_there(system: System) -> None:
    """What the pages ask is SQL that PostgreSQL takes too."""
    with httpx.Client(base_url=system.http, headers={"Sec-Fetch-Site": "same-origin"}, trust_env=False) as client:
        link = system.login_link().removeprefix(system.http)
        assert client.post(link).status_code == 303
        for page in PAGES:
            assert client.get(page).status_code == 200, page


def test_it_survives_a_restart(system: System) -> None:
    """Nothing was kept anywhere else."""
    assert system.stop() == 0
    system.start()
    assert system.total() == 15
