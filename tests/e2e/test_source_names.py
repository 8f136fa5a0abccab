"""Promise: rows name network and country as soon as they are published, and hosts soon after, in a running server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import mmdb
from tests.support.hosts import host
from tests.support.mails import BEGIN, DAY, report_mail
from tests.support.mmdb import write_mmdb
from tests.support.outside import Names, answering
from tests.support.system import System
from tests.support.waiting import wait_for

NETWORK = "8.8.8.0/24"


@pytest.fixture
def names() -> Iterator[Names]:
    there = Names(ttl=7200, negative_ttl=7200)
    with answering(there):
        yield there


def rows(system: System) -> list[tuple[object, ...]]:
    found = system.sql("SELECT ptr, ptr_confirmed, asn, as_name, country, ip_data FROM dmarc_reports ORDER BY begin")
    return [tuple(row.values()) for row in found]


def test_names_and_networks_in_a_running_server(tmp_path: Path, names: Names) -> None:
    """A replaced IP data file counts for the next report, a broken one changes nothing and is named in the log."""
    path = write_mmdb(tmp_path / "ip.mmdb", mmdb.IPINFO, {NETWORK: mmdb.ipinfo("AS1", "One", "one.example", "US")})
    host(names, "8.8.8.8", "mail.example.com")
    settings = {
        "DMARCWORKS_IP_DATA": str(path),
        "DMARCWORKS_ADDRESS_NAMES": "on",
        "DMARCWORKS_DNS_SERVER": names.server,
    }
    system = System(tmp_path / "home", settings)
    system.start()
    system.add_domains("example.com")
    record = [("8.8.8.8", 1, "pass", "pass")]
    system.send(system.rua["example.com"], report_mail("1", records=record))
    one = ("mail.example.com", True, 1, "One", "US", "ipinfo-lite 2026-09-21")
    wait_for(lambda: rows(system) == [one], "named")
    write_mmdb(path, mmdb.IPINFO, {NETWORK: mmdb.ipinfo("AS2", "Two", "two.example", "DE")}, built=1_792_000_000)
    two = ("mail.example.com", True, 2, "Two", "DE", "ipinfo-lite 2026-10-14")
    number = 1

    def served() -> bool:
        nonlocal number
        number += 1
        system.send(system.rua["example.com"], report_mail(str(number), records=record, begin=BEGIN + number * DAY))
        system.settle()
        return rows(system)[-1] == two

    wait_for(served, "served by the new file")
    path.write_bytes(b"broken" * 100)
    wait_for(lambda: served() and "IP data file cannot be used" in system.log.read_text(), "named in the log")
    assert str(path) in next(line for line in system.log.read_text().splitlines() if "cannot be used" in line)
    # The row from before keeps what it had.
    assert rows(system)[0] == one
    assert system.stop() == 0
