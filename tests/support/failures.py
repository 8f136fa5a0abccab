"""Failure and TLS report mails for tests, with a secret in the message that is reported."""

from __future__ import annotations

import json

from tests.support.mails import BEGIN, DAY, mail

SECRET = b"the secret of the message"


def arf(
    number: int = 1,
    *,
    domain: str = "example.com",
    body: bytes = SECRET,
    kind: str = "message/rfc822",
    extra: bytes = b"",
) -> bytes:
    """A mail with a failure report in ARF about a message with that body; `extra` parts come last."""
    return (
        f"From: dmarc@mail.example\r\nTo: ruf@reports.example.net\r\nSubject: FW: private subject {number}\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary="=_r"\r\n\r\n'
        "--=_r\r\nContent-Type: text/plain\r\n\r\nA failure report.\r\n"
        "--=_r\r\nContent-Type: message/feedback-report\r\n\r\n"
        "Feedback-Type: auth-failure\r\nVersion: 1\r\nUser-Agent: Lua/1.0\r\nAuth-Failure: dmarc\r\n"
        "Delivery-Result: reject\r\nIdentity-Alignment: none\r\n"
        "Arrival-Date: Tue, 22 Sep 2026 12:00:00 +0000\r\nReporting-MTA: dns; mx.mail.example\r\n"
        f"Source-IP: 192.0.2.1\r\nReported-Domain: {domain}\r\nOriginal-Rcpt-To: <someone@mail.example>\r\n"
        "DKIM-Canonicalized-Body: dGhlIHNlY3JldCBvZiB0aGUgbWVzc2FnZQ==\r\n\r\n"
        f"--=_r\r\nContent-Type: {kind}\r\n\r\n"
        f"From: Boss <boss@{domain}>\r\nSubject: private subject {number}\r\nMessage-ID: <{number}@x.example>\r\n"
    ).encode() + b"\r\n" + body + b"\r\n" + extra + b"--=_r--\r\n"  # fmt: skip


def text_form(body: bytes = SECRET) -> bytes:
    """A failure report as plain text, with the message at its end."""
    return (
        b"From: exim@mail.example\r\nSubject: DMARC Forensic Report\r\nContent-Type: text/plain\r\n\r\n"
        b"A message claiming to be from you has failed the published DMARC policy for your domain.\r\n\r\n"
        b"  Sender Domain: example.com\r\n  Sender IP Address: 203.0.113.68\r\n"
        b"  Received date: Tue, 22 Sep 2026 12:00:00 +0000\r\n  SPF Alignment: no\r\n  DKIM Alignment: no\r\n"
        b"  DMARC Results: Reject\r\n\r\n------ This is a copy of the message, including all the headers.\r\n\r\n"
        b"From: <boss@example.com>\r\nSubject: private subject 9\r\n\r\n" + body + b"\r\n"
    )


def tls(report_id: str = "t-1", *, domains: tuple[str, ...] = ("example.com",), org: str = "Mail X") -> bytes:
    """A TLS report's JSON: per domain 5 sessions that worked and 2 that failed."""
    failure = {
        "result-type": "certificate-expired",
        "receiving-mx-hostname": "mx1.example.com",
        "failed-session-count": 2,
    }
    policies = [
        {
            "policy": {"policy-type": "sts", "policy-string": ["mode: testing"], "policy-domain": domain},
            "summary": {"total-successful-session-count": 5, "total-failure-session-count": 2},
            "failure-details": [failure],
        }
        for domain in domains
    ]
    return json.dumps(
        {
            "organization-name": org,
            "contact-info": "tls@mail.example",
            "report-id": report_id,
            "date-range": {"start-datetime": "2026-09-22T00:00:00Z", "end-datetime": "2026-09-22T23:59:59Z"},
            "policies": policies,
        }
    ).encode()


def tls_mail(report_id: str = "t-1", **changes: object) -> bytes:
    """A mail with that report attached."""
    return mail(("report.json", tls(report_id, **changes)))  # type: ignore[arg-type]


__all__ = ["BEGIN", "DAY", "SECRET", "arf", "text_form", "tls", "tls_mail"]
