"""A test system with reports of every kind."""

from __future__ import annotations

import gzip

from tests.support.harness import Harness
from tests.support.mails import document, mail, report_mail

FAILURE = (
    b"From: mx@reporter.example\r\nTo: rua@reports.example.net\r\nSubject: FW: spam\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/report; report-type=feedback-report; boundary="=_f"\r\n\r\n'
    b"--=_f\r\nContent-Type: text/plain\r\n\r\nA failure.\r\n"
    b"--=_f\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: auth-failure\r\nVersion: 1\r\n"
    b"User-Agent: Reporter/1\r\nAuth-Failure: dmarc\r\nReported-Domain: example.com\r\nSource-IP: 192.0.2.9\r\n\r\n"
    b"--=_f\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@example.com\r\nSubject: secret\r\n\r\nbody\r\n"
    b"--=_f--\r\n"
)
TLS = (
    b'{"organization-name":"Mail","date-range":{"start-datetime":"2026-09-22T00:00:00Z","end-datetime":'
    b'"2026-09-22T23:59:59Z"},"contact-info":"a@b.example","report-id":"t1","policies":[{"policy":{"policy-type":"sts",'
    b'"policy-domain":"example.com"},"summary":{"total-successful-session-count":7,"total-failure-session-count":1}}]}'
)


async def filled(harness: Harness) -> list[dict[str, str]]:
    """Four aggregate reports, a TLS and a failure report, and a mail with a broken one; the aggregate ones as noted."""
    domain = await harness.add_domain()
    await harness.receive(
        domain,
        *(report_mail(f"r{n}", records=[("192.0.2.1", n + 1, "pass", "pass"), ("192.0.2.2", 10, "fail", "fail")])
          for n in range(2)),
        mail(("two.xml", document("r2")), ("three.xml.gz", gzip.compress(document("r3"), mtime=0))),
        mail(("tls.json", TLS)),
        FAILURE,
        b"Subject: x\r\nContent-Type: text/xml\r\n\r\n<feedback><report_metadata>nothing\r\n",
    )  # fmt: skip
    rows = harness.sql(
        "SELECT key, report_id, object_key, mail_id FROM reports WHERE kind = 'aggregate' ORDER BY report_id"
    )
    return [dict(zip(("key", "id", "object", "mail"), row, strict=True)) for row in rows]
