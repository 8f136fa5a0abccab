"""What the catalogue notes of a report: who sent it, about which domain, how much, and whether it is counted.

In goes what was read and the queue item that it came with, out comes the catalogue's new row. A report about another
domain than its address is for is "foreign": kept, and counted nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from dmarcworks.catalogue.arrivals import NewReport
from dmarcworks.ingest.item import MailItem
from dmarcworks.reports.model import Item
from dmarcworks.reports.summary import summary

_INBOX = re.compile(r"inbox/.*/([0-9a-f]{32})\.([0-9a-f]{32})\.([0-9]{1,16})\.eml")
_UNSAFE = re.compile(r"[^A-Za-z0-9._!@+=,-]+")


def new_report(item: Item, mail: MailItem, object_key: str, *, quarantined: bool = False) -> NewReport:
    """The catalogue's row of a report; `state` determines whether it is counted."""
    report = item.report
    short = summary(report, received=mail.received_at, digest=item.digest)
    # A report that names no domain is about the one that its address is for.
    counted = all(covers(mail.domain, domain) for domain in short.domains)
    return NewReport(
        account_id=mail.account_id,
        domain_id=mail.domain_id,
        kind=report.kind,
        org_name=short.org_name,
        org_email=short.org_email,
        policy_domain=short.domains[0] if short.domains else "",
        report_id=short.report_id,
        begin=short.begin,
        end=short.end,
        received=mail.received_at,
        records=short.records,
        messages=short.messages,
        content=item.digest,
        object_key=object_key,
        file_name=item.part.name,
        mail_id=mail.mail_id,
        where=item.part.where,
        state="foreign" if not counted else "quarantined" if quarantined else "counted",
        warnings=[{"code": w.code, "where": w.where, "detail": w.detail} for w in report.warnings],
    )


def assigned(item: Item, mail: MailItem, domains: Mapping[str, str]) -> MailItem:
    """The mail as this report counts: for the nearest of the account's domains (id → name) that it is about, if any."""
    about = summary(item.report, received=mail.received_at, digest="").domains
    fitting = [entry for entry in domains.items() if about and all(covers(entry[1], domain) for domain in about)]
    if not fitting:
        return mail
    domain_id, name = max(fitting, key=lambda entry: len(entry[1]))
    return replace(mail, domain_id=domain_id, domain=name)


def foreign(item: Item, mail: MailItem) -> str:
    """The sentence of the problem that a report about another domain is."""
    domain = mail.domain
    about = [
        name for name in summary(item.report, received=mail.received_at, digest="").domains if not covers(domain, name)
    ]
    return f"The report is about {about[0] or 'no domain'}, its address is for {domain}. It is kept and not counted."


def covers(domain: str, policy_domain: str) -> bool:
    """Whether a report about `policy_domain` belongs to `domain`: the domain itself or below it."""
    return policy_domain == domain or policy_domain.endswith("." + domain)


def inbox_key(mail_id: str, domain_id: str, received: datetime) -> str:
    """A raw mail's key: its day, and in its name the domain and the time of receipt, so that Objects alone identifies
    it."""
    return f"inbox/{received:%Y/%m/%d}/{mail_id}.{domain_id}.{int(received.timestamp() * 1000)}.eml"


@dataclass(frozen=True, slots=True)
class InboxKey:
    """What a raw mail's key contains; `received` in unix seconds."""

    mail_id: str
    domain_id: str
    received: float


def read_inbox_key(key: str) -> InboxKey | None:
    """The reverse of `inbox_key`; None for a key of another form."""
    match = _INBOX.fullmatch(key)
    return None if match is None else InboxKey(match[1], match[2], int(match[3]) / 1000)


def safe_name(name: str) -> str:
    """A file name that is only a label: no path, no leading dot, ASCII, at most 150 characters."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return _UNSAFE.sub("_", last).lstrip(".")[-150:] or "report"
