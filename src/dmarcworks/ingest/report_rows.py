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
from dmarcworks.reports.model import Item, TlsReport
from dmarcworks.reports.summary import summary

_INBOX = re.compile(r"inbox/.*/([0-9a-f]{32})\.([0-9a-f]{32})\.([0-9]{1,16})\.eml")
_UNSAFE = re.compile(r"[^A-Za-z0-9._!@+=,-]+")


def new_report(item: Item, mail: MailItem, object_key: str, *, quarantined: bool = False) -> NewReport:
    """The catalogue's row of a report; `state` determines whether it is counted."""
    report = item.report
    short = summary(report, received=mail.received_at, digest=item.digest)
    # A report that names no domain is about the one that its address is for.
    counted = all(covers(mail.domain, domain) for domain in short.domains)
    if not mail.domain:  # it came to no domain's address, and names none of the account's
        counted = False
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
        alike=item.alike,
        object_key=object_key,
        file_name=item.part.name,
        mail_id=mail.mail_id,
        where=item.part.where,
        state="foreign" if not counted else "quarantined" if quarantined else "counted",
        warnings=[{"code": w.code, "where": w.where, "detail": w.detail} for w in report.warnings],
        dated=short.dated,
    )


def assigned(item: Item, mail: MailItem, domains: Mapping[str, str]) -> MailItem:
    """The mail as this report counts: for the nearest of the account's domains (id → name) that it is about, if any."""
    about = summary(item.report, received=mail.received_at, digest="").domains
    fitting = [entry for entry in domains.items() if about and all(covers(entry[1], domain) for domain in about)]
    if not fitting:
        return mail
    domain_id, name = max(fitting, key=lambda entry: len(entry[1]))
    return replace(mail, domain_id=domain_id, domain=name)


def tls_owner(item: Item, mail: MailItem, domains: Mapping[str, str]) -> MailItem:
    """The mail as a TLS report counts that a rule brought: for the account's domain that its first policy is about."""
    if not isinstance(item.report, TlsReport):
        return mail
    for policy in item.report.policies:
        fitting = [(name, key) for key, name in domains.items() if covers(name, policy.policy_domain or "")]
        if fitting:
            name, key = max(fitting, key=lambda pair: len(pair[0]))
            return replace(mail, domain_id=key, domain=name)
    return mail


def foreign(item: Item, mail: MailItem) -> str:
    """The sentence of the problem that a report about another domain is."""
    domain = mail.domain
    if not domain:
        names = summary(item.report, received=mail.received_at, digest="").domains
        about_whom = names[0] if names else "no domain"
        return f"The report is about {about_whom}, which is none of your domains. It is kept and not counted."
    about = [
        name for name in summary(item.report, received=mail.received_at, digest="").domains if not covers(domain, name)
    ]
    return f"The report is about {about[0] or 'no domain'}, its address is for {domain}. It is kept and not counted."


def covers(domain: str, policy_domain: str) -> bool:
    """Whether a report about `policy_domain` belongs to `domain`: the domain itself or below it."""
    return policy_domain == domain or policy_domain.endswith("." + domain)


def own_policies(item: Item, domain: str) -> tuple[Item, str]:
    """A TLS report with the policies of the domain only, and the sentence about those of others.

    Where none is of the domain, or all are, it is the report as it came and "".
    """
    report = item.report
    if not isinstance(report, TlsReport):
        return item, ""
    # A policy that names no domain is about the one that the address is for.
    own = [policy for policy in report.policies if not policy.policy_domain or covers(domain, policy.policy_domain)]
    if len(own) == len(report.policies) or not any(policy.policy_domain for policy in own):
        return item, ""
    others = dict.fromkeys(policy.policy_domain or "" for policy in report.policies if policy not in own)
    sentence = (
        f"{len(report.policies) - len(own)} of the TLS report's {len(report.policies)} policies are about "
        f"{', '.join(list(others)[:10])}; they are kept and not counted for {domain}."
    )
    return replace(item, report=replace(report, policies=tuple(own))), sentence


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
