"""Promise: the demo's hosts have confirmed names from a name server of its own, and its attackers have none."""

from __future__ import annotations

import socket
import time
from datetime import date

import pytest

from dmarcworks.cli.demo_data import reports
from dmarcworks.cli.demo_dns import demo_names
from dmarcworks.enrich.network.addresses import AddressNames
from dmarcworks.enrich.resolver import Dns
from dmarcworks.enrich.senders.identify import SenderIdentifier
from dmarcworks.enrich.senders.model import Evidence
from dmarcworks.policy.dns_records.report_card import CardRequest, make_report_card
from tests.support.harness import Harness

LAST = date(2026, 11, 22)


async def test_all_hosts_but_the_strangers_have_confirmed_names(harness: Harness) -> None:
    rows = [row for one in reports("example.com", LAST, 20) for row in one.rows]
    known = {row.source_ip: row.service for row in rows if row.service != "unknown"}
    strangers = {row.source_ip for row in rows if row.service == "unknown"}
    assert len(strangers) > 20
    async with demo_names("example.com", "rua@reports.example.net") as server:
        # What is no query does no harm.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for data in (b"", b"x", bytes(12), bytes(600)):
                sock.sendto(data, ("127.0.0.1", int(server.rpartition(":")[2])))
        resolver = Dns(server)
        names = await AddressNames(resolver, harness.context.stores.kv).find_all([*known, *strangers])
        deadline = time.monotonic() + 30
        assert await resolver("_dmarc.example.com", "TXT", deadline) == [
            b"v=DMARC1; p=quarantine; rua=mailto:rua@reports.example.net"
        ]
        assert await resolver("_dmarc.example.com", "MX", deadline) == []
        assert await resolver("elsewhere.example", "A", deadline) == []
        assert await resolver.alive()
        card = await make_report_card(resolver, CardRequest("example.com", ("mail", "google")))
        resolver.close()
    assert [finding.code for finding in card.findings if finding.severity == "error"] == []
    assert (card.spf["lookups"], card.effective.policy) == (2, "quarantine")
    assert {address for address, name in names.items() if name.confirmed} == set(known)
    assert all(names[address].ptr is None and names[address].answered for address in strangers)
    identifier = SenderIdentifier()
    senders = {
        service: identifier.identify(Evidence(ptr=names[address].ptr, ptr_confirmed=True)).sender
        for address, service in known.items()
    }
    assert (senders["tickets"], senders["campaigns"], senders["invoices"]) == ("Zendesk", "HubSpot", None)


@pytest.fixture(autouse=True)
def _no_other_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A query to any other name server would fail."""
    monkeypatch.setattr("dns.resolver.Resolver.read_resolv_conf", lambda *_: pytest.fail("another name server"))
