"""The codes of all checks."""

from __future__ import annotations

from dmarcworks.policy.dns_records.codes import FindingCode
from dmarcworks.policy.dns_records.codes_dmarc import DMARC_CODES
from dmarcworks.policy.dns_records.codes_mail import MTA_STS_CODES, MX_CODES, TLS_RPT_CODES
from dmarcworks.policy.dns_records.codes_more import BIMI_CODES, DKIM_CODES, DNSSEC_CODES, REPORT_HOST_CODES
from dmarcworks.policy.dns_records.spf_codes import SPF_CODES

__all__ = ["ALL_CODES"]

ALL_CODES: dict[str, FindingCode] = {
    **DMARC_CODES,
    **SPF_CODES,
    **DKIM_CODES,
    **MX_CODES,
    **MTA_STS_CODES,
    **TLS_RPT_CODES,
    **BIMI_CODES,
    **DNSSEC_CODES,
    **REPORT_HOST_CODES,
}
