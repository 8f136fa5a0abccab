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
from tests.support.ingesting import deliver
from tests.support.mails import BEGIN, DAY, document, mail, report_mail
from tests.support.worker_house import House, Tap, bounded

pytestmark = pytest.mark.asyncio(loop_scope="package")
ACCEPTED = "250 2.0.0 Accepted"
LATER = "451 4.3.0 Cannot keep the mail now, try again later"


async def test_a_report_becomes_figures_and_an_archived_original(house: House) -> None:
    """One mail: raw kept, attachment archived as received, one catalogue row, its records in Analytics."""
    raw = report_mail("r-1")
    assert await house.mail(raw) == ACCEPTED
    (inbox,) = await house.env.objects.list(prefix="inbox/")
    assert await house.env.objects.get(inbox.key) == raw
    await house.settle()
    assert await house.total() == (1, 2, 5)
    (row,) = await house.env.arrivals.reports(house.domain.account_id)
    attachment = gzip.compress(document("r-1"), mtime=0)
    assert row.object_key == f"2026/9/{hashlib.sha256(attachment).hexdigest()}/report.xml.gz"
    assert await house.env.objects.get(row.object_key) == attachment
    assert (row.report_id, row.records, row.messages, row.state, row.published) == ("r-1", 2, 5, "counted", True)
    assert await house.problems() == []


async def test_nobodys_address_is_refused(house: House) -> None:
    """No KV entry, no mail: 550, and nothing is stored. Odd addresses need no store to be refused."""
    for to in ("f" * 32 + "@reports.example.net", "\udcff@reports.example.net", "a" * 600 + "@reports.example.net"):
        assert (await house.mail(report_mail(), to=to)).startswith("550 5.7.1")
    assert await house.env.objects.list(prefix="inbox/") == []
    assert (await house.stats()).ready == 0


@pytest.mark.parametrize(("store", "method"), [("objects", "put"), ("queue", "send")])
async def test_no_store_no_250(house: House, store: str, method: str) -> None:
    """Where raw mail or queue item cannot be kept the sender hears 451; when the store is back, 250."""
    getattr(house, store).before[method] = [StoreError("disk full")]
    assert await house.mail(report_mail()) == LATER
    assert await house.mail(report_mail()) == ACCEPTED
    await house.settle()
    assert await house.total() == (1, 2, 5)


async def test_the_same_batch_twice_counts_once(house: House) -> None:
    """Delivered again after everything was done but the acknowledgement: no total changes."""
    await house.mail(report_mail("1"))
    await house.mail(report_mail("2"))
    house.queue.before["settle"] = [StoreError("gone for a moment")]
    with pytest.raises(StoreError):
        await house.turn()
    assert await house.total() == (2, 4, 10)
    house.replace()  # the process died, another one comes
    assert [await house.turn(301), await house.turn()] == [2, 0]
    assert await house.total() == (2, 4, 10)
    assert (await house.stats()).ready == 0
    assert len(await house.env.arrivals.reports(house.domain.account_id)) == 2


@pytest.mark.parametrize("begin", [BEGIN, 0, -5, 1_700_000_000_000], ids=["now", "1970", "negative", "milliseconds"])
async def test_a_crash_between_insert_and_acknowledgement_counts_once(house: House, begin: int) -> None:
    """The rows are in, nothing else was noted: the redelivery finds them, whatever day the report claims."""
    await house.mail(report_mail("1", begin=begin))
    house.analytics.after["insert"] = [StoreError("power cut")]
    await house.turn()
    (row,) = await house.env.arrivals.reports(house.domain.account_id)
    assert row.published is False
    assert await house.total() == (1, 2, 5)
    await house.settle()
    (row,) = await house.env.arrivals.reports(house.domain.account_id)
    assert row.published is True
    assert await house.total() == (1, 2, 5)


async def test_a_crash_before_the_insert_loses_nothing(house: House) -> None:
    """Archived and noted but not published: the redelivery publishes."""
    await house.mail(report_mail("1"))
    house.analytics.before["insert"] = [StoreError("power cut")]
    await house.turn()
    assert await house.total() == (0, 0, 0)
    await house.settle()
    assert await house.total() == (1, 2, 5)


async def test_the_same_report_by_another_mail_counts_once(house: House) -> None:
    """In one batch, in a later one, packed otherwise, or twice in one mail: a duplicate is noted and counted once."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.xml", document("1"))
        archive.writestr("b.xml", document("1"))
    await house.mail(report_mail("1"))
    await house.mail(report_mail("1"))
    await house.settle()
    await house.mail(mail(("plain.xml", document("1"))))
    await house.mail(mail(("both.zip", packed.getvalue()), ("plain.xml", document("1"))))
    await house.settle()
    assert await house.total() == (1, 2, 5)
    (row,) = await house.env.arrivals.reports(house.domain.account_id)
    found = await house.env.arrivals.report(house.domain.account_id, row.key)
    assert found is not None
    assert found.duplicates == 5


async def test_a_duplicate_whose_first_mail_never_got_published_is_published(house: House) -> None:
    """The second mail publishes what the first one's crash left undone; the first changes nothing after."""
    await house.mail(report_mail("1"))
    house.analytics.before["insert"] = [StoreError("power cut")]
    await house.turn()
    await house.mail(report_mail("1"))
    assert await house.turn() == 1
    assert await house.total() == (1, 2, 5)
    await house.settle()
    assert await house.total() == (1, 2, 5)


async def test_variants_and_other_dates_all_count(house: House) -> None:
    """Same id and dates with other content, and same id with other dates, are reports of their own."""
    await house.mail(report_mail("1"))
    await house.mail(report_mail("1", records=[("192.0.2.9", 7, "pass", "pass")]))
    await house.mail(report_mail("1", begin=BEGIN + DAY))
    await house.settle()
    assert await house.total() == (3, 5, 17)


async def test_every_report_of_a_mail_is_read_and_every_fault_named(house: House) -> None:
    """Two good reports beside a cut one: both count, the third is a problem with its place."""
    good = gzip.compress(document("1"), mtime=0)
    await house.mail(mail(("a.xml.gz", good), ("cut.xml.gz", good[:-30]), ("b.xml", document("2"))))
    await house.settle()
    reports, _, messages = await house.total()
    assert (reports, messages) in {(2, 10)}
    (problem,) = await house.env.problems.list(house.domain.account_id)
    assert "cut.xml.gz" in problem.where
    assert problem.detail
    assert await house.env.objects.get(problem.object_key) is not None


async def test_a_mail_without_a_report_is_other_mail(house: House) -> None:
    """It is kept, listed once however often it is delivered, and counted nowhere."""
    await house.mail(b"From: someone@example.net\r\nSubject: hello\r\n\r\nWho reads this?\r\n")
    house.queue.before["settle"] = [StoreError("gone for a moment")]
    with pytest.raises(StoreError):
        await house.turn()
    await house.settle()
    assert await house.problems() == []
    (other,) = await house.env.problems.list(house.domain.account_id, state="other")
    assert other.reason == "no_report"
    assert await house.total() == (0, 0, 0)


async def test_a_report_about_another_domain_counts_nowhere(house: House) -> None:
    """Kept, listed under problems, in no figure; a subdomain's report counts."""
    await house.mail(report_mail("1", domain="example.org"))
    await house.mail(report_mail("2", domain="notexample.com"))
    await house.mail(report_mail("3", domain="mail.example.com"))
    await house.settle()
    assert await house.total() == (1, 2, 5)
    assert await house.problems() == ["other_domain", "other_domain"]


async def test_a_hostile_name_stays_inside_the_objects_folder(house: House) -> None:
    """A file name is a label, never a path; text from strangers is stored as it is."""
    await house.mail(mail(("../../../x", document("1", org_name="<script>alert(1)</script>"))))
    await house.mail(mail(("..\\\\..\\\\y", document("2"))))
    await house.settle()
    assert await house.total() == (2, 4, 10)
    rows = await house.env.arrivals.reports(house.domain.account_id)
    assert sorted(row.object_key.rsplit("/", 1)[-1] for row in rows) == ["x", "y"]
    assert "<script>alert(1)</script>" in {row.org_name for row in rows}
    outside = {path.name for path in house.folder.rglob("*") if path.is_file()} - {
        path.name for path in (house.folder / "objects").rglob("*")
    }
    assert {name for name in outside if not name.startswith("catalogue.db")} == set()


async def test_a_store_that_is_away_uses_up_no_tries(house: House) -> None:
    """Twenty failures of a store are no fault of the mail: it is read when the store is back."""
    await house.mail(report_mail("1"))
    house.analytics.before["insert"] = [StoreError("away")] * 20
    for _ in range(20):
        assert await house.turn(600) == 1
    await house.settle()
    assert await house.total() == (1, 2, 5)
    assert await house.problems() == []


async def test_a_poisonous_mail_is_given_up_and_its_neighbours_are_not(house: House) -> None:
    """What fails again and again becomes a dead letter and a problem; the batch around it counts."""
    await house.mail(report_mail("1"))
    await house.mail(report_mail("2"))
    await house.mail(report_mail("3"))
    house.objects.before["get"] = [RuntimeError("poison"), None, None, RuntimeError("poison")]
    await house.turn()
    assert await house.total() == (2, 4, 10)
    house.objects.before["get"] = [RuntimeError("poison")] * 3
    for _ in range(3):
        assert await house.turn(600) == 1
    stats = await house.stats()
    assert (stats.ready, stats.delayed, stats.leased, stats.dead) == (0, 0, 0, 1)
    (problem,) = await house.env.problems.list(house.domain.account_id)
    assert problem.reason == "gave_up"
    assert "failed 4 times" in problem.detail
    assert "poison" in problem.detail
    assert await house.env.objects.get(problem.object_key) == report_mail("1")


async def test_a_report_that_the_engine_refuses_waits_alone(house: House) -> None:
    """One refused insert of a batch is found mail by mail; the others are published at once."""
    for number in range(3):
        await house.mail(report_mail(str(number)))
    house.analytics.before["insert"] = [QueryError("refused"), QueryError("refused")]
    await house.turn()
    assert await house.total() == (2, 4, 10)
    await house.settle()
    assert await house.total() == (3, 6, 15)


async def test_a_mail_that_cannot_be_noted_waits_alone(house: House) -> None:
    """Its figures are in, its neighbours are done; only it is tried again, and counts once."""
    arrivals = Tap(house.env.arrivals)
    house.replace(arrivals=arrivals)
    for number in range(3):
        await house.mail(report_mail(str(number)))
    arrivals.before["record_mails"] = [ValueError("odd"), ValueError("odd")]
    await house.turn()
    assert await house.total() == (3, 6, 15)
    stats = await house.stats()
    assert (stats.ready, stats.delayed, stats.dead) == (0, 1, 0)
    await house.settle()
    assert await house.total() == (3, 6, 15)
    assert await house.problems() == []


async def test_a_mail_of_many_months_is_published_whole(house: House) -> None:
    """More partitions than an engine likes in one insert are no reason to lose a report."""
    months = [BEGIN + number * 31 * DAY for number in range(120)]
    for half in (months[:60], months[60:]):
        await house.mail(mail(*((f"{begin}.xml", document("1", begin=begin)) for begin in half)))
    assert await house.turn() == 2
    assert await house.total() == (120, 240, 600)
    assert await house.problems() == []


async def test_a_bound_is_a_problem_that_names_it(house: House) -> None:
    """A report over a bound is kept and its reason names the bound."""
    bounded(house, inflated_bytes=10_000)
    await house.mail(report_mail("1", org_name="x" * 20_000))
    await house.settle()
    assert await house.total() == (0, 0, 0)
    (problem,) = await house.env.problems.list(house.domain.account_id)
    assert "10,000" in problem.detail or "10000" in problem.detail


async def test_a_retry_by_a_person_counts_nothing_twice_and_closes_what_is_mended(house: House) -> None:
    """The rows went in, then the mail was given up: reading it again finds them, and its old problems close."""
    await house.mail(report_mail("1"))
    (item,) = await house.env.queue.receive(SYSTEM_QUEUE, limit=1, lease=600)
    body = {**json.loads(item.body), "again": True}
    house.analytics.after["insert"] = [StoreError("power cut")]
    await house.send(body)
    await house.turn()
    await house.env.queue.settle([Settlement(item, done=True)])
    await house.settle()
    await house.env.problems.add(
        account_id=house.domain.account_id,
        domain_id=house.domain.id,
        mail_id=body["mail_id"],
        reason="gave_up",
        where="mail",
        detail="Reading failed.",
        object_key=body["object_key"],
    )
    async with house.env.arrivals._database.write() as connection:
        await connection.exec_driver_sql("UPDATE reports SET published = 0")
    await house.send(body)
    await house.turn()
    assert await house.total() == (1, 2, 5)
    assert await house.problems() == []


async def test_a_problem_is_solved_only_when_its_report_is_in_the_figures(house: House) -> None:
    """While the rows are not in, its mail is being reprocessed: "solved" beside figures without it would be wrong."""
    await house.mail(report_mail("1"))
    (item,) = await house.env.queue.receive(SYSTEM_QUEUE, limit=1, lease=600)
    body = {**json.loads(item.body), "again": True}
    await house.env.queue.settle([Settlement(item, done=True)])
    await house.env.problems.add(
        account_id=house.domain.account_id,
        domain_id=house.domain.id,
        mail_id=body["mail_id"],
        reason="gave_up",
        where="mail",
        detail="Reading failed.",
        object_key=body["object_key"],
    )
    house.analytics.before["insert"] = [StoreError("power cut")]
    await house.send(body)
    await house.turn()
    assert await house.total() == (0, 0, 0)
    assert [row.reason for row in await house.env.problems.list(state="retrying")] == ["gave_up"]
    await house.settle()
    assert await house.total() == (1, 2, 5)
    assert [row.reason for row in await house.env.problems.list(state="closed")] == ["gave_up"]


async def adopt(house: House, key: str, domain_id: str, account_id: str = "") -> None:
    """What `retry.adopt` queues."""
    (row,) = [row for row in await house.env.arrivals.reports(house.domain.account_id) if row.key == key]
    mail = await house.env.arrivals.mail(house.domain.account_id, row.mail_id)
    assert mail is not None
    await house.send(
        {
            "mail_id": mail.id,
            "object_key": mail.object_key,
            "account_id": account_id or house.domain.account_id,
            "domain_id": house.domain.id,
            "domain": house.domain.name,
            "recipient": mail.recipient,
            "sender": mail.sender,
            "peer": mail.peer,
            "received": mail.received.timestamp(),
            "size": mail.size,
            "again": True,
            "adopt": {key: domain_id},
        }
    )
    await house.settle()


async def messages(house: House, domain_id: str) -> int:
    answer = await house.env.analytics.query(
        "SELECT sum(count) FROM dmarc_reports WHERE domain_id = {domain_id:String} AND domain = 'example.org'",
        {"domain_id": domain_id},
        format="TabSeparated",
    )
    return int(answer)


async def test_an_adopted_report_counts_once_for_the_right_domain(house: House) -> None:
    """Adopted twice, crashed in between, its mail delivered again: five messages for example.org, none elsewhere."""
    await house.mail(report_mail("1", domain="example.org"))
    await house.settle()
    right = await house.add_domain("example.org")
    (row,) = await house.env.arrivals.reports(house.domain.account_id)
    house.analytics.after["insert"] = [StoreError("power cut")]
    await adopt(house, row.key, right.id)
    await adopt(house, row.key, right.id)
    await house.mail(report_mail("1", domain="example.org"))
    await house.settle()
    assert await messages(house, right.id) == 5
    assert await house.total() == (0, 0, 0)
    assert await house.problems() == []
    (row,) = await house.env.arrivals.reports(house.domain.account_id)
    assert (row.domain_id, row.state, row.published) == (right.id, "counted", True)


async def test_no_report_is_adopted_across_accounts(house: House) -> None:
    """Neither into another account's domain nor by another account's word."""
    await house.mail(report_mail("1", domain="example.org"))
    await house.settle()
    other = await house.add_domain("example.org", "neighbour")
    (row,) = await house.env.arrivals.reports(house.domain.account_id)
    await adopt(house, row.key, other.id)
    await house.env.arrivals.adopt(other.account_id, {row.key: other.id})
    assert await messages(house, other.id) == 0
    (row,) = await house.env.arrivals.reports(house.domain.account_id)
    assert (row.domain_id, row.state) == (house.domain.id, "foreign")
    assert await house.problems() == ["other_domain"]


async def test_a_report_that_comes_again_to_the_right_address_counts(house: House) -> None:
    """First to another domain's address, then to its own: counted once, for its own, and no problem is left."""
    await house.mail(report_mail("1", domain="example.org"))
    await house.settle()
    assert await house.problems() == ["other_domain"]
    right = await house.add_domain("example.org")
    await house.mail(report_mail("1", domain="example.org"), to=right.rua)
    await house.mail(report_mail("1", domain="example.org"), to=right.rua)
    await house.settle()
    assert await messages(house, right.id) == 5
    assert await house.total() == (0, 0, 0)
    assert await house.problems() == []


async def by_rule(house: House, raw: bytes, domain: Domain) -> str:
    """A mail that a routing rule of the domain gives to the worker; the SMTP reply."""
    message = Message("d@mail.example", "dmarc@example.com", raw, account_id=domain.account_id, domain_id=domain.id)
    return await deliver(message, house.env)


async def test_a_rule_brings_the_reports_of_its_account(house: House) -> None:
    """Each report's policy domain decides which of the account's domains it counts for; the nearest one wins."""
    other, below = await house.add_domain("example.org"), await house.add_domain("sub.example.org")
    stranger = await house.add_domain("stranger.example", "stranger")
    mails = [report_mail("1"), report_mail("2", domain="example.org"), report_mail("3", domain="a.sub.example.org")]
    for raw in (*mails, report_mail("4", domain="stranger.example")):
        assert await by_rule(house, raw, house.domain) == ACCEPTED
    await house.settle()
    counts = "SELECT domain_id, toInt64(sum(count)) AS n FROM dmarc_reports GROUP BY domain_id FORMAT JSONEachRow"
    rows = (await house.env.analytics.query(counts)).splitlines()
    found = {row["domain_id"]: int(row["n"]) for row in map(json.loads, rows)}
    ids = [house.domain.id, other.id, below.id, stranger.id]
    assert [found.get(domain_id, 0) for domain_id in ids] == [5, 5, 5, 0]
    assert await house.problems() == ["other_domain"]


async def test_a_rule_of_a_removed_domain_brings_nothing(house: House) -> None:
    """Nobody's mail is kept."""
    await house.accounts.remove_domain(house.domain)
    assert (await by_rule(house, report_mail("1"), house.domain)).startswith("550 5.7.1")
    assert (await house.stats()).ready == 0


async def test_a_rua_address_that_was_disabled_since_rcpt_accepts_nothing(house: House) -> None:
    """Its domain is known from the answer at RCPT, and is no rule that would bring the mail in by another way."""
    rua = house.domain.rua
    await house.accounts.remove_domain(house.domain)
    other = await house.add_domain("example.org")
    message = Message(
        "a@mail.example", rua, report_mail("1"), account_id=other.account_id, domain_id=other.id, rua=True
    )
    assert (await deliver(message, house.env)).startswith("550 5.7.1")
    assert (await house.stats()).ready == 0
