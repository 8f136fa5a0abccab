"""Build DMARC, TLS-RPT and MTA-STS records, and the records of a parked domain, from typed choices. Pure.

What is built is free of errors: the tests put every combination through the checks. Each choice is explained.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dmarcworks.catalogue.setup_records import DnsRecord
from dmarcworks.errors import UsageError
from dmarcworks.policy.dns_records.names import domain_to_check
from dmarcworks.policy.dns_records.report_uris import report_uri
from dmarcworks.policy.rua import mail_uri

__all__ = [
    "BuiltRecord",
    "DmarcChoices",
    "RecordPolicy",
    "StsMode",
    "dmarc_to_publish",
    "mta_sts_to_publish",
    "parked_to_publish",
    "tls_rpt_to_publish",
]

_ADDRESSES = 10
_WEEK, _YEAR = 604_800, 31_557_600
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_HOST = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+")


class RecordPolicy(StrEnum):
    """What receivers are requested to do with mail that fails DMARC."""

    none = "none"
    quarantine = "quarantine"
    reject = "reject"


class StsMode(StrEnum):
    """How binding an MTA-STS policy is."""

    testing = "testing"
    enforce = "enforce"
    none = "none"


@dataclass(frozen=True, slots=True)
class DmarcChoices:
    """The choices of a DMARC record; None and False are the defaults, which need no tag."""

    policy: RecordPolicy = RecordPolicy.none
    subdomains: RecordPolicy | None = None
    nonexistent: RecordPolicy | None = None
    reports: tuple[str, ...] = ()
    failure_reports: tuple[str, ...] = ()
    strict_dkim: bool = False
    strict_spf: bool = False
    testing: bool = False


@dataclass(frozen=True, slots=True)
class BuiltRecord:
    """A record to publish with a sentence for each choice; `document` is what a web server must serve, if anything."""

    record: DnsRecord
    choices: tuple[str, ...]
    document: str = ""


_POLICIES = {
    RecordPolicy.none: "Mail that fails is delivered as before; you only receive reports. Begin here.",
    RecordPolicy.quarantine: "Mail that fails is treated as suspicious, which usually means the junk folder.",
    RecordPolicy.reject: "Mail that fails is refused. Mailing lists that change mail may lose some of yours.",
}


def dmarc_to_publish(domain: str, choices: DmarcChoices) -> BuiltRecord:
    """The DMARC record of a domain; `UsageError` for a name or an address that cannot be published."""
    name = domain_to_check(domain)
    tags = ["v=DMARC1", f"p={choices.policy}"]
    notes = [f"p={choices.policy}: {_POLICIES[choices.policy]}"]
    for tag, policy, what in (
        ("sp", choices.subdomains, "subdomains"),
        ("np", choices.nonexistent, "names that do not exist"),
    ):
        if policy is not None:
            tags.append(f"{tag}={policy}")
            notes.append(f"{tag}={policy}: the policy for {what}, where it differs from p.")
    for tag, strict, what in (("adkim", choices.strict_dkim, "DKIM"), ("aspf", choices.strict_spf, "SPF")):
        if strict:
            tags.append(f"{tag}=s")
            notes.append(f"{tag}=s: {what} counts for exactly this domain only, not for one of its subdomains.")
    if choices.testing:
        tags.append("t=y")
        notes.append("t=y: receivers apply the policy one step weaker while you test it.")
    if choices.reports:
        tags.append(f"rua={_list(choices.reports)}")
        notes.append("rua: where daily reports about all mail in the domain's name are sent.")
    else:
        notes.append("Without rua nobody reports: you cannot see who sends in the domain's name.")
    if choices.failure_reports:
        tags.append(f"ruf={_list(choices.failure_reports)}")
        notes.append("ruf: where reports about single failed messages are sent; few receivers send any.")
    record = DnsRecord(f"_dmarc.{name}", "TXT", "; ".join(tags), "the domain's DMARC policy")
    return BuiltRecord(record, tuple(notes))


def tls_rpt_to_publish(domain: str, reports: Sequence[str]) -> BuiltRecord:
    """The TLS-RPT record of a domain that receives mail."""
    name = domain_to_check(domain)
    if not reports:
        raise UsageError("a TLS-RPT record needs an address for the reports")
    record = DnsRecord(f"_smtp._tls.{name}", "TXT", f"v=TLSRPTv1; rua={_list(reports)}", "reports about TLS")
    return BuiltRecord(record, ("rua: where reports about failed encryption on the way to you are sent.",))


def mta_sts_to_publish(
    domain: str, mode: StsMode, hosts: Sequence[str], policy_id: str, max_age: int = _WEEK
) -> BuiltRecord:
    """The MTA-STS record and the policy for `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`."""
    name = domain_to_check(domain)
    if not _ID.fullmatch(policy_id):
        raise UsageError("the id of an MTA-STS record has 1 to 32 ASCII characters from a-z, A-Z and 0-9")
    if not 86_400 <= max_age <= _YEAR:
        raise UsageError(f"max_age must be between 86400 (a day) and {_YEAR} seconds")
    lines = ["version: STSv1", f"mode: {mode}"]
    if mode is not StsMode.none:
        lines += [f"mx: {host}" for host in _hosts(hosts)]
    lines.append(f"max_age: {max_age}")
    notes = (
        f"mode: {mode}: " + _MODES[mode],
        f"max_age: {max_age}: senders remember the policy for so many seconds; a change needs a new id.",
        f"Serve the policy at https://mta-sts.{name}/.well-known/mta-sts.txt with a valid certificate.",
    )
    record = DnsRecord(f"_mta-sts.{name}", "TXT", f"v=STSv1; id={policy_id};", "announces the MTA-STS policy")
    return BuiltRecord(record, notes, "\n".join(lines) + "\n")


_MODES = {
    StsMode.testing: "failures are reported (with TLS-RPT), mail is still delivered. Begin here.",
    StsMode.enforce: "mail to you is only delivered over TLS with a valid certificate.",
    StsMode.none: "the policy is withdrawn.",
}


def parked_to_publish(domain: str, reports: Sequence[str] = ()) -> list[BuiltRecord]:
    """The records of a domain that neither sends nor receives mail."""
    name = domain_to_check(domain)
    choices = DmarcChoices(RecordPolicy.reject, reports=tuple(reports), strict_dkim=True, strict_spf=True)
    return [
        BuiltRecord(DnsRecord(name, "MX", "0 .", "receives no mail"), ("A null MX: nobody tries to deliver mail.",)),
        BuiltRecord(DnsRecord(name, "TXT", "v=spf1 -all", "sends no mail"), ("No server may send in its name.",)),
        BuiltRecord(
            DnsRecord(f"*._domainkey.{name}", "TXT", "v=DKIM1; p=", "signs no mail"),
            ("Every DKIM key is revoked.",),
        ),
        dmarc_to_publish(name, choices),
    ]


def _list(addresses: Sequence[str]) -> str:
    if len(addresses) > _ADDRESSES:
        raise UsageError(f"there are more than {_ADDRESSES} addresses for reports")
    uris = []
    for address in dict.fromkeys(addresses):
        uri = mail_uri(address)
        # One label is no domain that others can send mail to.
        if not address.isascii() or report_uri(uri).fault or "." not in address.rpartition("@")[2]:
            raise UsageError(f"{address[:80]!r} is not a mail address that reports can be sent to")
        uris.append(uri)
    return ",".join(uris)


def _hosts(hosts: Sequence[str]) -> list[str]:
    names = [host.lower().rstrip(".") for host in hosts]
    if not names:
        raise UsageError("an MTA-STS policy needs the names of the mail servers")
    for name in names:
        if not _HOST.fullmatch(name):
            raise UsageError(f"{name[:80]!r} is not the name of a mail server; write mx.example.com or *.example.com")
    return list(dict.fromkeys(names))
