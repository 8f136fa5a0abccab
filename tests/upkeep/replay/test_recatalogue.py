"""Promise: Objects alone bring the catalogue back, with the same keys, sums and problems, and mail goes on."""

from __future__ import annotations

import json

from dmarcworks.upkeep.backup.domain_objects import Noted, note_domains
from dmarcworks.upkeep.retention.periods import RetentionPeriods
from tests.support.filled import filled
from tests.support.harness import Harness
from tests.support.mails import DAY, report_mail

LOST = ("sightings", "authenticity", "activity", "mails", "reports", "problems", "queue", "kv", "retention", "domains")
KEYS = "SELECT key, identity, domain_id, kind, day, records, messages, state, object_key FROM reports ORDER BY key"


async def lose(harness: Harness) -> None:
    """Everything of the catalogue; Objects and Analytics stay."""
    for table in (*LOST, "accounts"):
        harness.sql(f"DELETE FROM {table}")


def counted(harness: Harness) -> list[tuple[object, ...]]:
    """Key, records and messages of each report; but a failure report without its raw mail has another key."""
    return [(row[0], row[5], row[6]) for row in harness.sql(KEYS) if row[3] != "failure"]


async def test_the_catalogue_comes_back_from_objects(harness: Harness) -> None:
    """Domains with their addresses, reports with their keys, problems; no figure is doubled; a second run adds 0."""
    await filled(harness)
    assert await note_domains(harness.context, {}) == 1
    before = harness.sql(KEYS), harness.sql("SELECT id, name, rua FROM domains"), await harness.sums()
    problems = harness.sql("SELECT mail_id, reason, state FROM problems")
    mails = harness.sql("SELECT id, recipient, size, object_key, outcome, reports, sha256 FROM mails ORDER BY id")
    await lose(harness)
    (result,) = await harness.do("catalogue")
    assert result == {"event": "result", "domains": 1, "mails": 6, "reports": 0, "unplaced": 0}
    assert (harness.sql(KEYS), harness.sql("SELECT id, name, rua FROM domains"), await harness.sums()) == before
    assert harness.sql("SELECT mail_id, reason, state FROM problems") == problems
    after = harness.sql("SELECT id, recipient, size, object_key, outcome, reports, sha256 FROM mails ORDER BY id")
    assert [row[:2] + row[3:] for row in after] == [row[:2] + row[3:] for row in mails]
    assert await harness.kinds() == []
    (result,) = await harness.do("catalogue")
    assert (result["domains"], result["mails"], result["reports"]) == (0, 0, 0)
    (domain,) = await harness.accounts.domains()
    await harness.receive(domain, report_mail("next"))
    assert sum(row[3] for row in await harness.sums()) == 33 + 5


async def test_attachments_without_raw_mails_find_their_domain(harness: Harness) -> None:
    """Raw mails taken by retention, catalogue and figures lost: the archive says whose each report is."""
    reports = await filled(harness)
    await note_domains(harness.context, {})
    before = counted(harness), await harness.sums()
    harness.sql(f"UPDATE mails SET received = received - {40 * DAY}")
    owner = await harness.accounts.account_by_name("default")
    await RetentionPeriods(harness.stores.database, harness.context.settings).set(owner.id, "raw_mails", 30)
    await harness.do("retention")
    await lose(harness)
    await harness.context.analytics.execute("TRUNCATE TABLE dmarc_reports")
    (result,) = await harness.do("catalogue")
    assert (result["mails"], result["reports"], result["unplaced"]) == (1, 6, 0)
    assert len(reports) == 4
    assert (counted(harness), await harness.sums()) == before
    assert [kind for kind in await harness.kinds() if kind != "rows_unknown"] == []


async def test_a_removed_domain_is_noted_as_such(harness: Harness) -> None:
    """It is not brought back; a domain is written once, and again when it changes."""
    known: dict[str, Noted] = {}
    one = await harness.add_domain("one.example")
    await harness.add_domain("two.example")
    assert [await note_domains(harness.context, known) for _ in range(2)] == [2, 0]
    await harness.accounts.remove_domain(one)
    assert await note_domains(harness.context, known) == 1
    assert await note_domains(harness.context, {}) == 0
    await lose(harness)
    assert (await harness.do("catalogue"))[-1]["domains"] == 1
    assert [domain.name for domain in await harness.accounts.domains()] == ["two.example"]


async def test_a_disabled_domain_stays_disabled(harness: Harness) -> None:
    """Its mail is rejected until a person enables it, also after a rebuild; a file without the field means enabled."""
    known: dict[str, Noted] = {}
    off = await harness.add_domain("off.example")
    again = await harness.add_domain("again.example")
    on = await harness.add_domain("on.example")
    await note_domains(harness.context, known)
    for domain in (off, again):
        await harness.accounts.enable_domain(domain, False)
    assert [await note_domains(harness.context, known) for _ in range(2)] == [2, 0]
    await harness.accounts.enable_domain(again, True)
    assert await note_domains(harness.context, known) == 1
    assert await note_domains(harness.context, {}) == 0
    fields = json.loads(await harness.stores.objects.get(f"domains/{on.id}.json") or b"")
    assert set(fields) == {"domain_id", "name", "rua", "account_id", "account", "created", "removed", "earlier"}
    await lose(harness)
    await harness.do("catalogue")
    stand = {domain.name: domain.enabled for domain in await harness.accounts.domains()}
    assert stand == {"again.example": True, "off.example": False, "on.example": True}
    gates = {one.name: await harness.stores.kv.get(f"dmarc:{one.rua}") is not None for one in (off, again, on)}
    assert gates == stand


async def test_report_hosts_of_removed_addresses_stay_reserved(harness: Harness) -> None:
    """Those of a removed domain, current and earlier, and of an earlier address that was removed by itself."""
    known: dict[str, Noted] = {}
    accounts = harness.accounts
    first = accounts.hostname
    gone = await harness.add_domain("one.example")
    left = await harness.add_domain("two.example")
    await note_domains(harness.context, known)
    for name in ("second.example.org", "third.example.com"):
        accounts.hostname = name
        await accounts.settle_hostname()
        await note_domains(harness.context, known)
    await accounts.remove_address(f"{left.rua.partition('@')[0]}@second.example.org")
    await accounts.remove_domain(await accounts.domain(None, gone.id) or gone)
    assert await note_domains(harness.context, known) == 2
    assert await note_domains(harness.context, {}) == 0
    accounts.hostname = first
    await accounts.settle_hostname()
    await note_domains(harness.context, known)
    await lose(harness)
    harness.sql("DELETE FROM rua_addresses")
    assert harness.sql("SELECT CAST(key AS TEXT) FROM kv WHERE CAST(key AS TEXT) LIKE 'report-host:%'") == []
    await harness.do("catalogue")
    kept = [
        row[0]
        for row in harness.sql(
            "SELECT CAST(key AS TEXT) FROM kv WHERE CAST(key AS TEXT) LIKE 'report-host:%' ORDER BY 1"
        )
    ]
    assert kept == [f"report-host:{name}" for name in sorted((first, "second.example.org", "third.example.com"))]
    (domain,) = await accounts.domains()
    assert (domain.rua, domain.earlier) == (left.rua, (f"{left.rua.partition('@')[0]}@third.example.com",))
