"""Builders of reports, archives and mails for the tests of reading: plain text in, bytes out, every oddity by hand."""

from __future__ import annotations

import base64
import gzip
import io
import zipfile
from typing import Any

from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.model import AggregateReport, FailureReport, Item, Reading, TlsReport
from dmarcworks.reports.read import read_bytes, read_mail

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
METADATA = (
    "<report_metadata><org_name>reporter.example</org_name><email>dmarc@reporter.example</email>"
    "<report_id>r-1</report_id><date_range><begin>1700000000</begin><end>1700086399</end></date_range></report_metadata>"
)
POLICY = (
    "<policy_published><domain>example.com</domain><adkim>r</adkim><aspf>s</aspf><p>reject</p><sp>quarantine</sp>"
    "<pct>100</pct></policy_published>"
)
EVALUATED = "<policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated>"
IDENTIFIERS = "<identifiers><header_from>example.com</header_from></identifiers>"
AUTH = (
    "<auth_results><dkim><domain>example.com</domain><selector>s1</selector><result>pass</result></dkim>"
    "<spf><domain>mail.example.com</domain><scope>mfrom</scope><result>fail</result></spf></auth_results>"
)


def record(
    count: object = 1,
    ip: str = "192.0.2.1",
    evaluated: str = EVALUATED,
    identifiers: str = IDENTIFIERS,
    auth: str = AUTH,
) -> str:
    """A record element."""
    return (
        f"<record><row><source_ip>{ip}</source_ip><count>{count}</count>{evaluated}</row>{identifiers}{auth}</record>\n"
    )


def feedback(
    *records: str,
    metadata: str = METADATA,
    policy: str = POLICY,
    declaration: str = DECLARATION,
    root: str = "<feedback>",
    version: str = "<version>1.0</version>",
) -> str:
    """An aggregate report as text."""
    close = root.split()[0].rstrip(">").replace("<", "</") + ">"
    return f"{declaration}{root}{version}{metadata}{policy}{''.join(records or (record(),))}{close}"


def xml(*records: str, **parts: Any) -> bytes:
    """An aggregate report as UTF-8."""
    return feedback(*records, **parts).encode()


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def attachment(
    data: bytes,
    name: str = "reporter.example!example.com!1700000000!1700086399.xml.gz",
    kind: str | None = "application/gzip",
    disposition: str | None = "attachment",
    encoding: str = "base64",
) -> bytes:
    """A MIME part with its header."""
    label = f'; name="{name}"' if name else ""
    lines = []
    if kind is not None:
        lines.append(f"Content-Type: {kind}{label}")
    if disposition is not None:
        lines.append(f"Content-Disposition: {disposition}" + (f'; filename="{name}"' if name else ""))
    if encoding:
        lines.append(f"Content-Transfer-Encoding: {encoding}")
    body = base64.encodebytes(data).replace(b"\n", b"\r\n") if encoding == "base64" else data
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


TEXT = b"Content-Type: text/plain\r\n\r\nThis is an aggregate report."


def mail(*parts: bytes, kind: str = "multipart/mixed", subject: str = "Report", boundary: str = "=_b") -> bytes:
    """A multipart mail of these parts."""
    head = (
        "From: dmarc@reporter.example\r\nTo: rua@report.test\r\nMIME-Version: 1.0\r\n"
        f'Subject: {subject}\r\nContent-Type: {kind}; boundary="{boundary}"\r\n\r\n'
    ).encode()
    line = b"--" + boundary.encode()
    return head + b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"


def single(part: bytes) -> bytes:
    """A mail whose body is the part itself."""
    return b"From: dmarc@reporter.example\r\nTo: rua@report.test\r\nMIME-Version: 1.0\r\n" + part


def mailed(data: bytes, **part: Any) -> Reading:
    """What is read of a mail with the data as its attachment."""
    return read_mail(mail(TEXT, attachment(data, **part)))


def one(reading: Reading) -> AggregateReport:
    """The only report of a reading without a problem."""
    assert reading.problems == ()
    assert len(reading.items) == 1
    report = reading.items[0].report
    assert isinstance(report, AggregateReport)
    return report


def one_tls(reading: Reading) -> TlsReport:
    """The only TLS report of a reading without a problem."""
    assert reading.problems == ()
    (item,) = reading.items
    assert isinstance(item.report, TlsReport)
    return item.report


def one_failure(reading: Reading) -> FailureReport:
    """The only failure report of a reading without a problem."""
    assert reading.problems == ()
    (item,) = reading.items
    assert isinstance(item.report, FailureReport)
    return item.report


def read_one(text: str | bytes, name: str = "report.xml") -> AggregateReport:
    """The report in a file."""
    return one(read_bytes(text.encode() if isinstance(text, str) else text, name))


def refused(data: bytes, name: str = "report.xml", bounds: Bounds | None = None) -> str:
    """The reason why nothing was read of a file."""
    reading = read_bytes(data, name, bounds or Bounds())
    assert reading.items == ()
    (problem,) = reading.problems
    return problem.reason


def codes(report: AggregateReport | TlsReport | FailureReport) -> set[str]:
    """The codes of its warnings."""
    return {warning.code for warning in report.warnings}


def counts(item: Item | AggregateReport) -> list[int]:
    """The counts of a report's records."""
    report = item.report if isinstance(item, Item) else item
    assert isinstance(report, AggregateReport)
    return [entry.count for entry in report.records]


def gz(data: bytes) -> bytes:
    """The data as gzip, the same bytes every time."""
    return gzip.compress(data, mtime=0)
