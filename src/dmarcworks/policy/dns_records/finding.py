"""What a check of DNS records has found: a stable code, how serious it is, what it means, and the record to publish."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["DnsFinding", "RecordCheck", "Severity"]


class RecordCheck(StrEnum):
    """What was checked."""

    dmarc = "dmarc"
    spf = "spf"
    dkim = "dkim"
    mx = "mx"
    mta_sts = "mta-sts"
    tls_rpt = "tls-rpt"
    bimi = "bimi"
    dnssec = "dnssec"
    report_host = "report-host"


class Severity(StrEnum):
    """How serious a finding is, the most serious first."""

    error = "error"  # the record does not do what it is for, or mail is at risk
    warning = "warning"  # it works, but something will surprise
    notice = "notice"  # worth knowing; nothing has to change
    good = "good"  # as it should be


@dataclass(frozen=True, slots=True)
class DnsFinding:
    """One finding.

    `code` is stable, in lower case with hyphens, and begins with the check (`dmarc-several-records`). `message` is one
    or two plain sentences. `record` is the record that it is about as published ("" for none), `fix` the exact record
    to publish or what to do ("" for nothing), `reference` the clause ("RFC 7208 section 4.6.4").
    """

    check: RecordCheck
    code: str
    severity: Severity
    message: str
    record: str = ""
    fix: str = ""
    reference: str = ""
