"""From a mail's 250 to exact figures: at least once everywhere, exactly once in the totals, nothing dropped."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile

import pytest

from dmarcworks.bindings.contracts import SYSTEM_QUEUE, Settlement
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.errors import QueryError, StoreError
from dmarcworks.workers.message import Message
from tests.support.harness import Harness, Tap, bounded
from tests.support.ingesting import deliver
from tests.support.mails import BEGIN, DAY, document, mail, report_mail

pytestmark = pytest.mark.asyncio(loop_scope="package")
ACCEPTED = "250 2.0.0 Accepted"
LATER = "451 4.3.0 Cannot keep the mail now, try again later"


async def test_a_report_becomes_figures_and_an_archived_original(harness: Harness) -> None:
    """One mail: raw kept, attachment archived as received, one catalogue row, its records in Analytics."""
    raw = report_mail("r-1")
    assert await harness.mail(raw) == ACCEPTED
    (inbox,) = await harness.env.objects.list(prefix="inbox/")
    assert await harness.env.objects.get(inbox.key) == raw
    await harness.settle()
    assert await harness.total() == (1, 2, 5)
    (row,) = await harness.env.arrivals.reports(harness.domain.account_id)
    attachment = gzip.compress(document("r-1"), mtime=0)
    assert row.object_key == f"2026/9/{hashlib.sha256(attachment).hexdigest()}/report.xml.gz"
    assert await harness.env.objects.get(row.object_key) == attachment
    assert (row.report_id, row.records, row.messages, row.state, row.published) == ("r-1", 2, 5, "counted", True)
    assert await harness.problem_reasons() == []


async def test_nobodys_address_is_refused(harness: Harness) -> None:
    """No KV entry, no mail: 550, and nothing is stored. Odd addresses need no store to be refused."""
    for to in ("f" * 32 + "@reports.example.net", "\udcff@reports.example.net", "a" * 600 + "@reports.example.net"):
        assert (await harness.mail(report_mail(), to=to)).startswith("550 5.7.1")
    assert await harness.env.objects.list(prefix="inbox/") == []
    assert (await harness.stats()).ready == 0


@pytest.mark.parametrize(("store", "method"), [("objects", "put"), ("queue", "send")])
async def test_no_store_no_250(harness: Harness, store: str, method: str) -> None:
    """Where raw mail or queue item cannot be kept the sender hears 451; when the store is back, 250."""
    getattr(harness, store).before[method] = [StoreError("disk full")]
    assert await harness.mail(report_mail()) == LATER
    assert await harness.mail(report_mail()) == ACCEPTED
    await harness.settle()
    assert await harness.total() == (1, 2, 5)


async def test_the_same_batch_twice_counts_once(harness: Harness) -> None:
    """Delivered again after everything was done but the acknowledgement: no total changes."""
    await harness.mail(report_mail("1"))
    await harness.mail(report_mail("2"))
    harness.queue.before["settle"] = [StoreError("gone for a moment")]
    with pytest.raises(StoreError):
        await harness.process_batch()
    assert await harness.total() == (2, 4, 10)
    harness.replace()  # the process died, another one comes
    assert [await harness.process_batch(301), await harness.process_batch()] == [2, 0]
    assert await harness.total() == (2, 4, 10)
    assert (await harness.stats()).ready == 0
    assert len(await harness.env.arrivals.reports(harness.domain.account_id)) == 2


@pytest.mark.parametrize("begin", [BEGIN, 0, -5, 1_700_000_000_000], ids=["now", "1970", "negative", "milliseconds"])
async def test_a_crash_between_insert_and_acknowledgement_counts_once(harness: Harness, begin: int) -> None:
    """The rows are in, nothing else was noted: the redelivery finds them, whatever day the report claims."""
    await harness.mail(report_mail("1", begin=begin))
    harness.analytics.after["insert"] = [StoreError("power cut")]
    await harness.process_batch()
    (row,) = await harness.env.arrivals.reports(harness.domain.account_id)
    assert row.published is False
    assert await harness.total() == (1, 2, 5)
    await harness.settle()
    (row,) = await harness.env.arrivals.reports(harness.domain.account_id)
    assert row.published is True
    assert await harness.total() == (1, 2, 5)


async def test_a_crash_before_the_insert_loses_nothing(harness: Harness) -> None:
    """Archived and noted but not published: the redelivery publishes."""
    await harness.mail(report_mail("1"))
    harness.analytics.before["insert"] = [StoreError("power cut")]
    await harness.process_batch()
    assert await harness.total() == (0, 0, 0)
    await harness.settle()
    assert await harness.total() == (1, 2, 5)


async def test_the_same_report_by_another_mail_counts_once(harness: Harness) -> None:
    """In one batch, in a later one, packed otherwise, or twice in one mail: a duplicate is noted and counted once."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.xml", document("1"))
        archive.writestr("b.xml", document("1"))
    await harness.mail(report_mail("1"))
    await harness.mail(report_mail("1"))
    await harness.settle()
    await harness.mail(mail(("plain.xml", document("1"))))
    await harness.mail(mail(("both.zip", packed.getvalue()), ("plain.xml", document("1"))))
    await harness.settle()
    assert await harness.total() == (1, 2, 5)
    (row,) = await harness.env.arrivals.reports(harness.domain.account_id)
    found = await harness.env.arrivals.report(harness.domain.account_id, row.key)
    assert found is not None
    assert found.duplicates == 5


async def test_a_duplicate_whose_first_mail_never_got_published_is_published(harness: Harness) -> None:
    """The second mail publishes what the first one's crash left undone; the first changes nothing after."""
    await harness.mail(report_mail("1"))
    harness.analytics.before["insert"] = [StoreError("power cut")]
    await harness.process_batch()
    await harness.mail(report_mail("1"))
    assert await harness.process_batch() == 1
    assert await harness.total() == (1, 2, 5)
    await harness.settle()
    assert await harness.total() == (1, 2, 5)


async def test_variants_and_other_dates_all_count(harness: Harness) -> None:
    """Same id and dates with other content, and same id with other dates, are reports of their own."""
    await harness.mail(report_mail("1"))
    await harness.mail(report_mail("1", records=[("192.0.2.9", 7, "pass", "pass")]))
    await harness.mail(report_mail("1", begin=BEGIN + DAY))
    await harness.settle()
    assert await harness.total() == (3, 5, 17)


async def test_every_report_of_a_mail_is_read_and_every_fault_named(harness: Harness) -> None:
    """Two good reports beside a cut one: both count, the third is a problem with its place."""
    good = gzip.compress(document("1"), mtime=0)
    await harness.mail(mail(("a.xml.gz", good), ("cut.xml.gz", good[:-30]), ("b.xml", document("2"))))
    await harness.settle()
    reports, _, messages = await harness.total()
    assert (reports, messages) in {(2, 10)}
    (problem,) = await harness.env.problems.list(harness.domain.account_id)
    assert "cut.xml.gz" in problem.where
    assert problem.detail
    assert await harness.env.objects.get(problem.object_key) is not None


async def test_a_mail_without_a_report_is_other_mail(harness: Harness) -> None:
    """It is kept, listed once however often it is delivered, and counted nowhere."""
    await harness.mail(b"From: someone@example.net\r\nSubject: hello\r\n\r\nWho reads this?\r\n")
    harness.queue.before["settle"] = [StoreError("gone for a moment")]
    with pytest.raises(StoreError):
        await harness.process_batch()
    await harness.settle()
    assert await harness.problem_reasons() == []
    (other,) = await harness.env.problems.list(harness.domain.account_id, state="other")
    assert other.reason == "no_report"
    assert await harness.total() == (0, 0, 0)


async def test_a_report_about_another_domain_counts_nowhere(harness: Harness) -> None:
    """Kept, listed under problems, in no figure; a subdomain's report counts."""
    await harness.mail(report_mail("1", domain="example.org"))
    await harness.mail(report_mail("2", domain="notexample.com"))
    await harness.mail(report_mail("3", domain="mail.example.com"))
    await harness.settle()
    assert await harness.total() == (1, 2, 5)
    assert await harness.problem_reasons() == ["other_domain", "other_domain"]


async def test_a_hostile_name_stays_inside_the_objects_folder(harness: Harness) -> None:
    """A file name is a label, never a path; text from strangers is stored as it is."""
    await harness.mail(mail(("../../../x", document("1", org_name="<script>alert(1)</script>"))))
    await harness.mail(mail(("..\\\\..\\\\y", document("2"))))
    await harness.settle()
    assert await harness.total() == (2, 4, 10)
    rows = await harness.env.arrivals.reports(harness.domain.account_id)
    assert sorted(row.object_key.rsplit("/", 1)[-1] for row in rows) == ["x", "y"]
    assert "<script>alert(1)</script>" in {row.org_name for row in rows}
    outside = {path.name for path in harness.path.rglob("*") if path.is_file()} - {
        path.name for path in (harness.path / "objects").rglob("*")
    }
    assert {name for name in outside if not name.startswith("dmarcworks.db")} == set()


async def test_a_store_that_is_away_uses_up_no_tries(harness: Harness) -> None:
    """Twenty failures of a store are no fault of the mail: it is read when the store is back."""
    await harness.mail(report_mail("1"))
    harness.analytics.before["insert"] = [StoreError("away")] * 20
    for _ in range(20):
        assert await harness.process_batch(600) == 1
    await harness.settle()
    assert await harness.total() == (1, 2, 5)
    assert await harness.problem_reasons() == []


async def test_a_poisonous_mail_is_given_up_and_its_neighbours_are_not(harness: Harness) -> None:
    """What fails again and again becomes a dead letter and a problem; the batch around it counts."""
    await harness.mail(report_mail("1"))
    await harness.mail(report_mail("2"))
    await harness.mail(report_mail("3"))
    harness.objects.before["get"] = [RuntimeError("poison"), None, None, RuntimeError("poison")]
    await harness.process_batch()
    assert await harness.total() == (2, 4, 10)
    harness.objects.before["get"] = [RuntimeError("poison")] * 3
    for _ in range(3):
        assert await harness.process_batch(600) == 1
    stats = await harness.stats()
    assert (stats.ready, stats.delayed, stats.leased, stats.dead) == (0, 0, 0, 1)
    (problem,) = await harness.env.problems.list(harness.domain.account_id)
    assert problem.reason == "gave_up"
    assert "failed 4 times" in problem.detail
    assert "poison" in problem.detail
    assert await harness.env.objects.get(problem.object_key) == report_mail("1")


async def test_a_report_that_the_engine_refuses_waits_alone(harness: Harness) -> None:
    """One refused insert of a batch is found mail by mail; the others are published at once."""
    for number in range(3):
        await harness.mail(report_mail(str(number)))
    harness.analytics.before["insert"] = [QueryError("refused"), QueryError("refused")]
    await harness.process_batch()
    assert await harness.total() == (2, 4, 10)
    await harness.settle()
    assert await harness.total() == (3, 6, 15)


async def test_a_mail_that_cannot_be_noted_waits_alone(harness: Harness) -> None:
    """Its figures are in, its neighbours are done; only it is tried again, and counts once."""
    arrivals = Tap(harness.env.arrivals)
    harness.replace(arrivals=arrivals)
    for number in range(3):
        await harness.mail(report_mail(str(number)))
    arrivals.before["record_mails"] = [ValueError("odd"), ValueError("odd")]
    await harness.process_batch()
    assert await harness.total() == (3, 6, 15)
    stats = await harness.stats()
    assert (stats.ready, stats.delayed, stats.dead) == (0, 1, 0)
    await harness.settle()
    assert await harness.total() == (3, 6, 15)
    assert await harness.problem_reasons() == []


async def test_a_mail_of_many_months_is_published_whole(harness: Harness) -> None:
    """More partitions than an engine likes in one insert are no reason to lose a report."""
    months = [BEGIN + number * 31 * DAY for number in range(120)]
    for half in (months[:60], months[60:]):
        await harness.mail(mail(*((f"{begin}.xml", document("1", begin=begin)) for begin in half)))
    assert await harness.process_batch() == 2
    assert await harness.total() == (120, 240, 600)
    assert await harness.problem_reasons() == []


async def test_a_bound_is_a_problem_that_names_it(harness: Harness) -> None:
    """A report over a bound is kept and its reason names the bound."""
    bounded(harness, inflated_bytes=10_000)
    await harness.mail(report_mail("1", org_name="x" * 20_000))
    await harness.settle()
    assert await harness.total() == (0, 0, 0)
    (problem,) = await harness.env.problems.list(harness.domain.account_id)
    assert "10,000" in problem.detail or "10000" in problem.detail


async def test_a_retry_by_a_person_counts_nothing_twice_and_closes_what_is_repaired(harness: Harness) -> None:
    """The rows went in, then the mail was given up: reading it again finds them, and its old problems close."""
    await harness.mail(report_mail("1"))
    (item,) = await harness.env.queue.receive(SYSTEM_QUEUE, limit=1, lease=600)
    body = {**json.loads(item.body), "again": True}
    harness.analytics.after["insert"] = [StoreError("power cut")]
    await harness.send(body)
    await harness.process_batch()
    await harness.env.queue.settle([Settlement(item, done=True)])
    await harness.settle()
    await harness.env.problems.add(
        account_id=harness.domain.account_id,
        domain_id=harness.domain.id,
        mail_id=body["mail_id"],
        reason="gave_up",
        where="mail",
        detail="Reading failed.",
        object_key=body["object_key"],
    )
    async with harness.env.arrivals._database.write() as connection:
        await connection.exec_driver_sql("UPDATE reports SET published = 0")
    await harness.send(body)
    await harness.process_batch()
    assert await harness.total() == (1, 2, 5)
    assert await harness.problem_reasons() == []


async def test_a_problem_is_solved_only_when_its_report_is_in_the_figures(harness: Harness) -> None:
    """While the rows are not in, its mail is being reprocessed: "solved" beside figures without it would be wrong."""
    await harness.mail(report_mail("1"))
    (item,) = await harness.env.queue.receive(SYSTEM_QUEUE, limit=1, lease=600)
    body = {**json.loads(item.body), "again": True}
    await harness.env.queue.settle([Settlement(item, done=True)])
    await harness.env.problems.add(
        account_id=harness.domain.account_id,
        domain_id=harness.domain.id,
        mail_id=body["mail_id"],
        reason="gave_up",
        where="mail",
        detail="Reading failed.",
        object_key=body["object_key"],
    )
    harness.analytics.before["insert"] = [StoreError("power cut")]
    await harness.send(body)
    await harness.process_batch()
    assert await harness.total() == (0, 0, 0)
    assert [row.reason for row in await harness.env.problems.list(state="retrying")] == ["gave_up"]
    await harness.settle()
    assert await harness.total() == (1, 2, 5)
    assert [row.reason for row in await harness.env.problems.list(state="closed")] == ["gave_up"]


async def adopt(harness: Harness, key: str, domain_id: str, account_id: str = "") -> None:
    """What `retry.adopt` queues."""
    (row,) = [row for row in await harness.env.arrivals.reports(harness.domain.account_id) if row.key == key]
    mail = await harness.env.arrivals.mail(harness.domain.account_id, row.mail_id)
    assert mail is not None
    await harness.send(
        {
            "mail_id": mail.id,
            "object_key": mail.object_key,
            "account_id": account_id or harness.domain.account_id,
            "domain_id": harness.domain.id,
            "domain": harness.domain.name,
            "recipient": mail.recipient,
            "sender": mail.sender,
            "peer": mail.peer,
            "received": mail.received.timestamp(),
            "size": mail.size,
            "again": True,
            "adopt": {key: domain_id},
        }
    )
    await harness.settle()


async def messages(harness: Harness, domain_id: str) -> int:
    answer = await harness.env.analytics.query(
        "SELECT sum(count) FROM dmarc_reports WHERE domain_id = {domain_id:String} AND domain = 'example.org'",
        {"domain_id": domain_id},
        format="TabSeparated",
    )
    return int(answer)


async def test_an_adopted_report_counts_once_for_the_right_domain(harness: Harness) -> None:
    """Adopted twice, crashed in between, its mail delivered again: five messages for example.org, none elsewhere."""
    await harness.mail(report_mail("1", domain="example.org"))
    await harness.settle()
    right = await harness.add_domain("example.org")
    (row,) = await harness.env.arrivals.reports(harness.domain.account_id)
    harness.analytics.after["insert"] = [StoreError("power cut")]
    await adopt(harness, row.key, right.id)
    await adopt(harness, row.key, right.id)
    await harness.mail(report_mail("1", domain="example.org"))
    await harness.settle()
    assert await messages(harness, right.id) == 5
    assert await harness.total() == (0, 0, 0)
    assert await harness.problem_reasons() == []
    (row,) = await harness.env.arrivals.reports(harness.domain.account_id)
    assert (row.domain_id, row.state, row.published) == (right.id, "counted", True)


async def test_no_report_is_adopted_across_accounts(harness: Harness) -> None:
    """Neither into another account's domain nor by another account's word."""
    await harness.mail(report_mail("1", domain="example.org"))
    await harness.settle()
    other = await harness.add_domain("example.org", "neighbour")
    (row,) = await harness.env.arrivals.reports(harness.domain.account_id)
    await adopt(harness, row.key, other.id)
    await harness.env.arrivals.adopt(other.account_id, {row.key: other.id})
    assert await messages(harness, other.id) == 0
    (row,) = await harness.env.arrivals.reports(harness.domain.account_id)
    assert (row.domain_id, row.state) == (harness.domain.id, "foreign")
    assert await harness.problem_reasons() == ["other_domain"]


async def test_a_report_that_comes_again_to_the_right_address_counts(harness: Harness) -> None:
    """First to another domain's address, then to its own: counted once, for its own, and no problem is left."""
    await harness.mail(report_mail("1", domain="example.org"))
    await harness.settle()
    assert await harness.problem_reasons() == ["other_domain"]
    right = await harness.add_domain("example.org")
    await harness.mail(report_mail("1", domain="example.org"), to=right.rua)
    await harness.mail(report_mail("1", domain="example.org"), to=right.rua)
    await harness.settle()
    assert await messages(harness, right.id) == 5
    assert await harness.total() == (0, 0, 0)
    assert await harness.problem_reasons() == []


async def by_rule(harness: Harness, raw: bytes, domain: Domain) -> str:
    """A mail that a routing rule of the domain gives to the worker; the SMTP reply."""
    message = Message("d@mail.example", "dmarc@example.com", raw, account_id=domain.account_id, domain_id=domain.id)
    return await deliver(message, harness.env)


async def test_a_rule_brings_the_reports_of_its_account(harness: Harness) -> None:
    """Each report's policy domain decides which of the account's domains it counts for; the nearest one wins."""
    other, below = await harness.add_domain("example.org"), await harness.add_domain("sub.example.org")
    stranger = await harness.add_domain("stranger.example", "stranger")
    mails = [report_mail("1"), report_mail("2", domain="example.org"), report_mail("3", domain="a.sub.example.org")]
    for raw in (*mails, report_mail("4", domain="stranger.example")):
        assert await by_rule(harness, raw, harness.domain) == ACCEPTED
    await harness.settle()
    counts = "SELECT domain_id, toInt64(sum(count)) AS n FROM dmarc_reports GROUP BY domain_id FORMAT JSONEachRow"
    rows = (await harness.env.analytics.query(counts)).splitlines()
    found = {row["domain_id"]: int(row["n"]) for row in map(json.loads, rows)}
    ids = [harness.domain.id, other.id, below.id, stranger.id]
    assert [found.get(domain_id, 0) for domain_id in ids] == [5, 5, 5, 0]
    assert await harness.problem_reasons() == ["other_domain"]


async def test_a_rule_of_a_removed_domain_brings_nothing(harness: Harness) -> None:
    """Nobody's mail is kept."""
    await harness.accounts.remove_domain(harness.domain)
    assert (await by_rule(harness, report_mail("1"), harness.domain)).startswith("550 5.7.1")
    assert (await harness.stats()).ready == 0


async def test_a_rua_address_that_was_disabled_since_rcpt_accepts_nothing(harness: Harness) -> None:
    """Its domain is known from the answer at RCPT, and is no rule that would bring the mail in by another way."""
    rua = harness.domain.rua
    await harness.accounts.remove_domain(harness.domain)
    other = await harness.add_domain("example.org")
    message = Message(
        "a@mail.example", rua, report_mail("1"), account_id=other.account_id, domain_id=other.id, rua=True
    )
    assert (await deliver(message, harness.env)).startswith("550 5.7.1")
    assert (await harness.stats()).ready == 0
