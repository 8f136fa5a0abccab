"""MX records: where mail for a domain is delivered, and whether it can be."""

from __future__ import annotations

import asyncio
import ipaddress

from dmarcworks.enrich.resolver import NoAnswerError
from dmarcworks.policy.dns_records.codes import finding_from
from dmarcworks.policy.dns_records.codes_mail import MX_CODES
from dmarcworks.policy.dns_records.finding import DnsFinding, Severity
from dmarcworks.policy.dns_records.lookup import MxHost, RecordLookup

__all__ = ["check_mx", "is_address", "mx_findings"]

# Hosts that are looked up; a domain with more has other worries.
_HOSTS = 20


async def check_mx(lookup: RecordLookup, domain: str) -> tuple[list[DnsFinding], bool]:
    """The findings, and whether DNS answered about the MX records."""
    try:
        hosts = await lookup.mail_hosts(domain)
        if not hosts:
            code = "implicit" if await lookup.addresses(domain) else "missing"
            return [_finding(code, fix=_proposal(code, domain), domain=domain)], True
    except NoAnswerError:
        return [_finding("no-answer", domain=domain)], False
    findings = mx_findings(hosts, domain)
    named = [host for _, host in hosts if host and not is_address(host)][:_HOSTS]
    for part in await asyncio.gather(*(_host(lookup, host, domain) for host in dict.fromkeys(named))):
        findings += part
    if not any(finding.severity in (Severity.error, Severity.warning) for finding in findings) and named:
        findings.append(_finding("present", record=_shown(hosts), domain=domain, hosts=", ".join(dict.fromkeys(named))))
    return findings, True


def mx_findings(hosts: list[MxHost], domain: str) -> list[DnsFinding]:
    """What the records show by themselves. Pure."""
    nulls = [preference for preference, host in hosts if not host]
    findings = []
    if nulls and len(nulls) < len(hosts):
        fix = "Remove the null MX, or every other MX record."
        findings.append(_finding("null-mixed", record=_shown(hosts), fix=fix))
    elif nulls:
        findings.append(_finding("null", record=_shown(hosts), domain=domain))
        if nulls[0] != 0:
            fix = f"{domain} MX 0 ."
            findings.append(_finding("null-preference", record=_shown(hosts), fix=fix, preference=nulls[0]))
    findings += [
        _finding("host-is-address", record=f"{preference} {host}", fix="Publish a host name.", host=host)
        for preference, host in hosts
        if is_address(host)
    ]
    return findings


def is_address(host: str) -> bool:
    """Whether a name is an IP address in the place of a host name."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


async def _host(lookup: RecordLookup, host: str, domain: str) -> list[DnsFinding]:
    try:
        target = await lookup.alias(host)
        addresses = await lookup.addresses(host)
    except NoAnswerError:
        return [_finding("no-answer", domain=domain)]
    if host == "localhost" or host.endswith(".localhost"):
        return [_finding("host-local", record=host, host=host, address="the sender's own machine")]
    findings = []
    if target:
        fix = f"Publish {target} as the MX instead."
        findings.append(_finding("host-is-alias", record=host, fix=fix, host=host, target=target))
    if not addresses:
        fix = f"Publish an address for {host}, or remove the MX record."
        findings.append(_finding("host-missing", record=host, fix=fix, host=host))
    elif all(_local(address) for address in addresses):
        findings.append(_finding("host-local", record=host, host=host, address=addresses[0]))
    return findings


def _local(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    return ip.is_loopback or ip.is_unspecified or ip.is_link_local or ip.is_multicast


def _proposal(code: str, domain: str) -> str:
    if code == "implicit":
        return f"{domain} MX 10 {domain}."
    return f"Publish an MX record, or {domain} MX 0 . when the domain never receives mail."


def _shown(hosts: list[MxHost]) -> str:
    return "\n".join(f"{preference} {host or '.'}" for preference, host in hosts)


def _finding(code: str, *, record: str = "", fix: str = "", **values: object) -> DnsFinding:
    return finding_from(MX_CODES, f"mx-{code}", record=record, fix=fix, **values)
