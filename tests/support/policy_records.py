"""Aggregate reports about example.com for tests of policies, stored; and a policy's effect worked out record by record.

The second part is slow and obvious on purpose: it knows nothing of the product's queries.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fractions import Fraction

from dmarcworks.analytics import schema
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.reports.model import AggregateReport, DkimResult, Policy, Reason, Record, SpfResult

NAME = "example.com"
# Names of the records, each with its organisational domain (example.co.uk shows that two labels do not suffice).
ORGANISATIONS = {
    "example.com": "example.com",
    "mail.example.com": "example.com",
    "a.mail.example.com": "example.com",
    "ghost.example.com": "example.com",
    "notexample.com": "notexample.com",
    "bounce.example.net": "example.net",
    "x.example.co.uk": "example.co.uk",
}


@dataclass(frozen=True)
class Published:
    """The policy that a report found, and the report's day and reporter."""

    day: date = date(2026, 11, 3)
    org: str = "google.com"
    domain: str = NAME
    p: str | None = "none"
    sp: str | None = None
    np: str | None = None
    adkim: str | None = None
    aspf: str | None = None
    pct: int | None = None
    testing: str | None = None


@dataclass(frozen=True)
class Mail:
    """A record: who sent how many, what the reporter evaluated, and what passed."""

    count: int = 1
    ip: str = "192.0.2.1"
    author: str | None = NAME
    dkim: str | None = "fail"
    spf: str | None = "fail"
    signed: tuple[tuple[str, str], ...] = ()
    envelopes: tuple[tuple[str, str | None, str], ...] = ()
    reasons: tuple[str, ...] = ()
    disposition: str | None = "none"

    @property
    def record(self) -> Record:
        return Record(
            self.ip, self.count, self.disposition, self.dkim, self.spf,
            tuple(Reason(one, None) for one in self.reasons), self.author, None, None,
            tuple(DkimResult(domain, "s1", result, None) for domain, result in self.signed),
            tuple(SpfResult(domain, scope, result, None) for domain, scope, result in self.envelopes),
        )  # fmt: skip


def domain_of(account: str) -> Domain:
    """example.com of an account, as the catalogue would have it."""
    return Domain(account, account, NAME, "0" * 32 + "@reports.example.net", datetime(2026, 1, 1, tzinfo=UTC))


async def store(analytics: Analytics, domain: Domain, reports: Sequence[tuple[Published, Sequence[Mail]]]) -> None:
    """Insert each report's records."""
    for published, mails in reports:
        day = published.day
        begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        key = uuid.uuid4().hex
        policy = Policy(
            published.domain, published.adkim, published.aspf, published.p, published.sp, published.np, None,
            published.pct, published.testing, None,
        )  # fmt: skip
        report = AggregateReport(
            published.org, None, None, key, begin, begin + 86_399, None, None, (), policy,
            tuple(mail.record for mail in mails), (),
        )  # fmt: skip
        rows = schema.rows(
            report, account_id=domain.account_id, domain_id=domain.id, domain=domain.name,
            received=datetime.now(UTC), report_key=key, object_key="o",
        )  # fmt: skip
        await analytics.insert("dmarc_reports", rows)


@dataclass
class Expected:
    """What the slow way counts: messages, and those subject to reject and to quarantine before pct."""

    messages: int = 0
    reject: int = 0
    quarantine: int = 0
    candidates: int = 0
    other_record: int = 0
    outside: int = 0
    days: Counter[date] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    overrides: Counter[str] = field(default_factory=Counter)

    def affected(self, pct: int) -> int:
        """As RFC 7489 §6.6.4 has it: of reject the rest is quarantined; half a message upwards."""
        rejected = _half_up(Fraction(self.reject * pct, 100))
        return rejected + (self.reject - rejected) + _half_up(Fraction(self.quarantine * pct, 100))


def slowly(reports: Sequence[tuple[Published, Sequence[Mail]]], tags: dict[str, str]) -> Expected:
    """The policy applied message by message."""
    passed_names = {
        mail.author for _, mails in reports for mail in mails if "pass" in (mail.dkim, mail.spf) and mail.count
    }
    found = Expected()
    for published, mails in reports:
        for mail in mails:
            author = mail.author or published.domain
            for _ in range(mail.count):
                found.messages += 1
                if published.domain != NAME and published.domain.endswith("." + NAME):
                    found.other_record += 1
                    continue
                if author != NAME and not author.endswith("." + NAME):
                    found.outside += 1
                    continue
                if _passes(published, mail, author, tags):
                    continue
                existing = author == NAME or author in passed_names
                found.candidates += not existing
                level = _level(author, existing, tags)
                found.reject += level == "reject"
                found.quarantine += level == "quarantine"
                if level != "none":
                    found.days[published.day] += 1
                    found.sources[mail.ip] += 1
                    found.overrides.update(set(mail.reasons))
    return found


def _level(author: str, existing: bool, tags: dict[str, str]) -> str:
    if author == NAME:
        level = tags["p"]
    elif existing:
        level = tags.get("sp", tags["p"])
    else:
        level = tags.get("np", tags.get("sp", tags["p"]))
    if tags.get("t") == "y":
        level = {"reject": "quarantine", "quarantine": "none", "none": "none"}[level]
    return level


def _passes(published: Published, mail: Mail, author: str, tags: dict[str, str]) -> bool:
    dkim = [domain for domain, result in mail.signed if result == "pass"]
    stated = any(scope != "helo" for _, scope, _ in mail.envelopes)
    spf = [domain for domain, scope, result in mail.envelopes if result == "pass" and not (stated and scope == "helo")]
    return _method(published.adkim, tags.get("adkim"), mail.dkim, dkim, author) or _method(
        published.aspf, tags.get("aspf"), mail.spf, spf, author
    )


def _method(published: str | None, wanted: str | None, evaluated: str | None, domains: list[str], author: str) -> bool:
    before = published or "r"
    if wanted is None or wanted == before:
        return evaluated == "pass"
    if wanted == "s":
        return evaluated == "pass" and author in domains
    return evaluated == "pass" or any(ORGANISATIONS[author] == ORGANISATIONS[domain] for domain in domains)


def _half_up(value: Fraction) -> int:
    return int(value + Fraction(1, 2))
