"""Promise: a report is published at once and its names follow; no figure changes, and an interruption loses no name."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dmarcworks.analytics import month_changes, refresh
from dmarcworks.analytics.enrichment import Enrichment, SourceEvidence
from dmarcworks.analytics.questions.all import Questions
from dmarcworks.catalogue import source_addresses
from dmarcworks.catalogue.source_addresses import SourceAddresses
from dmarcworks.enrich.network.addresses import AddressName, AddressNames
from dmarcworks.enrich.network.ip_data import IpData, IpFacts
from dmarcworks.enrich.resolver import Dns
from dmarcworks.errors import StoreError
from dmarcworks.ingest.enriching import Enricher
from dmarcworks.upkeep import names
from dmarcworks.upkeep.names import look_up_names, pause_after
from tests.support import mmdb
from tests.support.harness import Harness
from tests.support.hosts import host
from tests.support.mails import BEGIN, DAY, report_mail
from tests.support.mmdb import write_mmdb
from tests.support.outside import Names, answering

ALL = (date(2011, 1, 1), date(2100, 12, 31))


@pytest.fixture
def dns_names() -> Iterator[Names]:
    there = Names(ttl=7200, negative_ttl=7200)
    with answering(there):
        yield there


@pytest.fixture
async def lookup(dns_names: Names, harness: Harness) -> AsyncIterator[AddressNames]:
    resolver = Dns(dns_names.server)
    yield AddressNames(resolver, harness.context.stores.kv)
    resolver.close()


class Now:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_790_100_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def addresses(harness: Harness, now: Now) -> SourceAddresses:
    """What the system's publishing and its look-ups share, as in a server."""
    made = SourceAddresses(harness.context.stores.database, now)
    use(harness, names=made)
    return made


def use(harness: Harness, **parts: Any) -> None:
    enricher = harness.context.env.enricher
    assert enricher is not None
    env = dataclasses.replace(harness.context.env, enricher=dataclasses.replace(enricher, **parts))
    harness.context = dataclasses.replace(harness.context, env=env)
    harness.replace(enricher=env.enricher)


async def stored(harness: Harness, columns: str = "ptr, ptr_confirmed") -> list[tuple[Any, ...]]:
    rows = await harness.query(f"SELECT source_ip, {columns} FROM dmarc_reports ORDER BY day, source_ip, report_key")
    return [tuple(row.values()) for row in rows]


async def test_names_follow_a_published_report(
    harness: Harness, dns_names: Names, lookup: AddressNames, addresses: SourceAddresses
) -> None:
    host(dns_names, "192.0.2.1", "mail.example.com")
    await harness.receive(await harness.add_domain(), report_mail("1"), report_mail("2", begin=BEGIN - 60 * DAY))
    none = [("192.0.2.1", None, None), ("198.51.100.7", None, None)] * 2
    assert await stored(harness) == none
    sums = await harness.sums()
    questions = Questions(harness.context.analytics)
    account = (await harness.accounts.domains())[0].account_id
    figures = await questions.figures(account, None, *ALL)
    assert await look_up_names(harness.context, addresses, lookup) is not None
    named = [("192.0.2.1", "mail.example.com", True), ("198.51.100.7", None, False)] * 2
    assert await stored(harness) == named
    assert (await harness.sums(), await questions.figures(account, None, *ALL)) == (sums, figures)
    # Nothing is due any more, and nothing is left behind.
    assert await look_up_names(harness.context, addresses, lookup) is None
    assert await harness.query("SELECT name FROM system.tables WHERE name LIKE 'source_facts%'") == []
    # A later report has the names at once, and asks no name server.
    asked = len(dns_names.asked)
    await harness.receive((await harness.accounts.domains())[0], report_mail("3", begin=BEGIN + DAY))
    assert await stored(harness) == [*named, ("192.0.2.1", "mail.example.com", True), ("198.51.100.7", None, False)]
    assert await look_up_names(harness.context, addresses, lookup) is None
    assert len(dns_names.asked) == asked


async def test_two_processes_share_the_addresses(harness: Harness, now: Now, addresses: SourceAddresses) -> None:
    records = [(f"192.0.2.{number}", 1, "pass", "pass") for number in range(20)]
    await harness.receive(await harness.add_domain(), report_mail("1", records=records))
    await addresses.settle()
    other = SourceAddresses(harness.context.stores.database, now)
    claims = await asyncio.gather(*(one.claim(4, 600.0) for one in [addresses, other] * 3))
    claimed = [one.address for some in claims for one in some]
    assert sorted(claimed) == sorted(address for address, *_ in records)
    assert await other.claim(100, 600.0) == []
    # A process that ended gives nothing back: its claim runs out.
    now.seconds += 601
    assert len(await other.claim(100, 600.0)) == 20


async def test_an_interrupted_round_is_repeated(
    harness: Harness,
    now: Now,
    lookup: AddressNames,
    dns_names: Names,
    addresses: SourceAddresses,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host(dns_names, "192.0.2.1", "mail.example.com")
    await harness.receive(await harness.add_domain(), report_mail("1"))
    with monkeypatch.context() as patch:

        async def broken(*_: Any) -> None:
            raise StoreError("the disk is full")

        patch.setattr(month_changes, "_write", broken)
        with pytest.raises(StoreError):
            await look_up_names(harness.context, addresses, lookup)
    assert (await stored(harness))[0] == ("192.0.2.1", None, None)
    # What is published meanwhile has the name already.
    await harness.receive((await harness.accounts.domains())[0], report_mail("2", begin=BEGIN + DAY))
    assert (await stored(harness))[2] == ("192.0.2.1", "mail.example.com", True)
    assert await look_up_names(harness.context, addresses, lookup) is None
    now.seconds += 601
    assert await look_up_names(harness.context, addresses, lookup) is not None
    assert [row for row in await stored(harness) if row[0] == "192.0.2.1"] == [
        ("192.0.2.1", "mail.example.com", True)
    ] * 2


async def test_a_failure_takes_no_name_away_and_is_tried_again(
    harness: Harness, now: Now, dns_names: Names, addresses: SourceAddresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    host(dns_names, "192.0.2.1", "mail.example.com")
    domain = await harness.add_domain()
    await harness.receive(domain, report_mail("1"))

    async def round_() -> float | None:
        # Without what KV keeps: a day has passed.
        for key in (await harness.context.stores.kv.list(prefix="ptr:")).keys:
            await harness.context.stores.kv.delete(key.name)
        resolver = Dns(dns_names.server)
        try:
            return await look_up_names(harness.context, addresses, AddressNames(resolver, harness.context.stores.kv))
        finally:
            resolver.close()

    dns_names.broken.add("in-addr.arpa")
    with monkeypatch.context() as patch:
        # Without an answer the rows are not read.
        patch.setattr(names, "apply", None)
        assert await round_() is not None
    assert (await stored(harness))[0] == ("192.0.2.1", None, None)
    assert await round_() is None
    now.seconds += 601
    dns_names.broken.clear()
    assert await round_() is not None
    assert (await stored(harness))[0] == ("192.0.2.1", "mail.example.com", True)
    # The name expires and the address is seen again, while the name server fails.
    now.seconds += 8 * DAY
    dns_names.broken.add("in-addr.arpa")
    assert await round_() is None
    await harness.receive(domain, report_mail("2", begin=BEGIN + DAY))
    assert await round_() is not None
    named = ("192.0.2.1", "mail.example.com", True)
    assert [row for row in await stored(harness) if row[0] == "192.0.2.1"] == [named] * 2
    dns_names.broken.clear()
    host(dns_names, "192.0.2.1", "new.example.com")
    dns_names.records.pop(("mail.example.com", "A"))
    now.seconds += 601
    assert await round_() is not None
    assert [row for row in await stored(harness) if row[0] == "192.0.2.1"] == [
        ("192.0.2.1", "new.example.com", True)
    ] * 2


async def test_dead_name_servers_cost_a_few_queries_and_lose_no_address(
    harness: Harness, now: Now, dns_names: Names, lookup: AddressNames, addresses: SourceAddresses
) -> None:
    texts = [f"192.0.2.{number}" for number in range(1, 31)]
    for text in texts:
        host(dns_names, text, f"mail-{text.replace('.', '-')}.example.com")
    assert await addresses.known(texts) == {}
    dns_names.broken.add("in-addr.arpa")
    dns_names.failing.add(".")
    assert await look_up_names(harness.context, addresses, lookup) == 60.0
    assert len({name for name, kind in dns_names.asked if kind == "PTR"}) == 8
    # The next round looks up the same addresses, whose failure is remembered: one query about the root is left.
    dns_names.asked.clear()
    assert await look_up_names(harness.context, addresses, lookup) == 60.0
    assert {kind for _, kind in dns_names.asked} == {"NS"}
    # Nothing is lost and nothing counts as a failure: all are due at once when the servers answer again.
    assert await addresses.waiting() == 30
    dns_names.broken.clear()
    dns_names.failing.clear()
    for key in (await harness.context.stores.kv.list(prefix="ptr:")).keys:
        await harness.context.stores.kv.delete(key.name)
    resolver = Dns(dns_names.server)
    again = AddressNames(resolver, harness.context.stores.kv)
    assert await look_up_names(harness.context, addresses, again) is not None
    resolver.close()
    assert len(await addresses.known(texts)) == 30
    assert await addresses.waiting() == 0


async def test_no_more_addresses_wait_than_may(
    harness: Harness, now: Now, addresses: SourceAddresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_addresses, "WAITING", 5)
    assert await addresses.known([f"192.0.2.{number}" for number in range(1, 4)]) == {}
    assert await addresses.waiting() == 3
    assert await addresses.known([f"198.51.100.{number}" for number in range(1, 7)]) == {}
    assert await addresses.waiting() == 5
    now.seconds += 601
    assert await addresses.known([f"203.0.113.{number}" for number in range(1, 7)]) == {}
    assert await addresses.waiting() == 5


async def test_what_is_no_address_of_a_host_is_never_due(harness: Harness, addresses: SourceAddresses) -> None:
    odd = ["no address", "127.0.0.1", "::1", "224.0.0.1", "0.0.0.0", "x" * 300, "fe80::1"]
    await harness.receive(
        await harness.add_domain(), report_mail("1", records=[(text, 1, "pass", "pass") for text in odd])
    )
    assert await addresses.claim(100, 600.0) == []
    assert await addresses.known(odd) == {}


class _Busy:
    """A database whose writer is busy until the gate opens."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self.gate = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def step(self, work: Any) -> Any:
        await self.gate.wait()
        return await self._database.step(work)


async def test_publishing_does_not_wait_until_addresses_are_queued(harness: Harness, now: Now) -> None:
    database: Any = _Busy(harness.context.stores.database)
    addresses = SourceAddresses(database, now)
    assert await addresses.known(["192.0.2.1", "192.0.2.2"]) == {}
    assert await addresses.known(["192.0.2.2", "192.0.2.3"]) == {}
    assert await SourceAddresses(harness.context.stores.database, now).waiting() == 0
    database.gate.set()
    assert await addresses.waiting() == 3
    assert await SourceAddresses(harness.context.stores.database, now).waiting() == 3


async def test_nothing_is_queued_when_nobody_looks_names_up(harness: Harness, now: Now) -> None:
    """With `address_names` off the table does not grow; names from before are still used."""
    stored_before = SourceAddresses(harness.stores.database, now)
    await stored_before.known(["192.0.2.1"])
    await stored_before.store({"192.0.2.1": AddressName("mail.example.com", True)})
    off = SourceAddresses(harness.stores.database, now, queued=False)
    assert await off.known(["192.0.2.1", "192.0.2.2"]) == {"192.0.2.1": AddressName("mail.example.com", True)}
    assert harness.sql("SELECT address FROM source_addresses") == [("192.0.2.1",)]


@pytest.mark.parametrize(
    ("addresses", "writing", "seconds"),
    [(1, 0.01, 1.0), (250, 0.1, 5.0), (250, 3.0, 27.0), (5, 1000.0, 600.0), (0, 0.0, 1.0)],
)
def test_the_pause_after_a_round_bounds_its_cost(addresses: int, writing: float, seconds: float) -> None:
    """At most fifty addresses a second, and a tenth of the time for writing, never longer than ten minutes."""
    assert pause_after(addresses, writing) == pytest.approx(seconds)


class Found(NamedTuple):
    sender: str | None
    kind: str | None
    confidence: float


def by_name(evidence: SourceEvidence, account_id: str) -> Found:
    if evidence.ptr_confirmed and evidence.ptr == "mail.example.com":
        return Found("Example Mail", "hosting", 0.7)
    return Found(None, None, 0.0)


async def test_everything_stored_is_enriched_again_and_only_what_changes_is_written(
    harness: Harness, tmp_path: Path
) -> None:
    """A new catalogue and a new IP file, over all months; once more writes nothing."""
    domain = await harness.add_domain()
    await harness.receive(domain, *(report_mail(str(n), begin=BEGIN - n * 40 * DAY) for n in range(3)))
    sums = await harness.sums()
    path = write_mmdb(
        tmp_path / "a.mmdb", mmdb.IPINFO, {"192.0.2.0/24": mmdb.ipinfo("AS5", "Five", "five.example", "NL")}
    )
    enrichment = Enricher(IpData([path]), identify=by_name).with_names(
        {"192.0.2.1": AddressName("mail.example.com", True)}
    )
    parts = [part async for part in refresh.apply(harness.context.analytics, enrichment)]
    assert [(part.groups, part.changed) for part in parts] == [(2, 1)] * 3
    columns = "ptr, ptr_confirmed, asn, as_name, country, ip_data, sender, sender_kind, round(sender_confidence, 3)"
    full = ("mail.example.com", True, 5, "Five", "NL", "ipinfo-lite 2026-09-21", "Example Mail", "hosting", 0.7)
    expected = [("192.0.2.1", *full), ("198.51.100.7", *[None] * 9)] * 3
    assert await stored(harness, columns) == expected
    again = [part.changed async for part in refresh.apply(harness.context.analytics, enrichment)]
    assert again == [0, 0, 0]
    # Without the files and names, what they gave stays.
    nothing = [part.changed async for part in refresh.apply(harness.context.analytics, Enrichment())]
    assert nothing == [0, 0, 0]
    assert (await stored(harness, columns), await harness.sums()) == (expected, sums)


async def test_slices_cover_every_group_once(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "_GROUPS", 7)
    records = [(f"192.0.2.{number}", 1, "pass", "pass") for number in range(100)]
    await harness.receive(await harness.add_domain(), report_mail("1", records=records))

    def facts(address: str) -> IpFacts:
        return IpFacts(asn=int(address.rsplit(".", 1)[1]) + 1, source="test")

    parts = [part async for part in refresh.apply(harness.context.analytics, Enrichment(facts))]
    assert (len(parts), sum(part.groups for part in parts), sum(part.changed for part in parts)) == (15, 100, 100)
    assert sorted(await stored(harness, "asn")) == sorted(
        (address, int(address.rsplit(".", 1)[1]) + 1) for address, *_ in records
    )


async def test_queries_and_publishing_continue_while_rows_are_written(
    harness: Harness, addresses: SourceAddresses
) -> None:
    """Each row is seen once at every moment."""
    domain = await harness.add_domain()
    records = [(f"192.0.{n // 250}.{n % 250}", 1, "pass", "pass") for n in range(2000)]
    await harness.receive(domain, report_mail("1", records=records))
    seen: list[int] = []
    writing = True

    async def count() -> None:
        while writing:
            (row,) = await harness.query(
                "SELECT toInt64(sum(count)) AS n, count() AS rows FROM dmarc_reports WHERE report_id = '1'"
            )
            seen.append(int(row["n"]))
            assert int(row["rows"]) == 2000

    counting = asyncio.create_task(count())
    for version in range(3):
        enrichment = Enrichment(lambda address, version=version: IpFacts(asn=version + 1, source="test"))  # type: ignore[misc]
        async for _ in refresh.apply(harness.context.analytics, enrichment):
            await harness.receive(domain, report_mail(uuid.uuid4().hex, begin=BEGIN + version * DAY))
    writing = False
    await counting
    assert set(seen) == {2000}
    assert await harness.query("SELECT count() AS n FROM dmarc_reports WHERE asn = 3 AND report_id = '1'") == [
        {"n": 2000}
    ]


async def test_what_an_interrupted_run_left_is_removed(harness: Harness) -> None:
    await harness.receive(await harness.add_domain(), report_mail("1"))
    analytics = harness.context.analytics
    await analytics.execute(
        "CREATE TABLE source_facts_dead (key UInt64, ptr Nullable(String)) ENGINE = Join(ANY, LEFT, key)"
    )
    await analytics.execute(
        "ALTER TABLE dmarc_reports"
        " UPDATE ptr = joinGetOrNull('source_facts_dead', 'ptr', toUInt64(throwIf(record_index = 0)))"
        " WHERE 1 SETTINGS mutations_sync = 0"
    )
    await month_changes.drop_left_over(analytics)
    assert await harness.query("SELECT name FROM system.tables WHERE name LIKE 'source_facts%'") == []
    assert await harness.query("SELECT mutation_id FROM system.mutations WHERE NOT is_done AND NOT is_killed") == []
    facts = Enrichment(lambda _: IpFacts(asn=9, source="test"))
    assert [part.changed async for part in refresh.apply(analytics, facts)] == [2]
