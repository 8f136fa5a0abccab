"""Promise: mails that are checked together have the results that each would have alone, whoever keeps DNS waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from dmarcworks.bindings.contracts import QueueMessage
from dmarcworks.catalogue.authenticity import AuthenticityCatalogue
from dmarcworks.enrich.authenticity import MailToCheck, check
from dmarcworks.enrich.resolver import Dns
from dmarcworks.ingest.authentication import ReportAuthenticator
from dmarcworks.ingest.steps import Mail
from dmarcworks.reports.model import Reading
from dmarcworks.workers.runtime import BatchMessage
from outside import Names, answering

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def names() -> Iterator[Names]:
    there = Names()
    there.add(
        {
            ("example.com", "TXT"): "v=spf1 ip4:192.0.2.0/24 -all",
            ("_dmarc.example.com", "TXT"): "v=DMARC1; p=reject",
            ("example.org", "TXT"): "v=spf1 -all",
            ("_dmarc.example.org", "TXT"): "v=DMARC1; p=none",
        }
    )
    with answering(there):
        yield there


def mails() -> list[Mail]:
    """Three reporters in turns, each with authors of its own."""
    envelopes = [("192.0.2.9", "example.com"), ("198.51.100.1", "example.com"), ("192.0.2.9", "example.org")]
    found = []
    for number in range(30):
        peer, domain = envelopes[number % 3]
        author = domain if number % 2 else "nobody.example"
        raw = f"From: a@{author}\r\nSubject: {number}\r\n\r\nBody\r\n".encode()
        body = {"peer": peer, "sender": f"b@{domain}", "helo": "out.example.net", "mail_id": f"{number:032}"}
        message = BatchMessage(QueueMessage(number, body, NOW, 1, 0))
        found.append(Mail(message, NOW, Reading((), ()), raw=raw))
    return found


class Slow:
    """The real resolver behind a wait for some names; how many waited at the same moment at most."""

    def __init__(self, dns: Dns, name: str) -> None:
        self._dns = dns
        self._name = name
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def __call__(self, name: str, kind: str, deadline: float) -> list[Any]:
        if self._name not in name:
            return self._dns(name, kind, deadline)
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.1)
        with self._lock:
            self._now -= 1
        return self._dns(name, kind, deadline)


async def test_together_as_alone(names: Names) -> None:
    """Results stand with their own mail, in its order."""
    dns = Dns(names.server)
    alone = []
    for mail in mails():
        body = mail.body
        alone.append(await check(MailToCheck(mail.raw, body["peer"], body["helo"], body["sender"], dns)))
    prover = ReportAuthenticator(cast(AuthenticityCatalogue, None), Dns(names.server))
    found = await prover._all(mails())
    prover.close()
    assert found == alone
    assert [one.spf for one in found] == ["pass", "fail", "fail"] * 10
    # Even ones are in the name of a domain without a record.
    assert [one.dmarc for one in found] == ["none", "fail", "none", "pass", "none", "fail"] * 5


async def test_who_waits_for_dns_does_so_side_by_side(names: Names) -> None:
    """A reporter whose answers are not at hand holds up its own mails no longer than one of them takes."""
    slow = Slow(Dns(names.server), "nobody.example")
    prover = ReportAuthenticator(cast(AuthenticityCatalogue, None), slow)
    found = await prover._all(mails())
    prover.close()
    assert [one.spf for one in found] == ["pass", "fail", "fail"] * 10
    assert slow.most > 3  # three reporters, and more than one mail of one of them
