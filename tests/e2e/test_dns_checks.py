"""A server that checks DNS by itself: a domain that is added is checked, a change is in its history, by command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dns_server import dns_server
from tests.support.system import System
from tests.support.waiting import wait_for

NAME = "checked.example"
RECORDS = {
    (f"_dmarc.{NAME}", "TXT"): [f'"v=DMARC1; p=none; rua=mailto:d@{NAME}"'],
    (NAME, "TXT"): ['"v=spf1 -all"'],
    (NAME, "MX"): ["0 ."],
}


@pytest.fixture(scope="module")
def checking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    records = dict(RECORDS)
    with dns_server(records) as port:
        settings = {"DMARCWORKS_DNS_CHECKS": "on", "DMARCWORKS_DNS_SERVER": f"127.0.0.1:{port}"}
        running = System(Path(tmp_path_factory.mktemp("checking")) / "home", settings)
        running.add_domains(NAME)
        running.start()
        yield running
        if running.alive:
            running.stop()


def test_a_new_domain_is_checked_by_itself(checking: System) -> None:
    wait_for(lambda: checking.json("domain", "history", NAME)["records"] != [], "checked")
    history = checking.json("domain", "history", NAME)
    assert {(one["kind"], tuple(one["records"])) for one in history["records"] if one["records"]} == {
        ("dmarc", (f"v=DMARC1; p=none; rua=mailto:d@{NAME}",)), ("spf", ("v=spf1 -all",)), ("mx", ("0 .",)),
    }  # fmt: skip
    assert {one["what"] for one in history["changes"]} == {"first seen"}
    done = checking.cli("domain", "history", NAME)
    assert done.returncode == 0, done.stderr
    assert f"first seen  dmarc  _dmarc.{NAME}\n  + v=DMARC1; p=none; rua=mailto:d@{NAME}\n" in done.stdout
    assert "No report of this period states the domain's policy." in done.stdout
    done = checking.cli("domain", "silence", NAME)
    assert (done.returncode, done.stdout) == (0, f"{NAME}: no report in the last 60 days.\n")
    assert checking.json("domain", "silence", NAME)["silent"] is None
    _, metrics = checking.get("/metrics")
    assert 'dmarcworks_dns_checks_total{outcome="answered",part="records"} 1.0' in metrics
    assert checking.stop() == 0
