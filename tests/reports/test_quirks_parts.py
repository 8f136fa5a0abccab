"""QUIRKS §10 T3, T4, T12, T13, T14, T16: no part that may hold a report is passed over in silence, none that cannot be
one is a problem.
"""

from __future__ import annotations

import base64
import bz2
import io
import lzma
import re
import struct
import tarfile
import unicodedata
import zlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.reports.containers import is_tar, tar_files
from dmarcworks.reports.model import Reading
from dmarcworks.reports.notes import Refused
from dmarcworks.reports.problems import OTHER_MAIL
from dmarcworks.reports.read import read_bytes, read_mail
from tests.support.cases import case
from tests.support.report_samples import TEXT, attachment, codes, counts, gz, mail, one, record, xml, zipped

GOOD = attachment(gz(xml(record(12))))
REPORT = xml(record(7))


def tar(*files: tuple[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def tnef(*files: tuple[str, bytes]) -> bytes:
    """A winmail.dat with these attachments."""

    def attribute(level: int, kind: int, data: bytes) -> bytes:
        return struct.pack("<BLL", level, kind, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)

    out = struct.pack("<LH", 0x223E9F78, 1) + attribute(1, 0x00089006, struct.pack("<L", 0x00010000))
    for name, data in files:
        out += attribute(2, 0x00069002, b"\0" * 14) + attribute(2, 0x00018010, name.encode() + b"\0")
        out += attribute(2, 0x0006800F, data)
    return out


def found(reading: Reading) -> tuple[list[list[int]], list[str]]:
    """The counts of each report, and the reasons of the problems."""
    return [counts(item) for item in reading.items], [problem.reason for problem in reading.problems]


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


PACKED = {
    "bzip2": bz2.compress(REPORT),
    "bzip2 of two members": bz2.compress(REPORT[:200]) + bz2.compress(REPORT[200:]),
    "xz": lzma.compress(REPORT),
    "zstd": zstd(REPORT),
    "tar": tar(("r.xml", REPORT)),
    "GNU tar with a long name": tar(("d/" * 80 + "r.xml", REPORT), form=tarfile.GNU_FORMAT),
    "pax tar with a long name": tar(("d/" * 80 + "r.xml", REPORT)),
    "old tar": tar(("r.xml", REPORT), form=tarfile.USTAR_FORMAT),
    "tar in gzip": gz(tar(("r.xml", REPORT))),
    "tar in bzip2": bz2.compress(tar(("r.xml", REPORT))),
    "tar of a gzip": tar(("r.xml.gz", gz(REPORT))),
    "bzip2 in zip": zipped(("r.xml.bz2", bz2.compress(REPORT))),
    "winmail.dat": tnef(("r.xml", REPORT)),
    "winmail.dat of a gzip": tnef(("note.txt", b"Hello"), ("r.xml.gz", gz(REPORT))),
}
UNREAD = {
    "7z": b"7z\xbc\xaf\x27\x1c\0\4" + bytes(60),
    "RAR": b"Rar!\x1a\x07\0" + bytes(60),
    "cabinet": b"MSCF\0\0\0\0" + bytes(60),
    "LZ4": b"\x04\x22\x4d\x18" + bytes(60),
    "LHA": b"\x22\x9b-lh5-" + b"\x88" * 60,
    "cpio": b"070701" + b"0" * 104,
    "zlib": zlib.compress(REPORT),
}


# T3


def test_T3_the_cases() -> None:
    assert found(case("silent-bz2-beside-good.eml")) == ([[12], [99]], [])
    assert found(case("silent-winmail-beside-good.eml")) == ([[11], [12]], [])
    assert found(case("silent-tar-beside-good.eml")) == ([[12]], ["not_xml"])


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/x-whatever", "application/ms-tnef"])
@pytest.mark.parametrize("name", ["", "report.bin", "report"])
@pytest.mark.parametrize("packed", PACKED)
def test_T3_a_compressed_part_next_to_a_good_one_is_read(packed: str, name: str, kind: str) -> None:
    reading = read_mail(mail(TEXT, GOOD, attachment(PACKED[packed], name, kind)))
    assert found(reading) == ([[12], [7]], [])


@pytest.mark.parametrize("name", ["", "report.bin", "r.7z", "picture.png"])
@pytest.mark.parametrize("packed", UNREAD)
def test_T3_a_format_that_is_not_read_is_a_problem_that_names_it(packed: str, name: str) -> None:
    reading = read_mail(mail(TEXT, GOOD, attachment(UNREAD[packed], name, "application/octet-stream")))
    assert found(reading) == ([[12]], ["format_not_read"])
    assert packed in reading.problems[0].detail


@pytest.mark.parametrize("packed", ["bzip2", "xz", "zstd", "tar", "winmail.dat"])
def test_T3_what_is_cut_short_is_a_problem(packed: str) -> None:
    data = PACKED[packed]
    cut = data[: 512 + len(REPORT) // 2] if packed == "tar" else data[: len(data) * 2 // 3]
    counted, reasons = found(read_mail(mail(TEXT, GOOD, attachment(cut, "r.bin", "application/octet-stream"))))
    assert counted == [[12]]
    kind = {"tar": "tar_truncated", "winmail.dat": "tnef_corrupt"}.get(packed, "compressed_truncated")
    assert reasons[0] in (kind, "tar_corrupt", "xml_truncated", "compressed_corrupt")


@pytest.mark.parametrize("name", ["", "report.bin", "r.xml.pgp", "notes.txt"])
def test_T3_an_encrypted_part_next_to_a_good_one_is_a_problem(name: str) -> None:
    armoured = b"-----BEGIN PGP MESSAGE-----\r\n\r\nabcd\r\n-----END PGP MESSAGE-----\r\n"
    for kind in ("application/octet-stream", "text/plain"):
        assert found(read_mail(mail(TEXT, GOOD, attachment(armoured, name, kind)))) == ([[12]], ["pgp_encrypted"])


def test_T3_bytes_of_no_known_format_without_a_name_are_a_problem() -> None:
    reading = read_mail(mail(TEXT, GOOD, attachment(bytes(range(256)), "", "application/octet-stream")))
    assert found(reading) == ([[12]], ["not_xml"])


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "logo.png", "image/png"),
        (b"%PDF-1.4 " + bytes(50), "manual.pdf", "application/pdf"),
        (b"%PDF-1.4 " + bytes(50), "", "application/octet-stream"),
        (b"<html><body>Hello</body></html>", "", "text/html"),
        (b"x\x9cis a letter and no compressed data", "letter.txt", "application/octet-stream"),
        (b"\0\0\0\x18ftypheic\0\0\0\0" + bytes(range(128)), "photo.heic", "application/octet-stream"),
        (zipped(("offer.lnk", b"L\0\0\0\1\x14\2\0" + bytes(range(200)))), "offer.zip", "application/zip"),
        (b"BEGIN:VCARD\r\nEND:VCARD\r\n", "me.vcf", "text/vcard"),
        (b"-----BEGIN PGP SIGNATURE-----\r\n\r\nabc\r\n", "signature.asc", "application/pgp-signature"),
        (b"\x30\x82\x01\x00\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", "smime.p7s", "application/pkcs7-signature"),
    ],
)
def test_T3_pictures_prose_and_signatures_are_no_problem(data: bytes, name: str, kind: str) -> None:
    assert found(read_mail(mail(TEXT, GOOD, attachment(data, name, kind)))) == ([[12]], [])


def test_T3_a_bomb_hits_the_bound() -> None:
    bomb = bz2.compress(b"<feedback>" + b" " * (300 * 1024 * 1024))
    assert found(read_mail(mail(TEXT, GOOD, attachment(bomb, "r.bz2")))) == ([[12]], ["beside_records"])


# T4

REPORT_64 = base64.encodebytes(gz(xml(record(11)))).replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    "field",
    [
        b"Content-Transfer-Encoding: base64 \r\n",
        b"Content-Transfer-Encoding: base64\t\r\n",
        b"Content-Transfer-Encoding: base64 (as ever)\r\n",
        b"Content-Transfer-Encoding: (as ever) base64\r\n",
        b"Content-Transfer-Encoding:\r\n base64\r\n",
        b'Content-Transfer-Encoding: "base64"\r\n',
        b"Content-Transfer-Encoding: base64;\r\n",
        b"Content-Transfer-Encoding: BASE64;charset=x\r\n",
        b"Content-Transfer-Encoding: 7bit\r\n",
        b"Content-Transfer-Encoding: 8bit\r\n",
        b"Content-Transfer-Encoding: binary\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"Content-Transfer-Encoding: base-64\r\n",
        b"Content-Transfer-Encoding: x-unknown\r\n",
        b"Content-Transfer-Encoding:\r\n",
        b"",
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_T4_a_body_in_base64_is_decoded_whatever_the_field_says(field: bytes, alone: bool) -> None:
    part = b"Content-Type: application/gzip; name=r.xml.gz\r\n" + field + b"\r\n" + REPORT_64
    raw = b"From: a@b.example\r\nMIME-Version: 1.0\r\n" + part if alone else mail(TEXT, part)
    assert found(read_mail(raw)) == ([[11]], [])


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable", b"7bit", b"x-gzip", b""])
def test_T4_xml_as_it_is_is_read_whatever_the_field_says(encoding: bytes) -> None:
    part = b"Content-Type: text/xml; name=r.xml\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + REPORT
    assert found(read_mail(mail(TEXT, part))) == ([[7]], [])


def test_T4_quoted_printable_that_is_not_declared() -> None:
    text = REPORT.replace(b"=", b"=3D").replace(b"<record>", b"<rec=\r\nord>")
    part = b"Content-Type: text/xml; name=r.xml\r\n\r\n" + text
    assert found(read_mail(mail(TEXT, part))) == ([[7]], [])


def test_T4_the_cases() -> None:
    assert found(case("cte-absent-base64-body.eml")) == ([[11]], [])
    assert found(case("cte-base64-trailing-space.eml")) == ([[11]], [])


def test_T4_a_footer_of_a_mailing_list_behind_the_body_does_no_harm() -> None:
    part = b"Content-Type: application/gzip\r\n\r\n" + REPORT_64 + b"\r\n-- \r\nThe list of us all\r\n"
    counted, _ = found(read_mail(mail(TEXT, part)))
    assert counted == [[11]]


# T12 and T13


def other(raw: bytes) -> str:
    """The reason of a mail that is no report."""
    reading = read_mail(raw)
    assert reading.items == ()
    (problem,) = reading.problems
    return problem.reason


HEAD = b"From: a@b.example\r\nTo: rua@reports.example.net\r\nMIME-Version: 1.0\r\n"
NOTICE = (
    b"Report-Domain: example.com\r\nReport-ID: 77@big.example\r\nReport-Size: 33554432\r\nSubmitter: big.example\r\n"
    b"Submitting-URI: mailto:rua@reports.example.net\r\n"
)


def test_T12_the_case() -> None:
    (problem,) = case("notice-report-too-large.eml").problems
    assert problem.reason == "report_too_large"
    assert problem.detail == (
        "big.example could not send the report 77@big.example about example.com of 33554432 bytes; it is larger than "
        "mailto:rua@reports.example.net accepts."
    )


@pytest.mark.parametrize(
    ("reason", "raw"),
    [
        ("report_too_large", HEAD + b"Subject: x\r\n\r\n" + NOTICE),
        ("report_too_large", HEAD + b"Content-Type: text/plain\r\n\r\n" + NOTICE.replace(b"\r\n", b"\n")),
        (
            "report_too_large",
            HEAD + b"\r\nThis is a 'Too Big' DMARC notice. The aggregate report was not delivered.\r\n\r\n" + NOTICE
            + b"\r\nSubmitted by big.example\r\nGenerated with Mail::DMARC 1.20211209\r\n",
        ),
        ("report_too_large", mail(b"Content-Type: text/plain\r\n\r\n" + NOTICE, b"Content-Type: text/html\r\n\r\nx")),
        (
            "bounce",
            mail(
                b"Content-Type: text/plain\r\n\r\nYour mail came back.",
                b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n",
                b"Content-Type: text/rfc822-headers\r\n\r\nSubject: Report\r\n",
                kind="multipart/report; report-type=delivery-status",
            ),
        ),
        ("bounce", b"From: MAILER-DAEMON@mx.example\r\nSubject: Undelivered Mail Returned to Sender\r\n\r\nSorry.\r\n"),
        ("bounce", b"From: x@mx.example\r\nX-Failed-Recipients: a@b.example\r\nSubject: Failure\r\n\r\nSorry.\r\n"),
        ("auto_reply", HEAD + b"Auto-Submitted: auto-replied\r\nSubject: Re: Report\r\n\r\nI am away.\r\n"),
        ("auto_reply", HEAD + b"Subject: Automatic reply: Report Domain: example.com\r\n\r\nI am away.\r\n"),
        ("auto_reply", HEAD + b"Subject: Out of Office\r\n\r\nI am away.\r\n"),
        ("no_report", HEAD + b"Auto-Submitted: no\r\nSubject: Cheap\r\nContent-Type: text/html\r\n\r\n<b>Buy</b>\r\n"),
        ("no_report", mail(TEXT, attachment(b"\x89PNG\r\n\x1a\n" + bytes(9), "buy.png", "image/png"))),
        ("no_report", mail(TEXT, attachment(b"%PDF-1.7" + bytes(9), "invoice.pdf", "application/pdf"))),
        ("no_report", mail(TEXT, attachment(zipped(("invoice.pdf", b"%PDF-1.7")), "invoice.zip", "application/zip"))),
        (
            "no_report",
            mail(TEXT, attachment(zipped(("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<d/>")),
                                  "offer.docx", "application/octet-stream")),
        ),
    ],
)  # fmt: skip
def test_T12_mail_that_is_no_report_is_told_apart(reason: str, raw: bytes) -> None:
    assert other(raw) == reason
    assert reason in OTHER_MAIL


REPLIED = """Automatic reply: Report|Re: Out of Office AutoReply|[Auto-Reply] Report|OOO: Report|Vacation reply
On holiday until Monday|AW: Automatische Antwort: Report|Abwesenheitsnotiz: Report|Réponse automatique : Report
Absence du bureau|Respuesta automática: Report|Fuera de la oficina: Report|Risposta automatica: Report|Fuori sede
Automatisch antwoord: Report|Afwezig: Report|Resposta automática: Report|Autosvar: Report|Automatiskt svar: Report
Automatisk svar: Report|Automaattinen vastaus: Report|Automatyczna odpowiedź: Report|Automatická odpověď: Report
Automatikus válasz: Report|Otomatik yanıt: Report|Автоматический ответ: Report|自动答复: Report|自動応答: Report"""
BOUNCED = """Undelivered Mail Returned to Sender|Undeliverable: Report|Delivery Status Notification (Failure)
Failure notice|Returned mail: see transcript for details|Nondeliverable mail|Unzustellbar: Report|Non remis : Report
No se puede entregar: Report|Non recapitabile: Report|Onbestelbaar: Report|Não é possível entregar: Report
Niedostarczone: Report|Недоставлено: Report|无法送达: Report|配信不能: Report|Olevererbart: Report
Ikke leveret: Report"""
NO_REPLY = """Vacation deals for you|Urlaub am Meer, nur 99 Euro|Absentee ballots|Report Domain: example.com
Your invoice|Ticket 123: your request has been received"""


def subjects(lines: str) -> list[str]:
    return lines.replace("\n", "|").split("|")


def titled(subject: str, fields: str = "From: someone@mail.example\r\n", encoded: bool = True) -> bytes:
    """A mail with that subject, as mail programs write it (RFC 2047) or as UTF-8."""
    word = f"=?utf-8?B?{base64.b64encode(subject.encode()).decode()}?=" if encoded else subject
    return f"{fields}Subject: {word}\r\n\r\nHello.\r\n".encode()


@pytest.mark.parametrize("subject", subjects(REPLIED))
def test_T12_automatic_replies_in_many_languages(subject: str) -> None:
    decomposed = unicodedata.normalize("NFD", subject)
    mails = titled(subject), titled(subject, encoded=False), titled(decomposed)
    assert [other(raw) for raw in mails] == ["auto_reply"] * 3


@pytest.mark.parametrize("subject", subjects(BOUNCED))
def test_T12_bounces_in_many_languages(subject: str) -> None:
    """From a postmaster or with the null return path; from anybody else these words prove nothing."""
    assert other(titled(subject, "From: postmaster@mail.example\r\n")) == "bounce"
    assert other(titled(subject, "Return-Path: <>\r\nFrom: noreply@mail.example\r\n")) == "bounce"
    assert other(titled(subject)) == "no_report"


@pytest.mark.parametrize("subject", subjects(NO_REPLY))
def test_T12_other_subjects_are_no_reply_and_no_bounce(subject: str) -> None:
    assert other(titled(subject)) == "no_report"


def test_T12_a_daemon_and_a_receipt() -> None:
    assert other(titled("Message status", "From: Mail Delivery System <MAILER-DAEMON@mail.example>\r\n")) == "bounce"
    receipt = mail(
        b"Content-Type: text/plain\r\n\r\nYour mail was displayed.",
        b"Content-Type: message/disposition-notification\r\n\r\nDisposition: manual-action; displayed\r\n",
        kind="multipart/report; report-type=disposition-notification",
    )
    assert other(receipt) == "auto_reply"


@pytest.mark.parametrize(
    "text",
    [
        NOTICE.replace(b"Report-", b"> Report-").replace(b"Submit", b"> Submit"),
        NOTICE.replace(b"Report-", b"* Report-").replace(b"Submit", b"* Submit"),
        NOTICE.replace(b"Report-", b"Report ").replace(b"Submitting-URI", b"Submitting URI"),
        NOTICE.lower(),
        b"A line before it.\r\n" * 1000 + NOTICE,
    ],
)
def test_T12_notices_as_people_and_programs_forward_them(text: bytes) -> None:
    for raw in (HEAD + b"Content-Type: text/plain\r\n\r\n" + text, HEAD + b"Subject: x\r\n\r\n" + text):
        assert other(raw) == "report_too_large"


@pytest.mark.parametrize("ends", [b"<br>\r\n", b"</p><p>", b"</td></tr>\r\n<tr><td>"])
def test_T12_a_notice_in_html(ends: bytes) -> None:
    raw = HEAD + b"Content-Type: text/html\r\n\r\n<html><p>" + NOTICE.replace(b"\r\n", ends) + b"</html>"
    (problem,) = read_mail(raw).problems
    assert problem.reason == "report_too_large"
    assert problem.detail.startswith(
        "big.example could not send the report 77@big.example about example.com of 33554432"
    )


def test_T12_a_notice_without_the_size() -> None:
    raw = HEAD + b"\r\n" + re.sub(rb"Report-Size:[^\n]*\n", b"", NOTICE)
    (problem,) = read_mail(raw).problems
    assert problem.detail == (
        "big.example could not send the report 77@big.example about example.com; it is larger than "
        "mailto:rua@reports.example.net accepts."
    )


def test_T12_a_report_in_a_bounce_or_a_reply_is_a_report() -> None:
    raw = b"Auto-Submitted: auto-generated\r\n" + mail(TEXT, GOOD)
    assert found(read_mail(raw)) == ([[12]], [])


def test_T12_a_broken_report_is_no_other_mail() -> None:
    reason = other(mail(TEXT, attachment(gz(REPORT)[:-20])))
    assert reason == "gzip_truncated"
    assert reason not in OTHER_MAIL


FAILED = b"A message claiming to be from you has failed the published DMARC policy for your domain."


@pytest.mark.parametrize(
    "text",
    [
        b"<p>A message claiming to be from you has <b>failed</b> the published&nbsp;DMARC policy for your domain.</p>",
        b"Feedback-Type: auth-failure<br>Source-IP: 192.0.2.1<br>Reported-Domain: example.com<br>",
        b"<table><tr><td>Feedback-Type: auth-failure</td></tr><tr><td>User-Agent: x</td></tr></table>",
    ],
)
def test_T13_a_failure_report_in_html_whatever_its_tags(text: bytes) -> None:
    assert (
        other(HEAD + b"Content-Type: text/html; charset=utf-8\r\n\r\n<html><body>" + text) == "failure_without_fields"
    )


def test_T13_the_cases() -> None:
    assert [p.reason for p in case("ruf-html-only-empty-row.eml").problems] == ["failure_without_fields"]
    assert case("ruf-html-only-empty-row.eml").items == ()
    assert [p.reason for p in case("smime-opaque.eml").problems] == ["smime_opaque"]


@pytest.mark.parametrize(
    ("reason", "raw"),
    [
        ("failure_without_fields", HEAD + b"Content-Type: text/html\r\n\r\n<p>" + FAILED + b"</p>"),
        ("failure_without_fields", mail(b"Content-Type: text/html\r\n\r\n<p>" + FAILED + b"</p>")),
        ("failure_without_fields", HEAD + b"Content-Type: text/plain\r\n\r\n" + FAILED),
        ("smime_opaque", HEAD + b"Content-Type: application/x-pkcs7-mime\r\n\r\n0\x80\x06\x09\x2a\x86"),
        ("smime_opaque", HEAD + b"Content-Type: application/octet-stream; name=smime.p7m\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\nMIID9AYJKoZIhvcNAQcDoIID5TCCA+ECAQExDTALBglghkgBZQMEAgEw\r\n"),
        ("tnef_empty", HEAD + b"Content-Type: application/ms-tnef\r\nContent-Transfer-Encoding: base64"
            b"\r\n\r\n" + base64.encodebytes(tnef())),
        ("pgp_encrypted", mail(b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1",
            b"Content-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\nabc\r\n")),
    ],
)  # fmt: skip
def test_T13_a_report_that_cannot_be_opened_is_named(reason: str, raw: bytes) -> None:
    assert other(raw) == reason
    assert reason not in OTHER_MAIL


# T14


NOISE = [
    ("readme.txt", b"See attached"),
    ("report.pdf", b"%PDF-1.4 .."),
    ("readme.html", b"<html><body>Hi</body></html>"),
    ("._a.xml", b"\0\5\x16\7\0\2\0\0Mac OS X"),
    (".DS_Store", b"\0\0\0\1Bud1"),
    ("empty.txt", b""),
    ("schema.xsd", b"<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'/>"),
    ("note.txt", b"Subject: the report\r\n\r\nhas a colon"),
]


@pytest.mark.parametrize("packed", ["zip", "tar", "tar.gz", "tnef"])
@pytest.mark.parametrize("noise", NOISE, ids=lambda noise: str(noise[0]))
def test_T14_a_file_next_to_the_report_is_ignored_with_a_note(noise: tuple[str, bytes], packed: str) -> None:
    files = (noise, ("a.xml", REPORT), ("z.txt", b"The end"))
    data = {"zip": zipped, "tar": tar, "tar.gz": lambda *files: gz(tar(*files)), "tnef": tnef}[packed](*files)
    for reading in (read_bytes(data, "r.bin"), read_mail(mail(TEXT, attachment(data, "r.zip", "application/zip")))):
        report = one(reading)
        assert counts(report) == [7]
        assert codes(report) == {"beside_ignored"}
        assert "z.txt (text)" in report.warnings[-1].detail


def test_T14_a_broken_report_next_to_a_good_one_is_a_problem() -> None:
    reading = read_bytes(zipped(("a.xml", REPORT), ("b.xml", b"unused"), ("c.xml.gz", b"unused")), "r.zip")
    assert found(reading) == ([[7]], ["not_xml", "not_xml"])


def test_T14_an_archive_without_a_report_is_a_problem_as_a_file() -> None:
    assert found(read_bytes(zipped(("readme.txt", b"See attached")), "r.zip")) == ([], ["not_xml"])


def test_T14_the_case() -> None:
    report = one(case("zip-readme-noise.zip"))
    assert (counts(report), codes(report)) == ([8], {"beside_ignored"})


# T16


def test_T16_the_case() -> None:
    assert counts(one(case("tar-gz-with-pax-header.tar.gz"))) == [8]


def test_T16_the_members_of_a_tar_count_against_the_bound() -> None:
    many = gz(tar(*((f"{n}.xml", REPORT) for n in range(150))))
    counted, reasons = found(read_bytes(many, "r.tar.gz"))
    assert (len(counted), reasons) == (100, ["members"])


def test_T16_links_and_folders_are_passed_over() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("../../etc/x.xml")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("../../r.xml")
        info.size = len(REPORT)
        archive.addfile(info, io.BytesIO(REPORT))
    report = read_bytes(packed.getvalue(), "r.tar")
    assert found(report) == ([[7]], [])
    assert report.items[0].part.where == "r.tar > r.xml"


@given(st.binary(max_size=3000), st.integers(0, 2000))
def test_T16_no_bytes_make_the_reading_of_a_tar_raise_or_go_on(data: bytes, place: int) -> None:
    whole = tar(("r.xml", REPORT[:700]), ("s.xml", b"x"))
    broken = whole[:place] + data + whole[place + len(data) :]
    try:
        files = list(tar_files(broken)) if is_tar(broken) else []
    except Refused:
        return
    assert sum(len(content) for _, content in files) <= len(broken)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("r.xml.sig", b"\x89\x01\x33\x04" + bytes(range(90))),
        ("r.xml.asc", b"-----BEGIN PGP SIGNATURE-----\n\nabc\n"),
        ("r.xml.md5", b"d41d8cd98f00b204e9800998ecf8427e  r.xml\n"),
        ("r.xml.sha256", b"e3b0c442  r.xml\n"),
        ("feedback.dtd", b"<!ELEMENT feedback (record+)>\n"),
        ("readme.txt", "Grüße".encode("utf-16")),
    ],
)
def test_T14_signatures_checksums_and_texts_next_to_the_report(name: str, data: bytes) -> None:
    reading = read_mail(mail(attachment(zipped(("r.xml", REPORT), (name, data)), "r.zip", "application/zip")))
    assert found(reading) == ([[7]], [])
    assert codes(reading.items[0].report) == {"beside_ignored"}
    # By itself such a file is still one that may be damaged.
    assert found(read_mail(mail(attachment(b"\x89\x01" + bytes(90), "r.xml", "text/xml"))))[1] == ["not_xml"]
