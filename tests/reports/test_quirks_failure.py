"""QUIRKS §6: failure reports (RFC 6591, RFC 9991) as ARF and as plain text; the reported message stays text, apart."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from dmarcworks.reports.model import FailureReport
from dmarcworks.reports.read import read_bytes, read_mail
from tests.support.report_samples import TEXT, attachment, codes, counts, gz, mail, one_failure, record, xml

FIELDS = (
    "Feedback-Type: auth-failure\r\n"
    "User-Agent: Lua/1.0\r\n"
    "Version: 1.0\r\n"
    "Original-Mail-From: sharepoint@example.com\r\n"
    "Original-Rcpt-To: peter@receiver.example\r\n"
    "Original-Rcpt-To: paul@receiver.example\r\n"
    "Original-Envelope-Id: N8CowE\r\n"
    "Reporting-MTA: dns; mx.receiver.example\r\n"
    "Arrival-Date: Mon, 01 Oct 2018 11:20:27 +0200\r\n"
    "Authentication-Results: receiver.example; dmarc=fail (p=none)\r\n"
    " header.from=example.com\r\n"
    "Source-IP: 192.0.2.10\r\n"
    "Delivery-Result: delivered\r\n"
    "Auth-Failure: dmarc\r\n"
    "Identity-Alignment: dkim, spf\r\n"
    "Reported-Domain: Example.COM\r\n"
    "Reported-URI: https://spam.example/\r\n"
    "Incidents: 3\r\n"
    "DKIM-Domain: example.com\r\n"
    "DKIM-Identity: @example.com\r\n"
    "DKIM-Selector: s1\r\n"
    "DKIM-Canonicalized-Header: ZnJvbTo=\r\n"
    "DKIM-Canonicalized-Body: Ym9keQ==\r\n"
    'SPF-DNS: txt : example.com : "v=spf1 -all"\r\n'
    "X-Own: kept\r\n"
)
MESSAGE = (
    "From: =?utf-8?B?w5xiZXJzaWNodA==?= <sharepoint@Example.com>\r\nTo: <peter@receiver.example>\r\n"
    "Message-ID: <1@example.com>\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello\r\n"
)


def part(kind: str, text: str) -> bytes:
    return f"Content-Type: {kind}\r\n\r\n{text}".encode()


def arf(fields: str = FIELDS, *more: bytes, kind: str = "multipart/report; report-type=feedback-report") -> bytes:
    more = more or (part("message/rfc822", MESSAGE),)
    return mail(TEXT, part("message/feedback-report", fields), *more, kind=kind)


def test_every_field_of_rfc_6591_is_read() -> None:
    """Nothing of the report is left behind; headers and message stand apart."""
    found = one_failure(read_mail(arf()))
    assert found.form == "arf"
    assert (found.feedback_type, found.auth_failure, found.version) == ("auth-failure", "dmarc", "1.0")
    assert (found.user_agent, found.incidents, found.arrival_date) == ("Lua/1.0", 3, 1538385627)
    assert found.original_mail_from == "sharepoint@example.com"
    assert found.original_rcpt_to == ("peter@receiver.example", "paul@receiver.example")
    assert (found.original_envelope_id, found.reporting_mta) == ("N8CowE", "dns; mx.receiver.example")
    assert found.authentication_results == ("receiver.example; dmarc=fail (p=none) header.from=example.com",)
    assert (found.source_ip, found.delivery_result) == ("192.0.2.10", "delivered")
    assert (found.identity_alignment, found.reported_domain) == ("dkim,spf", "example.com")
    assert found.reported_uri == ("https://spam.example/",)
    assert (found.dkim_domain, found.dkim_identity, found.dkim_selector) == ("example.com", "@example.com", "s1")
    assert (found.dkim_canonicalized_header, found.dkim_canonicalized_body) == ("ZnJvbTo=", "Ym9keQ==")
    assert found.spf_dns == 'txt : example.com : "v=spf1 -all"'
    assert (found.header_from, found.subject, found.message_id) == ("example.com", "Grüße", "<1@example.com>")
    assert found.extensions == (("x-own", "kept"),)
    assert found.original_headers is not None
    assert found.original_headers.startswith("From: =?utf-8?B?")
    assert "Hello" not in found.original_headers
    assert found.original_body == "Hello\n"
    assert found.warnings == ()


EXIM = (
    "A message claiming to be from you has failed the published DMARC policy for your domain.\r\n\r\n"
    "  Sender Domain: example.com\r\n  Sender IP Address: 203.0.113.68\r\n"
    "  Received date: Mon, 07 Apr 2025 23:16:09 +0200\r\n  SPF Alignment: no\r\n  DKIM Alignment: no\r\n"
    "  DMARC Results: None, Accept\r\n\r\n"
    "------ This is a copy of the headers that were received before the error was detected.\r\n\r\n"
    "From: <user@example.com>\r\nSubject: Payment\r\nMessage-Id: <1@example.com>\r\n"
)


def test_F1_the_plain_text_form() -> None:
    found = one_failure(read_mail(mail(part("text/plain", EXIM), kind="multipart/report")))
    assert (found.form, found.reported_domain, found.source_ip) == ("text", "example.com", "203.0.113.68")
    assert (found.identity_alignment, found.delivery_result) == ("dkim,spf", "delivered")
    assert (found.arrival_date, found.header_from, found.subject) == (1744060569, "example.com", "Payment")
    assert found.original_body is None
    assert codes(found) == {"text_form"}


def test_F2_no_report_type() -> None:
    assert one_failure(read_mail(arf(kind="multipart/mixed"))).auth_failure == "dmarc"


def test_F3_headers_only_a_whole_message_or_none() -> None:
    headers = MESSAGE.split("\r\n\r\n")[0]
    found = one_failure(read_mail(arf(FIELDS, part("text/rfc822-headers", headers))))
    assert (found.header_from, found.original_body) == ("example.com", None)
    assert one_failure(read_mail(arf())).original_body == "Hello\n"
    found = one_failure(read_mail(mail(TEXT, part("message/feedback-report", FIELDS))))
    assert (found.header_from, found.original_headers, found.original_body) == (None, None, None)


@pytest.mark.parametrize("text", ["192.0.2.10 (mail.example.com)", "[192.0.2.10]", "192.0.2.10"])
def test_F4_a_source_address_with_a_name(text: str) -> None:
    found = one_failure(read_mail(arf(FIELDS.replace("Source-IP: 192.0.2.10", f"Source-IP: {text}"))))
    assert (found.source_ip, found.warnings) == ("192.0.2.10", ())


def test_F5_missing_and_odd_fields() -> None:
    found = one_failure(
        read_mail(arf("User-Agent: x\r\nAuthentication-Results: a; dmarc=fail\r\nDelivery-Result: smg\r\n"))
    )
    assert (found.feedback_type, found.auth_failure, found.identity_alignment, found.arrival_date) == (None,) * 4
    assert (found.source_ip, found.delivery_result) == (None, "smg")
    assert codes(found) == {"fields_absent", "delivery_result_odd"}


def test_F6_a_base64_feedback_report() -> None:
    body = base64.encodebytes(FIELDS.encode()).decode()
    fields = f"Content-Type: message/feedback-report\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}".encode()
    found = one_failure(read_mail(mail(TEXT, fields, part("message/rfc822", MESSAGE))))
    assert (found.auth_failure, found.header_from) == ("dmarc", "example.com")


def test_F7_the_reported_message_is_never_read_for_reports() -> None:
    """Spam with a forged report inside counts nowhere; broken charsets and an empty From break nothing."""
    inner = mail(TEXT, attachment(gz(xml(record(1000)))), boundary="inner")
    found = one_failure(read_mail(arf(FIELDS, b"Content-Type: message/rfc822\r\n\r\n" + inner)))
    assert found.header_from == "reporter.example"
    odd = "From:\r\nSubject: =?no-such?B?/w==?= \xff\r\nContent-Type: text/plain; charset=no-such\r\n\r\nx"
    found = one_failure(read_mail(arf(FIELDS, b"Content-Type: message/rfc822\r\n\r\n" + odd.encode("latin-1"))))
    assert found.header_from is None


def test_F8_personal_data_stands_in_two_fields_only() -> None:
    """Whoever drops the message drops `original_body`, and `original_headers` too if headers are personal."""
    found = one_failure(read_mail(arf()))
    secrets = [name for name in found.__slots__ if "Hello" in str(getattr(found, name))]
    assert secrets == ["original_body"]


@pytest.mark.parametrize("kind", ["abuse", "opt-out", "fraud", "not-spam"])
def test_F9_other_feedback_is_named(kind: str) -> None:
    reading = read_mail(arf(FIELDS.replace("auth-failure", kind)))
    assert reading.items == ()
    assert [(p.reason, p.where) for p in reading.problems] == [("not_a_dmarc_failure", "part 2")]


def test_F10_a_failure_report_about_a_failure_report_is_one_report() -> None:
    """Reading gives the outer one only; nothing here answers mail."""
    found = one_failure(
        read_mail(
            arf(
                FIELDS,
                b"Content-Type: message/rfc822\r\n\r\n"
                + mail(TEXT, part("message/feedback-report", FIELDS), boundary="inner"),
            )
        )
    )
    assert found.header_from == "reporter.example"


def test_an_aggregate_report_next_to_a_failure_report_is_read_too() -> None:
    reading = read_mail(arf(FIELDS, part("message/rfc822", MESSAGE), attachment(gz(xml(record(7))))))
    assert [item.report.kind for item in reading.items] == ["failure", "aggregate"]
    assert counts(reading.items[1]) == [7]


def test_the_archived_failure_report_reads_the_same() -> None:
    """What is archived, read as a file, is the report again."""
    item = read_mail(arf()).items[0]
    again = read_bytes(item.part.content, item.part.name).items[0]
    assert again.digest == item.digest
    assert isinstance(again.report, FailureReport)
    assert isinstance(item.report, FailureReport)
    assert replace(again.report, warnings=()) == replace(item.report, warnings=())
