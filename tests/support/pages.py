"""The pages over a real catalogue, archive and engine: an account with data, a neighbour, a clock that is moved."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import httpx
import pyarrow as pa
from fastapi import FastAPI

from dmarcworks.analytics import schema
from dmarcworks.bindings.contracts import Analytics, Objects
from dmarcworks.catalogue.accounts import Accounts, Domain
from dmarcworks.catalogue.arrivals import Arrivals, NewReport
from dmarcworks.catalogue.problems import Problems
from dmarcworks.catalogue.routing import RoutingCatalogue
from dmarcworks.catalogue.stores import Stores
from dmarcworks.reports.model import AggregateReport, DkimResult, Policy, Reason, Record, SpfResult

TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
EVIL = "<script>alert(1)</script>"
HOST = "reports.example.net"


@dataclass
class Clock:
    """Unix seconds that stand still until told."""

    now: float = NOW.timestamp()

    def __call__(self) -> float:
        return self.now


def record(ip: str, count: int, result: str, **fields: str | None) -> Record:
    """A record whose DKIM and SPF both pass or both fail."""
    return Record(
        source_ip=ip,
        count=count,
        disposition=fields.get("disposition", "none"),
        dkim_aligned=result,
        spf_aligned=result,
        reasons=(Reason("forwarded", EVIL),) if result == "fail" else (),
        header_from="example.com",
        envelope_from=None,
        envelope_to=None,
        dkim=(DkimResult("example.com", "s1", result, None),),
        spf=(SpfResult("example.com", "mfrom", result, None),),
    )


def aggregate(day: date, org: str | None, records: Sequence[Record], domain: str = "example.com") -> AggregateReport:
    """A report about a whole UTC day."""
    begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    return AggregateReport(
        org_name=org,
        email="dmarc@example.org",
        extra_contact_info=None,
        report_id=f"{day}.{org}",
        begin=begin,
        end=begin + 86_399,
        version=None,
        generator=None,
        errors=(),
        policy=Policy(domain, "r", "r", "none", None, None, None, 100, None, None),
        records=tuple(records),
        warnings=(),
    )


@dataclass
class House:
    """Everything behind the pages, and a way to put a report in as the worker does."""

    app: FastAPI
    clock: Clock
    accounts: Accounts
    arrivals: Arrivals
    problems: Problems
    objects: Objects
    analytics: Analytics
    routing: RoutingCatalogue
    stores: Stores
    email: str = ""
    password: str = "correct horse battery"

    def client(self, address: str = "192.0.2.1") -> httpx.AsyncClient:
        """A browser that is not logged in."""
        transport = httpx.ASGITransport(self.app, client=(address, 1234))
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    async def logged_in(self, email: str) -> httpx.AsyncClient:
        """A browser with a session of that user."""
        user = await self.accounts.user(email)
        assert user is not None
        client = self.client()
        client.cookies.set("dmarcworks_session", await self.accounts.start_session(user.id))
        return client

    async def report(
        self,
        domain: Domain,
        report: AggregateReport,
        *,
        state: str = "counted",
        publish: bool = True,
        received: datetime | None = None,
        file_name: str = "report.xml.gz",
        warnings: Sequence[dict[str, str]] = (),
    ) -> str:
        """Archive, note and publish a report; its key."""
        received = received or datetime.fromtimestamp(report.end + 3600, UTC)
        digest = hashlib.sha256(repr((domain.id, report)).encode()).hexdigest()
        key = f"2026/11/{digest}/report.xml.gz"
        await self.objects.put(key, b"raw " + digest.encode())
        noted = await self.arrivals.record_report(
            NewReport(
                account_id=domain.account_id,
                domain_id=domain.id,
                kind=report.kind,
                org_name=report.org_name or "",
                org_email=report.email or "",
                policy_domain=report.policy.domain,
                report_id=report.report_id,
                begin=report.begin,
                end=report.end,
                received=received,
                records=len(report.records),
                messages=report.messages,
                content=digest,
                object_key=key,
                file_name=file_name,
                mail_id=digest[:32],
                where="part 2",
                state=state,
                warnings=warnings,
            )
        )
        if publish:
            await self.publish([(domain, report, noted.row.key)])
        return noted.row.key

    async def publish(self, noted: Sequence[tuple[Domain, AggregateReport, str]]) -> None:
        """The second half: rows into Analytics, then the mark."""
        rows = [
            schema.rows(
                report,
                account_id=domain.account_id,
                domain_id=domain.id,
                domain=domain.name,
                received=NOW,
                report_key=key,
                object_key="",
            )
            for domain, report, key in noted
        ]
        await self.analytics.insert("dmarc_reports", pa.concat_tables(rows))
        await self.arrivals.mark_published([key for _, _, key in noted])


async def fill(house: House) -> None:
    """Account "default": example.com with 40 days of reports; account "neighbour": other.example with one report."""
    for email, account in (("a@example.com", "default"), ("b@example.org", "neighbour")):
        await house.accounts.account_by_name(account, create=True)
        user = await house.accounts.add_user(email, account)
        await house.accounts.set_password(user.id, house.password)
    domain = await house.accounts.add_domain("example.com")
    # Yesterday and 39 days before, without 10 November; 100 messages a day, 10 of them fail in the newest 30 days.
    noted: list[tuple[Domain, AggregateReport, str]] = []
    for back in range(1, 41):
        day = TODAY - timedelta(days=back)
        if day == date(2026, 11, 10):
            continue
        failing = record("203.0.113.66", 10, "fail" if back <= 30 else "pass", disposition="quarantine")
        org = EVIL if back == 1 else "google.com"
        report = aggregate(day, org, [record("203.0.113.5", 90, "pass"), failing])
        key = await house.report(
            domain,
            report,
            publish=False,
            file_name=f"../../{EVIL}.xml.gz" if back == 1 else "report.xml.gz",
            warnings=[{"code": "odd", "where": "record 1", "detail": f"odd {EVIL}"}] if back == 1 else [],
        )
        noted.append((domain, report, key))
    await house.publish(noted)
    other = await house.accounts.add_domain("other.example", "neighbour")
    await house.report(other, aggregate(TODAY - timedelta(days=1), "secret.org", [record("198.51.100.9", 7, "pass")]))
    await house.objects.put("inbox/2026/11/24/mail.eml", b"From: x\r\n\r\nraw mail")
    for owner, reason in ((domain, "not_xml"), (domain, "a_reason_from_later"), (other, "empty")):
        await house.problems.add(
            account_id=owner.account_id,
            domain_id=owner.id,
            mail_id=reason,
            reason=reason,
            where="part 2 > report.zip > a.xml",
            detail=f"line 1: {EVIL}",
            object_key="inbox/2026/11/24/mail.eml",
            file_name=f"../{EVIL}.zip",
        )
