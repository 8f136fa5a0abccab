"""Every finding about receiving mail: MX (RFC 5321, RFC 7505), MTA-STS (RFC 8461) and TLS-RPT (RFC 8460)."""

from __future__ import annotations

from dmarcworks.policy.dns_records.codes import code_table
from dmarcworks.policy.dns_records.finding import RecordCheck, Severity

__all__ = ["MTA_STS_CODES", "MX_CODES", "TLS_RPT_CODES"]

_ERROR, _WARNING, _NOTICE, _GOOD = Severity.error, Severity.warning, Severity.notice, Severity.good
_LOCATING, _NULL = "RFC 5321 section 5.1", "RFC 7505 section 3"
_STS_RECORD, _STS_POLICY = "RFC 8461 section 3.1", "RFC 8461 section 3.2"
_STS_HTTPS, _STS_MX = "RFC 8461 section 3.3", "RFC 8461 section 4.1"
_TLS = "RFC 8460 section 3"

MX_CODES = code_table(
    RecordCheck.mx,
    {
        "present": (_GOOD, "{domain} receives mail at {hosts}.", _LOCATING),
        "missing": (_WARNING, "{domain} has no MX record and no address: it cannot receive mail.", _LOCATING),
        "implicit": (_WARNING, "{domain} has no MX record; mail is sent to its own address instead.", _LOCATING),
        "null": (_GOOD, "{domain} declares that it receives no mail (null MX).", _NULL),
        "null-mixed": (_ERROR, "A null MX is published together with other MX records, which contradicts them.", _NULL),
        "null-preference": (_WARNING, "The null MX has preference {preference}; it must be 0.", _NULL),
        "host-is-address": (_ERROR, "The MX {host} is an address; it must be a host name.", _LOCATING),
        "host-is-alias": (
            _WARNING,
            "The MX {host} is an alias (CNAME) for {target}. Some servers refuse that.",
            "RFC 2181 section 10.3",
        ),
        "host-missing": (_ERROR, "The MX {host} has no address.", _LOCATING),
        "host-local": (_ERROR, "The MX {host} leads to {address}, which is not reachable from outside.", _LOCATING),
        "no-answer": (_WARNING, "DNS did not answer about the MX records of {domain}. Try again later.", _LOCATING),
    },
)

MTA_STS_CODES = code_table(
    RecordCheck.mta_sts,
    {
        "missing": (_NOTICE, "{domain} has no MTA-STS: other servers may send mail to it without TLS.", _STS_RECORD),
        "several-records": (_ERROR, "There are {count} MTA-STS records at {name}. Senders ignore all.", _STS_RECORD),
        "record-invalid": (_ERROR, "The text at {name} is not a valid MTA-STS record: {reason}.", _STS_RECORD),
        "record-valid": (_GOOD, "The record announces version {id} of the MTA-STS policy.", _STS_RECORD),
        "unreachable": (_ERROR, "The policy at {url} cannot be fetched: {reason}.", _STS_HTTPS),
        "certificate": (
            _ERROR,
            "The certificate of {host} is not valid ({reason}): senders ignore the policy.",
            _STS_HTTPS,
        ),
        "private-address": (_ERROR, "{host} has no public address, so the policy cannot be fetched.", _STS_HTTPS),
        "status": (_ERROR, "{url} answers with HTTP status {status}; only 200 counts.", _STS_HTTPS),
        "redirect": (_ERROR, "{url} redirects. Senders must not follow, so there is no policy.", _STS_HTTPS),
        "too-large": (_ERROR, "The policy at {url} is larger than 64 kB. Senders ignore it.", _STS_HTTPS),
        "media-type": (_WARNING, "The policy is served as {type}; it should be text/plain.", _STS_POLICY),
        "version": (_ERROR, "The policy must have the line version: STSv1.", _STS_POLICY),
        "mode-invalid": (_ERROR, "The policy's mode is {value}; use testing, enforce or none.", _STS_POLICY),
        "mode-enforce": (_GOOD, "The policy requires TLS with a valid certificate.", _STS_POLICY),
        "mode-testing": (
            _NOTICE,
            "The policy is in testing: failures are reported, mail is delivered.",
            _STS_POLICY,
        ),
        "mode-none": (_NOTICE, "The policy's mode is none: it requires nothing.", _STS_POLICY),
        "max-age-invalid": (_ERROR, "max_age must be a number of seconds up to 31557600.", _STS_POLICY),
        "max-age-short": (_WARNING, "max_age is {seconds} seconds, less than a day. Use weeks.", _STS_POLICY),
        "mx-missing": (_ERROR, "The policy names no mx.", _STS_POLICY),
        "mx-invalid": (_ERROR, "{value} is not a valid mx of a policy.", _STS_POLICY),
        "mx-unmatched": (_ERROR, "No mx of the policy matches the MX {host}. Senders do not deliver there.", _STS_MX),
        "mx-unmatched-testing": (
            _WARNING,
            "No mx of the policy matches the MX {host}. Once the policy is enforced, senders do not deliver there.",
            _STS_MX,
        ),
        "line-invalid": (_WARNING, '"{value}" is not a line of a policy. Some senders ignore the policy.', _STS_POLICY),
        "duplicate-key": (_WARNING, "{key} occurs more than once; only the first counts.", _STS_POLICY),
        "no-answer": (_WARNING, "DNS did not answer about {name}, so MTA-STS could not be checked.", _STS_RECORD),
    },
)

TLS_RPT_CODES = code_table(
    RecordCheck.tls_rpt,
    {
        "missing": (_NOTICE, "{domain} has no TLS-RPT record: nobody reports failures of TLS.", _TLS),
        "present": (_GOOD, "Reports about TLS are requested at {address}.", _TLS),
        "several-records": (_ERROR, "There are {count} TLS-RPT records at {name}. Senders ignore all.", _TLS),
        "record-invalid": (_ERROR, "The text at {name} is not a TLS-RPT record: it must begin with v=TLSRPTv1;.", _TLS),
        "rua-missing": (_ERROR, "The record has no rua, so no reports are sent.", _TLS),
        "uri-invalid": (_ERROR, "rua has {value}, which is not a valid mailto or https URI.", _TLS),
        "uri-scheme": (_ERROR, "rua has {value}; only mailto and https are supported.", _TLS),
        "duplicate-tag": (_ERROR, "The tag {tag} occurs more than once.", _TLS),
        "unknown-tag": (_NOTICE, "{tag} is not a tag of TLS-RPT. Senders ignore it.", _TLS),
        "not-a-tag": (_WARNING, '"{value}" is not a tag: it has no =.', _TLS),
        "no-answer": (_WARNING, "DNS did not answer about {name}, so TLS-RPT could not be checked.", _TLS),
    },
)
