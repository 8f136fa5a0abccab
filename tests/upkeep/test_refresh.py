"""Promise: a refresh writes what is known now into stored rows once; an interrupted one is completed by the next."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from dmarcworks.analytics import month_changes, refresh
from dmarcworks.catalogue.source_addresses import SourceAddresses
from dmarcworks.enrich.network.addresses import AddressName, AddressNames
from dmarcworks.enrich.network.ip_data import IpData
from dmarcworks.enrich.resolver import Dns
from dmarcworks.errors import ConflictError, StoreError
from dmarcworks.ingest.enriching import Enricher
from dmarcworks.upkeep import jobs
from dmarcworks.upkeep.names import look_up_names
from dmarcworks.upkeep.refresh_claim import CLAIM
from tests.support import mmdb
from tests.support.harness import Harness
from tests.support.mails import BEGIN, DAY, document, mail, report_mail
from tests.support.mmdb import write_mmdb

JOB = "senders-refresh"
UNKNOWN = (None, None, None, None)
NAMED = ("mail.base.example", 5, "Base Hosting", "hosting")


async def run(harness: Harness, **parameters: Any) -> dict[str, Any]:
    events = [event async for event in jobs.run(harness.context, JOB, parameters)]
    return events[-1]


async def stored(harness: Harness) -> list[tuple[Any, ...]]:
    """The values of rows of 192.0.2.1, by day and domain."""
    rows = await harness.query(
        "SELECT ptr, asn, sender, sender_kind FROM dmarc_reports WHERE source_ip = '192.0.2.1' ORDER BY day, domain_id"
    )
    return [tuple(row.values()) for row in rows]


@pytest.fixture
async def known(harness: Harness, tmp_path: Path) -> SourceAddresses:
    """Three months of rows, published when nothing was known; now there are a name, IP data and a base domain."""
    addresses = SourceAddresses(harness.stores.database)
    harness.replace(enricher=Enricher(names=addresses))
    domain = await harness.add_domain()
    await harness.receive(domain, *(report_mail(str(n), begin=BEGIN - n * 40 * DAY) for n in range(3)))
    await addresses.store({"192.0.2.1": AddressName("mail.base.example", True)})
    await addresses.done({"192.0.2.1": AddressName("mail.base.example", True)})
    networks = {"192.0.2.0/24": mmdb.ipinfo("AS5", "Five", "five.example", "NL")}
    data = IpData([write_mmdb(tmp_path / "a.mmdb", mmdb.IPINFO, networks)])
    base = tmp_path / "base.csv"
    base.write_text("base.example,Base Hosting,Web Host\n")
    settings = harness.settings.model_copy(update={"sender_file": str(base)})
    env = dataclasses.replace(harness.context.env, enricher=Enricher(data, addresses))
    harness.context = dataclasses.replace(harness.context, settings=settings, env=env)
    return addresses


async def test_all_that_is_known_is_applied_and_an_interrupted_run_is_completed(
    harness: Harness, known: SourceAddresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    dry = await run(harness, dry_run=True)
    assert (dry["groups"], dry["changed"], await stored(harness)) == (6, 3, [UNKNOWN] * 3)
    assert {name: dry[name] for name in ("messages", "senders", "changes")} == {
        "messages": 15,
        "senders": [{"sender": "Base Hosting", "before": 0, "after": 9}, {"sender": None, "before": 15, "after": 6}],
        "changes": [{"before": None, "after": "Base Hosting", "messages": 9}],
    }
    with monkeypatch.context() as patch:
        write, left = month_changes._write, [1]

        async def fails_later(*arguments: Any) -> None:
            if not left:
                raise StoreError("the disk is full")
            left.pop()
            await write(*arguments)

        patch.setattr(month_changes, "_write", fails_later)
        with pytest.raises(StoreError):
            await run(harness)
    assert await stored(harness) == [NAMED, UNKNOWN, UNKNOWN]
    # The claim ended with the failed run.
    assert (await run(harness))["changed"] == 2
    assert await stored(harness) == [NAMED] * 3
    again = await run(harness)
    assert (again["changed"], again["changes"], again["messages"]) == (0, [], 15)


async def test_the_slices_of_a_month_are_written_together(
    harness: Harness, known: SourceAddresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mutation rewrites a month's parts however few rows change: one for all slices, not one for each."""
    written: list[tuple[int, int]] = []
    write = month_changes._write

    async def noted(analytics: Any, kept: str, month: int, *rest: Any) -> None:
        rows = await analytics.query(f"SELECT count() FROM {kept}", format="TabSeparated")
        written.append((month, int(rows)))
        await write(analytics, kept, month, *rest)

    monkeypatch.setattr(refresh, "_GROUPS", 1)
    monkeypatch.setattr(month_changes, "_write", noted)
    assert (await run(harness))["changed"] == 3
    assert [rows for _, rows in written] == [1, 1, 1]
    assert len({month for month, _ in written}) == 3
    assert await stored(harness) == [NAMED] * 3


async def test_a_domain_alone(harness: Harness, known: SourceAddresses) -> None:
    """Rows of another domain of the same account with the same evidence are not written."""
    other = await harness.add_domain("other.example")
    same = document("other", domain="other.example")
    same = same.replace(b"<header_from>other.example", b"<header_from>example.com")
    same = same.replace(b"<spf><domain>other.example", b"<spf><domain>example.com")
    harness.replace(enricher=Enricher())
    await harness.receive(other, mail(("other.xml", same)))
    assert (await run(harness, domain="example.com"))["changed"] == 3
    rows = await harness.query(
        "SELECT domain, sender, count() AS n FROM dmarc_reports WHERE source_ip = '192.0.2.1'"
        " GROUP BY domain, sender ORDER BY domain"
    )
    assert [(row["domain"], row["sender"], int(row["n"])) for row in rows] == [
        ("example.com", "Base Hosting", 3),
        ("other.example", None, 1),
    ]
    assert (await run(harness, domain="other.example"))["changed"] == 1


async def test_two_do_not_run_at_once_and_names_wait(harness: Harness, known: SourceAddresses) -> None:
    kv = harness.stores.kv
    assert await kv.put(CLAIM, "another process", ttl=120, create_only=True)
    with pytest.raises(ConflictError, match="being refreshed by another process"):
        await run(harness)
    assert await kv.get(CLAIM) == "another process"
    waiting = await known.waiting()
    resolver = Dns("127.0.0.1:9")
    try:
        assert await look_up_names(harness.context, known, AddressNames(resolver, kv)) is None
    finally:
        resolver.close()
    # Nothing is claimed: the next round looks all of them up.
    assert (await known.waiting(), len(await known.claim(100, 60.0))) == (waiting, waiting)
    assert waiting == 1
    await kv.delete(CLAIM)
    assert (await run(harness))["changed"] == 3
    assert await kv.get(CLAIM) is None
