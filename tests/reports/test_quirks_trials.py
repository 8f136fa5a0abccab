"""QUIRKS §10: further forms of T1 to T16 that were tried by hand, each read, counted or named as it should be."""

from __future__ import annotations

import base64
import binascii
import gzip
import zipfile
from io import BytesIO

import pytest

from dmarcworks.reports.model import AggregateReport, FailureReport
from dmarcworks.reports.problems import OTHER_MAIL
from dmarcworks.reports.read import read_bytes, read_mail
from dmarcworks.reports.redact import redact
from tests.support.report_samples import (
    METADATA,
    TEXT,
    attachment,
    codes,
    gz,
    mail,
    mailed,
    one_failure,
    read_one,
    record,
    single,
    xml,
    zipped,
)

GOOD = attachment(gz(xml(record(5))), name="good.xml.gz")
OTHER = xml(record(2), metadata=METADATA.replace("r-1", "r-2"))
FORM = (
    "A message claiming to be from you has failed the published DMARC\npolicy for your domain.\n\n"
    "  Sender Domain: example.com\n  Sender IP Address: 192.0.2.66\n"
    "  Received Date: Sun, 01 Jun 2025 10:00:00 +0200\n  DMARC Results: Reject\n\n"
    "------ This is a copy of the headers that were received before the error\n       was detected.\n\n"
)
COPY = (
    "Received: from a (b [192.0.2.66]) by c;\n Sun, 01 Jun 2025 10:00:00 +0200\n"
    "From: <ceo@example.com>\nSubject: Invoice\n"
)
BODY = "\nthe secret of the message\n"


def text_mail(text: str) -> bytes:
    return b"From: a@mail.example\nSubject: report\nContent-Type: text/plain\n\n" + text.encode()


def quoted(text: str, prefix: str) -> str:
    return "".join(f"{prefix}{line}\n" for line in text.splitlines())


@pytest.mark.parametrize(
    "text",
    [
        quoted(FORM + COPY + BODY, "> "),
        quoted(FORM + COPY + BODY, ">"),
        quoted(quoted(FORM + COPY + BODY, "> "), "> "),
        "On Monday the reporter wrote:\n\n" + quoted(FORM + COPY + BODY, "> "),
        "This mail comes from outside of the organisation.\n" * 200 + "\n" + FORM + COPY + BODY,
    ],
    ids=["quoted", "quoted without spaces", "quoted twice", "quoted below a line", "below a long text"],
)
def test_T1_a_form_that_is_quoted_or_stands_below_other_text(text: str) -> None:
    found = one_failure(read_mail(text_mail(text)))
    assert (found.reported_domain, found.source_ip, found.subject) == ("example.com", "192.0.2.66", "Invoice")
    assert found.original_headers == COPY.rstrip("\n")
    for mode in ("headers", "drop"):
        cut = redact(text_mail(text), mode)
        assert cut is not None
        assert b"secret" not in cut
        assert (b"Subject: Invoice" in cut) == (mode == "headers")
        assert redact(cut, mode) == cut
        assert one_failure(read_mail(cut)).source_ip == "192.0.2.66"


def test_T1_a_form_that_somebody_quotes_in_part_is_other_mail() -> None:
    reading = read_mail(text_mail(quoted(FORM + COPY, "> ") + "\nWhat does this mean?\n"))
    assert reading.items == ()
    assert [problem.reason for problem in reading.problems] == ["no_report"]


def test_T1_dropping_a_copy_within_the_feedback_part_leaves_its_hash() -> None:
    def raw(subject: str) -> bytes:
        return (
            'From: a@mail.example\r\nContent-Type: multipart/report; report-type=feedback-report; boundary="=_r"\r\n'
            "\r\n--=_r\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: auth-failure\r\nVersion: 1\r\n"
            "Auth-Failure: dmarc\r\nSource-IP: 192.0.2.1\r\n\r\n"
            f"Received: from a\r\nFrom: <ceo@example.com>\r\nSubject: {subject}\r\n\r\nsecret\r\n--=_r--\r\n"
        ).encode()

    first, second = redact(raw("one"), "drop"), redact(raw("two"), "drop")
    assert first is not None
    assert second is not None
    for cut in (first, second):
        assert cut.count(b"X-Removed-SHA256: ") == 1
        assert b"secret" not in cut
        assert b"Subject: one" not in cut
        assert redact(cut, "drop") == cut
    assert read_mail(first).items[0].digest != read_mail(second).items[0].digest
    shortened = redact(raw("one"), "headers")
    assert shortened is not None
    assert redact(shortened, "drop") == first


def test_T2_utf_16_with_other_line_ends_is_the_same_report() -> None:
    text = xml(record(3), record(4)).decode().replace("UTF-8", "UTF-16")
    forms = [read_bytes(text.replace("\n", ends).encode("utf-16"), "r.xml").items[0].alike for ends in ("\n", "\r\n")]
    assert forms[0] == forms[1]


def uuencoded(data: bytes) -> bytes:
    lines = b"".join(binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45))
    return b"begin 644 report.xml.gz\n" + lines + b"`\nend\n"


FORMS = {
    "base64 that is not declared": base64.encodebytes(gz(OTHER)),
    "base64 with CRCRLF": base64.encodebytes(gz(OTHER)).replace(b"\n", b"\r\r\n"),
    "uuencode": uuencoded(gz(OTHER)),
    "uuencode below a text": b"The report is below.\n\n" + uuencoded(gz(OTHER)),
    "a whole mail": mail(TEXT, attachment(gz(OTHER))),
}


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream"])
@pytest.mark.parametrize("form", FORMS)
def test_T3_T4_a_report_in_an_encoding_that_is_not_declared_is_read_next_to_a_good_one(form: str, kind: str) -> None:
    part = attachment(FORMS[form], name="", kind=kind, encoding="7bit", disposition=None)
    for raw, expected in ((mail(TEXT, GOOD, part), [5, 2]), (mail(TEXT, part), [2]), (single(part), [2])):
        reading = read_mail(raw)
        assert reading.problems == ()
        assert [item.report.messages for item in reading.items if isinstance(item.report, AggregateReport)] == expected


def test_T4_text_that_is_declared_as_base64_is_read_next_to_a_good_report() -> None:
    part = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + OTHER
    reading = read_mail(mail(TEXT, GOOD, part))
    assert [item.report.messages for item in reading.items if isinstance(item.report, AggregateReport)] == [5, 2]
    assert reading.problems == ()


def test_T3_a_failure_report_in_a_mail_without_a_name_is_redacted() -> None:
    form = text_mail(FORM + COPY + BODY).replace(
        b"Content-Type:", b"To: b@mail.example\nMIME-Version: 1.0\nContent-Type:"
    )
    raw = mail(TEXT, attachment(form, name="", kind="application/octet-stream"))
    assert one_failure(read_mail(raw)).subject == "Invoice"
    cut = redact(raw, "headers")
    assert cut is not None
    assert one_failure(read_mail(cut)).original_body is None


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"!<arch>\nr.xml/          0           0     0     644     4         `\nabcd", "an ar archive"),
        (b"MSWIM\0\0\0\1\1", "a WIM archive"),
        (b"StuffIt (c)1997\0", "a StuffIt archive"),
        (b"(This file must be converted with BinHex 4.0)\n\n:abc:", "BinHex data"),
        (b"=ybegin line=128 size=4 name=r.xml\nabcd\n=yend size=4\n", "yEnc data"),
    ],
)
def test_T3_more_formats_that_are_not_read_are_named(data: bytes, named: str) -> None:
    reading = read_mail(mail(TEXT, GOOD, attachment(data, name="", kind="application/octet-stream")))
    assert len(reading.items) == 1
    assert [(p.reason, named in p.detail) for p in reading.problems] == [("format_not_read", True)]


def test_T3_a_piece_of_a_mail_is_named() -> None:
    part = b"Content-Type: message/partial; id=a; number=1; total=2\r\n\r\nSubject: x\r\n\r\nH4sI"
    reading = read_mail(mail(TEXT, GOOD, part))
    assert [(p.reason, p.where) for p in reading.problems] == [("format_not_read", "part 3")]


@pytest.mark.parametrize("address", ["0", '""', "::0", "0.0.0.0/0", "0:0:0:0:0:0:0:0"])
def test_T5_any_spelling_of_no_address_without_mail_is_no_sender(address: str) -> None:
    found = read_one(xml(record(0, ip=address)))
    assert (found.records, codes(found)) == ((), {"no_mail_seen"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sampled out", ("sampled_out", None)),
        ("Trusted-Forwarder", ("trusted_forwarder", None)),
        ("local_policy: arc=pass", ("local_policy", "arc=pass")),
        ("mailing list (lists.example.org)", ("mailing_list", "lists.example.org")),
        ("arc=pass", (None, "arc=pass")),
    ],
)
def test_T6_a_reason_in_other_words(text: str, expected: tuple[str | None, str | None]) -> None:
    evaluated = (
        "<policy_evaluated><disposition>none</disposition><dkim>fail</dkim><spf>fail</spf>"
        f"<reason>{text}</reason></policy_evaluated>"
    )
    found = read_one(xml(record(2, evaluated=evaluated)))
    assert [(reason.type, reason.comment) for reason in found.records[0].reasons] == [expected]
    assert codes(found) == {"reason_as_text"}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("[192.0.2.1]", "192.0.2.1"),
        ("192.0.2.1/32", "192.0.2.1"),
        ("[IPv6:2001:DB8::1]", "2001:db8::1"),
        ("IPv6:2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("[::ffff:192.0.2.1]", "192.0.2.1"),
    ],
)
def test_T8_an_address_in_brackets_or_as_a_network_of_one(text: str, address: str) -> None:
    found = read_one(xml(record(2, ip=text)))
    assert [(row.source_ip, row.count) for row in found.records] == [(address, 2)]
    assert codes(found) == set()


@pytest.mark.parametrize(
    "text", ["192.0.2.1/24", "2001:db8::/64", "[192.0.2.1", "192.0.2.1]", "192.0.2.1:25", "010.0.0.1"]
)
def test_T8_what_is_no_single_address_keeps_its_text(text: str) -> None:
    found = read_one(xml(record(2, ip=text)))
    assert [row.source_ip for row in found.records] == [text]
    assert codes(found) == {"source_ip_odd"}


def feedback_mail(kind: str, fields: str = "") -> bytes:
    return (
        "From: fbl@mail.example\nSubject: feedback\nMIME-Version: 1.0\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\nContent-Type: text/plain\n\n"
        "A report.\n--b\nContent-Type: message/feedback-report\n\n"
        f"Feedback-Type: {kind}\nUser-Agent: x/1\nVersion: 1\nSource-IP: 192.0.2.1\n{fields}\n"
        "--b\nContent-Type: message/rfc822\n\nFrom: a@example.com\nSubject: s\n\nhello\n--b--\n"
    ).encode()


@pytest.mark.parametrize("kind", ["abuse", "Fraud", "virus", "opt-out", "not-spam", "other"])
def test_T12_feedback_about_other_matters_is_other_mail(kind: str) -> None:
    reading = read_mail(feedback_mail(kind))
    assert reading.items == ()
    assert [p.reason for p in reading.problems] == ["not_a_dmarc_failure"]
    assert reading.problems[0].reason in OTHER_MAIL


def test_T12_feedback_of_an_unknown_type_is_read_by_its_fields_or_is_a_problem() -> None:
    found = one_failure(read_mail(feedback_mail("dmarc", "Auth-Failure: dmarc\nReported-Domain: example.com\n")))
    assert isinstance(found, FailureReport)
    assert (found.feedback_type, found.auth_failure, found.reported_domain) == ("dmarc", "dmarc", "example.com")
    assert "feedback_type_odd" in {warning.code for warning in found.warnings}
    assert [p.reason for p in read_mail(feedback_mail("auth_failure")).problems] == ["failure_without_fields"]


NOTICE = (
    "Report-Date: Mon, 02 Jun 2025 03:00:00 +0000\nReport-Domain: example.com\nReport-ID: 7\nReport-Size: {}\n"
    "Submitter: big.example\nSubmitting-URI:{}mailto:rua@reports.example.net\n"
)


@pytest.mark.parametrize(
    ("raw", "size"),
    [
        (mail(TEXT, b"Content-Type: application/octet-stream\r\n\r\n" + NOTICE.format(99, " ").encode()), "99 bytes"),
        (mail(TEXT, b"Content-Type: message/rfc822\r\n\r\n" + text_mail(NOTICE.format(99, " "))), "99 bytes"),
        (text_mail(NOTICE.format("32 MB", " ")), "32 MB"),
        (text_mail(NOTICE.format(99, "\n ")), "99 bytes"),
        (
            b"Content-Type: text/html\n\n<table><tr><td>"
            + NOTICE.format(99, " ").strip().replace(": ", ":</td><td>").replace("\n", "</td></tr><tr><td>").encode()
            + b"</td></tr></table>",
            "99 bytes",
        ),
    ],
    ids=["octet-stream", "forwarded", "unit", "folded", "table"],
)
def test_T12_a_notice_in_other_forms(raw: bytes, size: str) -> None:
    (problem,) = read_mail(raw).problems
    assert (problem.reason, problem.detail) == (
        "report_too_large",
        f"big.example could not send the report 7 about example.com of {size}; it is larger than "
        "mailto:rua@reports.example.net accepts.",
    )


def test_T12_a_script_in_spam_is_other_mail() -> None:
    reading = mailed(b"var a = 1;", name="invoice.js", kind="application/javascript")
    assert [p.reason for p in reading.problems] == ["no_report"]


def document(*members: tuple[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


DOCUMENTS = {
    "a.docx": document(("[Content_Types].xml", b"<?xml version='1.0'?><Types/>"), ("word/document.xml", b"<w/>")),
    "a.odt": document(("mimetype", b"application/vnd.oasis.opendocument.text"), ("content.xml", b"<c/>")),
    "a.jar": document(("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\n"), ("a.class", b"\xca\xfe\xba\xbe")),
}
FILES = {
    **DOCUMENTS,
    "original.eml": b"From: a@b.example\nTo: c@d.example\nSubject: x\n\nhello\n",
    "font.woff2": b"wOF2\0\1\0\0",
    "logo.bmp": b"BM\x36\0\0\0\0\0\0\0",
}


@pytest.mark.parametrize("name", FILES)
def test_T14_a_document_or_mail_next_to_the_report_is_ignored_with_a_note(name: str) -> None:
    reading = mailed(zipped(("r.xml", OTHER), (name, FILES[name])), name="r.zip", kind="application/zip")
    assert reading.problems == ()
    assert [(item.report.warnings[0].code, name in item.report.warnings[0].detail) for item in reading.items] == [
        ("beside_ignored", True)
    ]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_T14_a_document_alone_is_one_problem(name: str) -> None:
    for data in (DOCUMENTS[name], gzip.compress(DOCUMENTS[name])):
        assert [p.reason for p in read_bytes(data, name).problems] == ["not_xml"]


HIDDEN = {
    "no boundary": (b'; boundary="=_b"', b""),
    "another boundary": (b'boundary="=_b"', b'boundary="=_c"'),
    "a misspelt field": (b"Content-Type: multipart", b"ContentType: multipart"),
    "text": (b"multipart/mixed", b"text/plain"),
    "an empty line within the header": (b"MIME-Version", b"\r\nMIME-Version"),
}


@pytest.mark.parametrize("ends", [b"\r\n", b"\n"])
@pytest.mark.parametrize("form", HIDDEN)
def test_T3_parts_that_the_header_does_not_announce_are_read(form: str, ends: bytes) -> None:
    """Such a mail is no other mail: it holds a report, or a broken one that is named."""
    good = mail(TEXT, attachment(gz(OTHER))).replace(*HIDDEN[form], 1).replace(b"\r\n", ends)
    reading = read_mail(good)
    assert reading.problems == ()
    assert [item.report.messages for item in reading.items if isinstance(item.report, AggregateReport)] == [2]
    broken = mail(TEXT, attachment(gz(OTHER)[:60])).replace(*HIDDEN[form], 1).replace(b"\r\n", ends)
    assert [problem.reason for problem in read_mail(broken).problems] == ["gzip_truncated"]


def test_T3_a_failure_report_that_the_header_does_not_announce_is_not_cut() -> None:
    raw = feedback_mail("auth-failure", "Auth-Failure: dmarc\n").replace(b"; boundary=b", b"", 1)
    assert one_failure(read_mail(raw)).auth_failure == "dmarc"
    assert redact(raw, "headers") is None
