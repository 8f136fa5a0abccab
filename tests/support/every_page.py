"""An account that has something to show on every page, and the address of each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import insert, update

from dmarcworks.bindings.contracts import OutgoingMessage, Settlement
from dmarcworks.bindings.sqlite_stores import SqliteQueue
from dmarcworks.catalogue import tables
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.activity import ActivityLine
from dmarcworks.catalogue.audit import Actor, acting
from dmarcworks.catalogue.mailbox_state import FolderMark, LeftMail, MailboxState
from dmarcworks.catalogue.mailboxes import BY_FILE, BY_WEB
from dmarcworks.catalogue.routes import zone_of
from dmarcworks.ingest.item import NO_DOMAIN
from dmarcworks.policy.dns_records.checker import RecordChecker
from dmarcworks.policy.planner import Planner
from dmarcworks.reports.model import TlsReport
from dmarcworks.settings import MailboxTable
from tests.support.dns_fill import check_over_days, published
from tests.support.failures import arf, tls
from tests.support.harness import Harness
from tests.support.noted import note, parsed
from tests.support.outside import Names, answering
from tests.support.pages import NOW, TODAY, aggregate, record

OWNER = "every@example.org"
ACCOUNT = "every"
EARLIER_HOST = "earlier.example.net"


def tls_about(domain: str, day: date, report_id: str = "t-1") -> TlsReport:
    """A TLS report about a whole UTC day: 5 sessions that worked and 2 that failed."""
    report = parsed(tls(report_id, domains=(domain,)))
    assert isinstance(report, TlsReport)
    begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    return dataclasses.replace(report, begin=begin, end=begin + 86_399)


@asynccontextmanager
async def every_page(harness: Harness) -> AsyncIterator[dict[str, str]]:
    """Each page's address, with whose it is: `OWNER`, "a@example.com" (who operates the system) or "" (nobody's)."""
    paths = await _reports(harness) + await _mail(harness) + await _mailboxes(harness)
    queues = SqliteQueue(harness.stores.database, harness.clock)
    await queues.send("mine", [OutgoingMessage("text", b"a body")])
    (letter,) = await queues.receive("mine", limit=1, lease=60)
    await queues.settle([Settlement(letter, error="ValueError('bug')", dead=True)])
    operated = [
        "/queues",
        "/queues?queue=mine",
        "/queues/discard",
        f"/queues/{letter.id}",
        f"/queues/{letter.id}/discard",
    ]
    link, _ = await harness.accounts.login_link(OWNER), await harness.accounts.login_link("a@example.com")
    _, secret = await harness.routing.destinations.add(await _account(harness), "me@example.org")
    opened = [
        "/login",
        f"/login/{link}",
        "/login/used",
        f"/routing/verify/{secret}",
        "/routing/verify/used",
        "/nothing",
    ]
    before, names = harness.app.state.deps, Names()
    names.add(
        {
            ("_dmarc.shop.example", "TXT"): "v=DMARC1; p=none; fo=1",
            ("shop.example", "TXT"): "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 -all",
        }
    )
    with answering(names):
        checker = RecordChecker(names.server)
        planner = Planner(before.questions, before.senders, before.policies, checker)
        harness.app.state.deps = dataclasses.replace(before, planner=planner, check_records=checker)
        yield {**dict.fromkeys(paths, OWNER), **dict.fromkeys(operated, "a@example.com"), **dict.fromkeys(opened, "")}
        harness.app.state.deps = before
    await queues.discard()
    await harness.routing.destinations.remove(await _account(harness), "me@example.org")
    domain = await harness.accounts.domain(await _account(harness), "shop.example")
    assert domain is not None
    for rule in await harness.routing.routes.rules(account_id=await _account(harness)):
        await harness.routing.routes.remove(zone_of(domain), rule.id)


async def _mailboxes(harness: Harness) -> list[str]:
    """One that fails, with mail that was left alone and reports about an unknown domain; and one of the file."""
    mine, state = await _account(harness), MailboxState(harness.stores.database)
    failing = MailboxTable("reports", "imaps://dmarc@imap.example.com:993/INBOX,Reports", "", "move:Done")
    row = await harness.stores.mailboxes.add(mine, failing, "hush", BY_WEB)
    left = LeftMail("INBOX", "1:7", "no_report", "There is no report in it.", "a@x.example", "Lunch", 2048)
    marks = {"INBOX": FolderMark("", 12), "Reports": FolderMark("", 0, "There is no such folder.")}
    await state.progress(row.id, marks, {"accepted": 1200, "left_alone": 1, "known": 3}, [left], mail=True)
    words = "imap.example.com:993 could not log in as dmarc: [AUTHENTICATIONFAILED]; check user name and password."
    await state.failed(row.id, "login", words, began=NOW.timestamp(), next_try=NOW.timestamp() + 300)
    await harness.stores.mailboxes.add(mine, MailboxTable("old", "imaps://old@imap.example.com/INBOX"), "x", BY_FILE)
    shop = await harness.accounts.domain(mine, "shop.example")
    assert shop is not None
    report = aggregate(TODAY, "google.com", [record("192.0.2.9", 3, "fail")], "nobody.example")
    key = await harness.report(shop, report, state="foreign", publish=False)
    async with harness.stores.database.write() as connection:
        statement = update(tables.reports).where(tables.reports.c.key == key)
        await connection.execute(statement.values(domain_id=NO_DOMAIN, policy_domain="nobody.example"))
    return ["/mailboxes", f"/mailboxes/{row.id}", f"/mailboxes/{row.id}?added=1", f"/mailboxes/{row.id}/remove"]


async def _account(harness: Harness) -> str:
    return (await harness.accounts.account_by_name(ACCOUNT)).id


async def _reports(harness: Harness) -> list[str]:
    await harness.accounts.account_by_name(ACCOUNT, create=True)
    await harness.accounts.add_user(OWNER, ACCOUNT)
    await harness.accounts.add_domain("waiting.example", ACCOUNT)
    only_tls = await harness.accounts.add_domain("only-tls.example", ACCOUNT)
    await note(harness, only_tls, tls_about("only-tls.example", TODAY - timedelta(days=1)))
    strict = await harness.accounts.add_domain("strict.example", ACCOUNT)
    unexplained = dataclasses.replace(record("192.0.2.9", 3, "fail"), reasons=())
    report = aggregate(TODAY - timedelta(days=1), "google.com", [unexplained], "strict.example")
    policy = dataclasses.replace(report.policy, p="reject", sp="quarantine", aspf="s")
    await harness.report(strict, dataclasses.replace(report, policy=policy))
    async with harness.stores.database.write() as connection:
        earlier = {"address": f"{strict.rua.partition('@')[0]}@{EARLIER_HOST}", "domain_id": strict.id, "replaced": 1.0}
        await connection.execute(insert(tables.rua_addresses).values(**earlier))
    shop = await harness.accounts.add_domain("shop.example", ACCOUNT)
    records = [record(f"192.0.2.{n}", n, "pass" if n % 3 else "fail", disposition="reject") for n in range(1, 130)]
    keys = []
    for back in range(1, 40):
        mixed = [record("203.0.113.5", 90, "pass"), record("203.0.113.5", 2, "fail")]
        report = aggregate(TODAY - timedelta(days=back), "google.com", records if back == 1 else mixed, "shop.example")
        keys.append(
            await harness.report(shop, report, warnings=[{"code": "odd", "where": "record 1", "detail": "odd"}])
        )
    await _checked(harness, shop)
    foreign = aggregate(TODAY, "google.com", records[:1], "else.example")
    keys.append(await harness.report(shop, foreign, state="foreign", publish=False))
    kinds = [
        await note(harness, shop, tls_about("shop.example", TODAY)),
        await note(harness, shop, parsed(arf(domain="shop.example"))),
    ]
    await harness.objects.put("inbox/2026/11/24/every.eml", b"From: x\r\n\r\nraw mail")
    for reason in ("not_xml", "empty"):
        await harness.problems.add(
            account_id=shop.account_id, domain_id=shop.id, mail_id=f"every {reason}", reason=reason,
            where="part 2 > report.zip > a.xml", detail="line 1: no", object_key="inbox/2026/11/24/every.eml",
            file_name="a.zip",
        )  # fmt: skip
    (problem, *_) = await harness.problems.list(shop.account_id)
    base = "/domains/shop.example"
    return [
        "/", "/?order=pass&dir=asc", "/?q=nothing", "/password", "/logout", "/audit", "/sql", "/graphql",
        "/graphql?example=failures", "/reports", f"/reports/{keys[0]}", f"/reports/{keys[0]}?page=2",
        f"/reports/{keys[-1]}",
        *(f"/reports/{key}" for key in kinds), "/problems", "/problems?state=closed",
        f"/problems/{problem.id}", f"/problems/{problem.id}/discard",
        "/domains/waiting.example", "/domains/strict.example", "/domains/strict.example/setup",
        "/domains/only-tls.example/setup",
        "/domains/only-tls.example",
        base, f"{base}?days=7", f"{base}/setup", f"{base}/builder", f"{base}/builder?kind=tls-rpt",
        f"{base}/builder?kind=mta-sts&mx=mx.shop.example", f"{base}/builder?kind=parked", "/claims", "/import",
        f"{base}/senders", f"{base}/senders?class=suspicious", f"{base}/senders/block:203.0.113.0",
        f"{base}/senders/block:192.0.2.0?page=2", "/domains/waiting.example/senders",
        f"{base}/policy", f"{base}/policy?p=quarantine&sp=none&adkim=s&pct=50", f"{base}/policy?p=none&pct=200",
        "/domains/strict.example/policy", "/domains/waiting.example/policy",
        f"{base}/policy/changes", f"{base}/policy/changes?parked=1", "/domains/waiting.example/policy/changes",
        f"{base}/evidence", f"{base}/evidence?days=7", "/domains/waiting.example/evidence",
        f"{base}/dns", "/domains/strict.example/dns", "/domains/waiting.example/dns",
        f"{base}/history", f"{base}/history?days=7", "/domains/waiting.example/history",
        f"{base}/sources", f"{base}/sources?result=fail", f"{base}/sources?page=2", f"{base}/records",
        f"{base}/records?source=203.0.113.5", f"{base}/reports", f"{base}/reports?day=2026-11-23",
    ]  # fmt: skip


async def _checked(harness: Harness, shop: Domain) -> None:
    """Records that changed: a stricter policy, an authorisation that was lost, a reporter that stopped."""
    for back in range(12, 20):
        await harness.report(
            shop, aggregate(TODAY - timedelta(days=back), "yahoo.example", [record("192.0.2.5", 1, "pass")], shop.name)
        )
    zone, host = published(shop.name, shop.rua), shop.rua.partition("@")[2]
    stricter = {(f"_dmarc.{shop.name}", "TXT"): [f'"v=DMARC1; p=quarantine; rua=mailto:{shop.rua}"']}
    lost: dict[tuple[str, str], list[str]] = {(f"{shop.name}._report._dmarc.{host}", "TXT"): []}
    await check_over_days(harness.stores.database, shop, NOW, {20: zone, 16.5: stricter, 11.4: lost, 0.01: {}})


async def _mail(harness: Harness) -> list[str]:
    mine = await _account(harness)
    activity = harness.routing.activity
    for minutes, outcome in ((5, "handled"), (7, "forwarded"), (8, "dropped"), (9, "rejected"), (10, "failed")):
        activity.note(
            ActivityLine(
                time=NOW - timedelta(minutes=minutes), sender="noreply@google.com", recipient="0f@reports.example.net",
                peer="192.0.2.9", size=2048, rule="rua address", action="worker dmarc", outcome=outcome,
                status={"rejected": "550", "failed": "451"}.get(outcome, "250"), account_id=mine,
                subject="Report domain: shop.example", error="" if outcome == "handled" else "a reason",
                tls="TLSv1.3", dmarc="pass",
            )
        )  # fmt: skip
    await activity.flush()
    (line, *_) = await activity.lines(mine, limit=1)
    domain = await harness.accounts.domain(mine, "shop.example")
    assert domain is not None
    with acting(Actor("user", OWNER, "192.0.2.1")):
        await harness.routing.routes.add(zone_of(domain), "info@shop.example", "reject", "no")
    return ["/activity", "/activity?span=30d&outcome=handled", f"/activity/{line.id}", "/routing"]
