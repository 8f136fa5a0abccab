"""Whether a mail in a mailbox is accepted: it holds a report, or looks like one that cannot be read. Pure.

A mailbox may hold private mail too. So a mail without a report is accepted, and settled, only when something besides a
broken attachment shows that it is report mail: its subject, its type, the name of an attachment, or what was read.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from email.policy import compat32

from dmarcworks.reports.claims import promised as promised_name
from dmarcworks.reports.model import Problem, Reading
from dmarcworks.reports.problems import OTHER_MAIL

__all__ = ["MailVerdict", "verdict"]

_HEAD = 64 * 1024
# Problems that only the content of a report can have.
_OF_REPORTS = {
    *("doctype", "records", "beside_records", "records_unclear", "no_date_range", "bad_date_range", "no_policy_domain"),
    *("count_missing", "count_invalid", "count_too_large", "count_ambiguous", "more_records_left_out"),
    *("json_duplicate_key", "json_number", "bad_policies", "policy_invalid", "sessions_invalid", "detail_invalid"),
    *("failure_without_fields", "copy_unclear", "not_a_dmarc_failure"),
}
_SUBJECT = re.compile(
    r"report[ -]?domain|submitter:|report[ -]?id:|\bdmarc\b|\btls-?rpt\b|smtp[ -]tls[ -]report|failure report"
    r"|fraud report|authentication report",
    re.IGNORECASE,
)
_TYPE = re.compile(r"application/tlsrpt|multipart/report.*report-type=\"?(?:feedback-report|tlsrpt)", re.I | re.S)
# receiver!policy-domain!begin!end[!unique].extension (RFC 9990), as a file name.
_NAME = re.compile(rb"name\*?\d*\*?=\"?[^\"\r\n!]{1,255}![^\"\r\n!]{1,255}!\d{6,12}!\d{6,12}")


@dataclass(frozen=True, slots=True)
class MailVerdict:
    """`accept`, or why it is left alone; sender and subject for the list of those."""

    accept: bool
    reason: str = ""
    detail: str = ""
    sender: str = ""
    subject: str = ""


def verdict(raw: bytes, reading: Reading, name: str = "") -> MailVerdict:
    """What to do with a mail that was read, or with a file of this name."""
    if reading.items:
        return MailVerdict(True)
    if name:
        first = reading.problems[0] if reading.problems else Problem("no_report", name, "There is no report in it.")
        return MailVerdict(True) if promised_name(name) else MailVerdict(False, first.reason, first.detail, "", name)
    head = raw[:_HEAD]
    fields = BytesHeaderParser(policy=compat32).parsebytes(head)
    subject, sender = _text(fields.get("Subject")), _text(fields.get("From"))
    reasons = {problem.reason for problem in reading.problems}
    promised = bool(
        fields.get("TLS-Report-Domain") or _SUBJECT.search(subject) or _TYPE.search(str(fields.get("Content-Type", "")))
    )
    promised = promised or _NAME.search(raw[: 4 * _HEAD]) is not None
    broken = reasons - set(OTHER_MAIL)
    if broken & _OF_REPORTS or (broken and promised):
        return MailVerdict(True)
    first = reading.problems[0] if reading.problems else Problem("no_report", "mail", "There is no report in it.")
    return MailVerdict(False, first.reason, first.detail, sender, subject)


def _text(value: object) -> str:
    """A header field on one line, decoded as far as that is possible."""
    text = str(value or "")[:1000]
    # Strangers write what no decoder knows (an unknown charset, broken base64); the field is shown as it is then.
    with contextlib.suppress(Exception):
        text = str(make_header(decode_header(text)))
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]
