"""The pages over a real catalogue, archive and engine: an account with data, a neighbour, a clock that is moved."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import httpx

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.reports.model import AggregateReport, DkimResult, Policy, Reason, Record, SpfResult
from tests.support.harness import HOST, Harness

__all__ = ["EVIL", "HOST", "NOW", "TODAY", "aggregate", "fill", "record", "text"]

TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
EVIL = "<script>alert(1)</script>"


async def text(client: httpx.AsyncClient, path: str, status: int = 200) -> str:
    """The page's text without markup, spaces folded."""
    answer = await client.get(path)
    assert answer.status_code == status, answer.text
    plain = re.sub(r"<script.*?</script>|<svg.*?</svg>", " ", answer.text, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", plain))


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


async def fill(harness: Harness) -> None:
    """Account "default": example.com with 40 days of reports; account "neighbour": other.example with one report."""
    for email, account in (("a@example.com", "default"), ("b@example.org", "neighbour")):
        await harness.accounts.account_by_name(account, create=True)
        user = await harness.accounts.add_user(email, account)
        await harness.accounts.set_password(user.id, harness.password)
    domain = await harness.accounts.add_domain("example.com")
    # Yesterday and 39 days before, without 10 November; 100 messages a day, 10 of them fail in the newest 30 days.
    noted: list[tuple[Domain, AggregateReport, str]] = []
    for back in range(1, 41):
        day = TODAY - timedelta(days=back)
        if day == date(2026, 11, 10):
            continue
        failing = record("203.0.113.66", 10, "fail" if back <= 30 else "pass", disposition="quarantine")
        org = EVIL if back == 1 else "google.com"
        report = aggregate(day, org, [record("203.0.113.5", 90, "pass"), failing])
        key = await harness.report(
            domain,
            report,
            publish=False,
            file_name=f"../../{EVIL}.xml.gz" if back == 1 else "report.xml.gz",
            warnings=[{"code": "odd", "where": "record 1", "detail": f"odd {EVIL}"}] if back == 1 else [],
        )
        noted.append((domain, report, key))
    await harness.publish(noted)
    other = await harness.accounts.add_domain("other.example", "neighbour")
    await harness.report(other, aggregate(TODAY - timedelta(days=1), "secret.org", [record("198.51.100.9", 7, "pass")]))
    await harness.objects.put("inbox/2026/11/24/mail.eml", b"From: x\r\n\r\nraw mail")
    for owner, reason in ((domain, "not_xml"), (domain, "a_reason_from_later"), (other, "empty")):
        await harness.problems.add(
            account_id=owner.account_id,
            domain_id=owner.id,
            mail_id=reason,
            reason=reason,
            where="part 2 > report.zip > a.xml",
            detail=f"line 1: {EVIL}",
            object_key="inbox/2026/11/24/mail.eml",
            file_name=f"../{EVIL}.zip",
        )
