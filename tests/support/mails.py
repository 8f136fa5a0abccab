"""Reports and mails for tests: small, exact, and as odd as a test wants them."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from xml.sax.saxutils import escape

DAY = 86_400
BEGIN = 1_790_035_200  # 2026-09-22 00:00 UTC


def document(
    report_id: str = "1",
    *,
    domain: str = "example.com",
    org_name: str = "google.com",
    begin: int = BEGIN,
    records: Sequence[tuple[str, int, str, str]] = (
        ("192.0.2.1", 3, "pass", "pass"),
        ("198.51.100.7", 2, "fail", "fail"),
    ),
) -> bytes:
    """An aggregate report; a record is (source, count, dkim, spf). 5 messages unless told, 3 of them pass."""
    rows = "".join(
        f"<record><row><source_ip>{ip}</source_ip><count>{count}</count><policy_evaluated><disposition>none</disposition>"
        f"<dkim>{dkim}</dkim><spf>{spf}</spf></policy_evaluated></row><identifiers><header_from>{domain}</header_from>"
        f"</identifiers><auth_results><spf><domain>{domain}</domain><result>{spf}</result></spf></auth_results></record>"
        for ip, count, dkim, spf in records
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><feedback><report_metadata>'
        f"<org_name>{escape(org_name)}</org_name><email>dmarc@mail.example</email><report_id>{escape(report_id)}</report_id>"
        f"<date_range><begin>{begin}</begin><end>{begin + DAY - 1}</end></date_range></report_metadata>"
        f"<policy_published><domain>{domain}</domain><p>none</p></policy_published>{rows}</feedback>"
    ).encode()


def mail(*attachments: tuple[str, bytes], to: str = "rua@reports.example.net", text: str = "A report.") -> bytes:
    """A mail with these (file name, content) attached, all called octet-stream."""
    head = (
        f"From: dmarc@mail.example\r\nTo: {to}\r\nSubject: Report Domain: example.com\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="=_b"\r\n\r\n'
        f"--=_b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n"
    ).encode()
    parts = [
        b"--=_b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="' + name.encode() + b'"\r\n\r\n'
        + base64.encodebytes(content).replace(b"\n", b"\r\n") + b"\r\n"
        for name, content in attachments
    ]  # fmt: skip
    return head + b"".join(parts) + b"--=_b--\r\n"


def report_mail(report_id: str = "1", **changes: object) -> bytes:
    """A mail with one gzipped report."""
    return mail(("report.xml.gz", gzip.compress(document(report_id, **changes), mtime=0)))  # type: ignore[arg-type]
