"""Promise: Objects alone bring the catalogue back, with the same keys, sums and problems, and mail goes on."""

from __future__ import annotations

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
    before = [(row[0], row[5], row[6]) for row in harness.sql(KEYS)], await harness.sums()
    harness.sql(f"UPDATE mails SET received = received - {40 * DAY}")
    owner = await harness.accounts.account_by_name("default")
    await RetentionPeriods(harness.stores.database, harness.settings).set(owner.id, "raw_mails", 30)
    await harness.do("retention")
    await lose(harness)
    await harness.analytics.execute("TRUNCATE TABLE dmarc_reports")
    (result,) = await harness.do("catalogue")
    assert (result["mails"], result["reports"], result["unplaced"]) == (1, 6, 0)
    assert len(reports) == 4
    assert [(row[0], row[5], row[6]) for row in harness.sql(KEYS) if row[3] != "failure"] == [
        entry for entry, row in zip(before[0], harness.sql(KEYS), strict=True) if row[3] != "failure"
    ]
    assert await harness.sums() == before[1]
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
