"""Promise of `verify`: whatever differs between catalogue, archive and figures is named, and mended where it can be."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dmarcworks.bindings.contracts import SYSTEM_QUEUE, OutgoingMessage
from dmarcworks.ingest.accept import new_item
from dmarcworks.ingest.item import Gate
from dmarcworks.ingest.report_rows import inbox_key
from tests.support.filled import filled
from tests.support.harness import Harness
from tests.support.mails import report_mail


async def test_a_whole_system_has_no_difference(harness: Harness) -> None:
    """Every kind of report, a shared mail and a broken report: everything is compared, nothing differs."""
    await filled(harness)
    assert await harness.do("verify") == [
        {
            "event": "result",
            "compared": {"reports": 6, "objects": 6, "mails": 6, "problems": 1},
            "differences": 0,
            "repaired": 0,
            "left": 0,
        }
    ]


async def test_a_flipped_byte_and_a_missing_object_are_named_and_repaired(harness: Harness) -> None:
    """By kind, report, key and both hashes; the raw mails bring the very bytes back."""
    reports = await filled(harness)
    changed, missing = harness.object(reports[0]["object"]), harness.object(reports[3]["object"])
    whole = changed.read_bytes(), missing.read_bytes()
    changed.write_bytes(whole[0][:-1] + bytes([whole[0][-1] ^ 1]))
    missing.unlink()
    found = {event["kind"]: event for event in (await harness.do("verify"))[:-1]}
    assert set(found) == {"object_changed", "object_missing"}
    for kind, index in (("object_changed", 0), ("object_missing", 3)):
        event = found[kind]
        assert (event["report"], event["key"]) == (reports[index]["key"], reports[index]["object"])
        assert event["expected"] == "sha256 " + reports[index]["object"].split("/")[2]
    assert found["object_missing"]["found"] == "nothing"
    assert found["object_changed"]["found"].startswith("sha256 ")
    assert (await harness.do("verify", repair=True))[-1]["repaired"] == 2
    assert (changed.read_bytes(), missing.read_bytes()) == whole
    assert await harness.kinds() == []


async def test_figures_that_differ_are_named_and_repaired(harness: Harness) -> None:
    """A missing row, a row too many, a report twice, rows of no report, a wrong sum, a report that is not published."""
    reports = await filled(harness)
    before = await harness.sums()
    keys = [report["key"] for report in reports]
    table = harness.analytics
    await table.execute(
        f"ALTER TABLE dmarc_reports DELETE WHERE report_key = '{keys[0]}' AND record_index = 1"
        " SETTINGS mutations_sync = 2"
    )
    extra = f"SELECT * FROM dmarc_reports WHERE report_key = '{keys[1]}' AND record_index = 0"
    await table.execute(f"INSERT INTO dmarc_reports SELECT * REPLACE (toUInt32(9) AS record_index) FROM ({extra})")
    await table.execute(f"INSERT INTO dmarc_reports SELECT * FROM dmarc_reports WHERE report_key = '{keys[2]}'")
    odd = "REPLACE ('it''s unknown' AS report_key, 'else' AS domain_id)"
    third = f"SELECT * FROM dmarc_reports WHERE report_key = '{keys[3]}'"
    await table.execute(f"INSERT INTO dmarc_reports SELECT * {odd} FROM ({third})")
    await table.execute(
        f"ALTER TABLE dmarc_reports UPDATE count = 77 WHERE report_key = '{keys[3]}' AND record_index = 0"
        " SETTINGS mutations_sync = 2"
    )
    harness.sql("UPDATE reports SET published = 0 WHERE kind = 'tls'")
    found = {event["kind"]: event for event in (await harness.do("verify"))[:-1]}
    tls = harness.sql("SELECT key FROM reports WHERE kind = 'tls'")[0][0]
    assert {kind: (event["report"], event["expected"], event["found"]) for kind, event in found.items()} == {
        "rows_missing": (keys[0], "2 rows, 11 messages", "1 rows, 1 messages"),
        "rows_extra": (keys[1], "2 rows, 12 messages", "3 rows, 14 messages"),
        "rows_double": (keys[2], "2 rows, 5 messages", "4 rows, 10 messages"),
        "sum_differs": (keys[3], "2 rows, 5 messages", "2 rows, 79 messages"),
        "rows_unknown": ("it's unknown", "no rows", "2 rows, 5 messages"),
        "not_published": (tls, "published", "not published"),
    }
    assert (await harness.do("verify", repair=True))[-1] == {
        "event": "result",
        "compared": {"reports": 6, "objects": 6, "mails": 6, "problems": 1},
        "differences": 6,
        "repaired": 6,
        "left": 0,
    }
    assert await harness.kinds() == []
    assert await harness.sums() == before


async def test_what_cannot_be_repaired_stays_named(harness: Harness) -> None:
    """Raw mail and archive gone: no row is taken out, both are still named after a repair."""
    reports = await filled(harness)
    raw = dict(harness.sql("SELECT id, object_key FROM mails"))
    harness.object(raw[reports[0]["mail"]]).unlink()
    harness.object(reports[0]["object"]).unlink()
    harness.sql(f"UPDATE reports SET records = 3 WHERE key = '{reports[0]['key']}'")
    named = ["object_missing", "rows_missing", "raw_missing"]
    assert await harness.kinds(repair=True) == named
    assert await harness.kinds() == named


async def test_a_changed_raw_mail_is_named(harness: Harness) -> None:
    """Also one of a problem; a failure report's raw mail is compared in its redacted form."""
    await filled(harness)
    (key,) = harness.sql("SELECT object_key FROM problems WHERE state = 'open'")[0]
    path = harness.object(key)
    path.write_bytes(path.read_bytes().replace(b"nothing", b"Nothing"))
    (event,) = (await harness.do("verify"))[:-1]
    assert (event["kind"], event["key"]) == ("raw_changed", key)


async def test_a_mail_that_waits_is_no_difference(harness: Harness) -> None:
    """What was noted and not yet published while its mail waits is on its way; the raw mail must be there."""
    domain = await harness.add_domain()
    await harness.receive(domain, report_mail("r0"))
    (body,) = harness.sql("SELECT id, object_key, account_id, domain_id FROM mails")
    harness.sql("UPDATE reports SET published = 0")
    assert await harness.kinds() == ["not_published"]
    gate = Gate(body[2], body[3], domain.name)
    item = new_item(gate, b"", datetime.now(UTC), recipient=domain.rua, mail_id=body[0], object_key=body[1])
    message = OutgoingMessage("json", replace(item, sha256=None).to_json(), delay=600)
    await harness.stores.queue.send(SYSTEM_QUEUE, [message])
    assert await harness.kinds() == []
    harness.object(body[1]).unlink()
    assert await harness.kinds() == ["raw_missing"]


async def test_one_domain_alone(harness: Harness) -> None:
    """`--domain` compares that domain's reports and mails only."""
    one, two = await harness.add_domain("one.example"), await harness.add_domain("two.example")
    await harness.receive(one, report_mail("a", domain="one.example"))
    await harness.receive(two, report_mail("b", domain="two.example"), report_mail("c", domain="two.example"))
    (broken,) = harness.sql(f"SELECT object_key FROM reports WHERE domain_id = '{one.id}'")
    harness.object(broken[0]).unlink()
    assert await harness.kinds(domain="one.example") == ["object_missing"]
    (result,) = await harness.do("verify", domain="two.example")
    assert result["compared"] == {"reports": 2, "objects": 2, "mails": 2, "problems": 0}


async def test_a_raw_mail_that_nobody_knows_is_named_and_read(harness: Harness) -> None:
    """A death between object and queue: what may still be on its way is left alone, an old one is handed in."""
    await filled(harness)
    domain = await harness.context.domain("example.com")
    assert domain is not None
    sums = await harness.sums()

    def stray(number: int, raw: bytes, age: float) -> str:
        received = datetime.now(UTC) - timedelta(seconds=age)
        key = inbox_key(f"{number:032x}", domain.id, received)
        path = harness.object(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        os.utime(path, (received.timestamp(), received.timestamp()))
        return key

    stray(1, report_mail("young", records=[("192.0.2.7", 100, "pass", "pass")]), 3500)
    assert await harness.kinds() == []
    whole = stray(2, report_mail("old", records=[("192.0.2.7", 7, "pass", "pass")]), 3700)
    torn = stray(3, report_mail("torn")[:400], 3700)
    alien = harness.object("inbox/2026/01/01/notes.eml")
    alien.parent.mkdir(parents=True)
    alien.write_bytes(b"x")
    os.utime(alien, (0, 0))
    found = {event["key"]: event for event in await harness.do("verify") if event["event"] == "difference"}
    assert {event["kind"] for event in found.values()} == {"raw_unknown"}
    assert set(found) == {whole, torn, "inbox/2026/01/01/notes.eml"}
    assert found[whole]["domain_id"] == domain.id
    assert set(await harness.kinds(domain="example.com")) == {"raw_unknown"}
    (result,) = [event for event in await harness.do("verify", repair=True) if event["event"] == "result"]
    assert (result["differences"], result["repaired"], result["left"]) == (3, 2, 1)
    # In the queue they are no strays any more, and read they are counted once or a problem.
    assert await harness.kinds() == ["raw_unknown"]
    await harness.receive(domain)
    assert sum(row[3] for row in await harness.sums()) == sum(row[3] for row in sums) + 7
    assert harness.sql(f"SELECT count(*) FROM problems WHERE mail_id = '{3:032x}'") == [(1,)]
    assert await harness.kinds() == ["raw_unknown"]
