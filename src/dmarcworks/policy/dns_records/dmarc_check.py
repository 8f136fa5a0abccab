"""The DMARC part of a report card: the record, where the policy comes from, and who may receive reports."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from dmarcworks.enrich.dmarc_policy import is_dmarc_record
from dmarcworks.enrich.resolver import NoAnswerError
from dmarcworks.policy.dns_records.dmarc_findings import dmarc_finding, not_a_record_findings, record_findings
from dmarcworks.policy.dns_records.dmarc_lookup import (
    NO_POLICY,
    EffectivePolicy,
    PolicyDiscovery,
    discover,
    organization_of,
)
from dmarcworks.policy.dns_records.finding import DnsFinding, Severity
from dmarcworks.policy.dns_records.lookup import RecordLookup

__all__ = ["DmarcCheck", "check_dmarc"]

# Domains of report addresses whose authorisation is looked up.
_TARGETS = 10
# A name that nobody has: what it answers comes from a wildcard.
_NO_SUCH_NAME = "dmarcworks-wildcard-test"


@dataclass(frozen=True, slots=True)
class DmarcCheck:
    """The findings, and the policy that applies; `answered` is False when DNS did not reveal it.

    `targets` are the domains that reports are sent to by the record that applies.
    """

    findings: tuple[DnsFinding, ...]
    effective: EffectivePolicy = NO_POLICY
    answered: bool = True
    targets: tuple[str, ...] = ()


async def check_dmarc(lookup: RecordLookup, domain: str) -> DmarcCheck:
    """Check the DMARC record of a domain."""
    name = f"_dmarc.{domain}"
    try:
        discovery = await discover(lookup, domain)
    except NoAnswerError:
        return DmarcCheck((dmarc_finding("no-answer", name=name),), answered=False)
    findings = [*_record(discovery, domain, name)]
    findings += [dmarc_finding("no-answer", name=f"_dmarc.{above}") for above in discovery.unanswered]
    more = await asyncio.gather(
        _alias(lookup, name), _wildcard(lookup, discovery, domain, name), _targets(lookup, discovery, domain)
    )
    record = discovery.record
    targets = tuple(uri.domain for uri in (*record.rua, *record.ruf) if uri.domain) if record else ()
    return DmarcCheck(
        (*findings, *(finding for part in more for finding in part)), discovery.effective, targets=targets
    )


def _record(discovery: PolicyDiscovery, domain: str, name: str) -> Iterator[DnsFinding]:
    records = [text for text in discovery.own_texts if is_dmarc_record(text)]
    others = [text for text in discovery.own_texts if not is_dmarc_record(text)]
    if len(records) > 1:
        fix = f"Keep one of the {len(records)} records and remove the others."
        yield dmarc_finding("several-records", record="\n".join(records), fix=fix, count=len(records), name=name)
    elif discovery.record is not None and discovery.record_domain == domain:
        yield from record_findings(discovery.record, domain, discovery.organizational)
    slips = [finding for text in others for finding in not_a_record_findings(text, name)]
    if records:
        # Next to a record that counts, another text does no harm.
        slips = [dmarc_finding("unrelated-text", record=text, name=name) for text in others]
    yield from slips
    if discovery.effective.policy is not None:
        if discovery.record_domain != domain and discovery.record is not None:
            yield _inherited(discovery, domain)
    elif not records and not any(slip.severity is Severity.error for slip in slips):
        fix = f'{name} TXT "v=DMARC1; p=none; rua=mailto:dmarc-reports@{domain}"'
        yield dmarc_finding("missing", fix=fix, domain=domain)


def _inherited(discovery: PolicyDiscovery, domain: str) -> DnsFinding:
    effective = discovery.effective
    return dmarc_finding(
        "inherited",
        record=discovery.record.text if discovery.record else "",
        domain=domain,
        policy=effective.policy,
        tag=effective.tag,
        record_domain=effective.record_domain,
    )


async def _alias(lookup: RecordLookup, name: str) -> list[DnsFinding]:
    try:
        target = await lookup.alias(name)
    except NoAnswerError:
        return []
    return [dmarc_finding("cname", name=name, target=target)] if target else []


async def _wildcard(lookup: RecordLookup, discovery: PolicyDiscovery, domain: str, name: str) -> list[DnsFinding]:
    if not discovery.own_texts:
        return []
    try:
        texts = await lookup.texts(f"{_NO_SUCH_NAME}.{domain}")
    except NoAnswerError:
        return []
    if sorted(texts) != sorted(discovery.own_texts):
        return []
    return [dmarc_finding("wildcard", record="\n".join(texts), name=name, domain=domain)]


async def _targets(lookup: RecordLookup, discovery: PolicyDiscovery, domain: str) -> list[DnsFinding]:
    """Whether the domains of rua and ruf receive mail, and those of others accept reports about this one."""
    if discovery.record is None or discovery.record_domain != domain:
        return []
    targets: dict[str, str] = {}
    for tag, uris in (("rua", discovery.record.rua), ("ruf", discovery.record.ruf)):
        for uri in uris:
            if uri.domain:
                targets.setdefault(uri.domain, tag)
    checks = (_target(lookup, discovery, domain, tag, target) for target, tag in list(targets.items())[:_TARGETS])
    return [finding for part in await asyncio.gather(*checks) for finding in part]


async def _target(
    lookup: RecordLookup, discovery: PolicyDiscovery, domain: str, tag: str, target: str
) -> list[DnsFinding]:
    record = discovery.record.text if discovery.record else ""
    findings: list[DnsFinding] = []
    try:
        if not await lookup.receives_mail(target):
            findings.append(dmarc_finding("reports-no-mail", record=record, tag=tag, target=target))
        if target == domain or await organization_of(lookup, target) == discovery.organizational:
            return findings
        name = f"{domain}._report._dmarc.{target}"
        if any(is_dmarc_record(text) for text in await lookup.texts(name)):
            findings.append(dmarc_finding("reports-authorised", target=target, domain=domain))
        else:
            fix = f'{name} TXT "v=DMARC1"'
            findings.append(
                dmarc_finding("reports-not-authorised", record=record, fix=fix, tag=tag, target=target, domain=domain)
            )
    except NoAnswerError:
        findings.append(dmarc_finding("reports-unknown", record=record, target=target, domain=domain))
    return findings
