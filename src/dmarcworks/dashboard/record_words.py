"""The words for DNS records on pages: their kinds, the checks and the severities. Pure."""

from __future__ import annotations

from dmarcworks.catalogue.dns_states import RecordKind
from dmarcworks.policy.dns_records.finding import RecordCheck, Severity

__all__ = ["CHECKS", "SEVERITIES", "record_kind"]

CHECKS = {
    RecordCheck.dmarc: "DMARC",
    RecordCheck.spf: "SPF",
    RecordCheck.dkim: "DKIM",
    RecordCheck.mx: "MX",
    RecordCheck.mta_sts: "MTA-STS",
    RecordCheck.tls_rpt: "TLS-RPT",
    RecordCheck.bimi: "BIMI",
    RecordCheck.dnssec: "DNSSEC",
    RecordCheck.report_host: "Report host",
}
# By severity: the heading, the words of the tag, and its class.
SEVERITIES = {
    Severity.error: ("Errors", "error", "bad"),
    Severity.warning: ("Warnings", "warning", "warn"),
    Severity.notice: ("Notices", "notice", "grey"),
    Severity.good: ("Good", "good", "ok"),
}
_KINDS = {
    RecordKind.dmarc: "DMARC",
    RecordKind.authorisation: "Authorisation of reports",
    RecordKind.spf: "SPF",
    RecordKind.spf_include: "Included SPF",
    RecordKind.dkim: "DKIM key",
    RecordKind.mx: "MX",
    RecordKind.mta_sts: "MTA-STS",
    RecordKind.mta_sts_policy: "MTA-STS policy",
    RecordKind.tls_rpt: "TLS-RPT",
    RecordKind.bimi: "BIMI",
    RecordKind.dnssec: "DNSSEC (DS)",
}


def record_kind(kind: RecordKind) -> str:
    """The kind in words."""
    return _KINDS[kind]
