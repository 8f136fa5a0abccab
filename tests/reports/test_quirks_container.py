"""QUIRKS §2: containers, MIME and transport: content decides, names and types are labels, neighbours are never lost."""

from __future__ import annotations

import base64
import hashlib
import struct
import zipfile

import pytest

from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.read import read_bytes, read_mail
from tests.support.report_samples import (
    TEXT,
    attachment,
    codes,
    counts,
    gz,
    mail,
    mailed,
    one,
    record,
    refused,
    single,
    xml,
    zipped,
)

DATA = xml(record(3), record(4))
KINDS = [
    "application/octet-stream",
    "application/x-gzip",
    "application/x-zip",
    "application/x-zip-compressed",
    "application/zip",
    "application/gzip",
    "text/xml",
    "application/xml",
    "text/plain",
    "application/pdf",
    "foo/bar",
]


def test_Q1_octet_stream() -> None:
    assert counts(one(mailed(gz(DATA), kind="application/octet-stream"))) == [3, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_Q2_the_type_decides_nothing(kind: str) -> None:
    assert counts(one(mailed(gz(DATA), kind=kind))) == [3, 4]
    assert counts(one(mailed(zipped(("a.xml", DATA)), kind=kind))) == [3, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_Q3_uncompressed_xml(kind: str) -> None:
    assert counts(one(mailed(DATA, name="a.xml", kind=kind))) == [3, 4]


@pytest.mark.parametrize("disposition", ["inline", None, "form-data"])
def test_Q4_inline(disposition: str | None) -> None:
    assert counts(one(mailed(gz(DATA), disposition=disposition))) == [3, 4]


def test_Q5_a_misspelt_content_type() -> None:
    part = b"ContentType: application/gzip\r\n" + attachment(gz(DATA), kind=None, disposition=None)
    assert counts(one(read_mail(mail(TEXT, part)))) == [3, 4]


@pytest.mark.parametrize("kind", ["multipart/related", "multipart/alternative", "multipart/report", "multipart/x-odd"])
def test_Q6_any_multipart_and_a_single_part(kind: str) -> None:
    assert counts(one(read_mail(mail(TEXT, attachment(gz(DATA)), kind=kind)))) == [3, 4]
    assert counts(one(read_mail(single(attachment(gz(DATA)))))) == [3, 4]
    assert counts(one(read_mail(single(attachment(zipped(("a.xml", DATA)), name="", kind="application/zip"))))) == [
        3,
        4,
    ]


def test_Q7_an_html_body_is_no_report_and_no_problem() -> None:
    html = b"Content-Type: text/html\r\n\r\n<!DOCTYPE html><html><body><p>Preview &nbsp; report</body></html>"
    assert counts(one(read_mail(mail(html, attachment(gz(DATA)))))) == [3, 4]


def test_Q8_a_forwarded_report() -> None:
    inner = mail(TEXT, attachment(gz(DATA)), boundary="inner")
    found = read_mail(mail(TEXT, b"Content-Type: message/rfc822\r\n\r\n" + inner))
    assert counts(one(found)) == [3, 4]
    assert found.items[0].part.where.startswith("part 2 > part 2 > ")
    assert counts(one(read_mail(mail(TEXT, attachment(inner, "forwarded.eml", "application/octet-stream"))))) == [3, 4]
    assert counts(one(read_bytes(zipped(("forwarded.eml", inner)), "mails.zip"))) == [3, 4]


def test_Q8_mails_inside_mails_end_at_the_bound() -> None:
    raw = mail(TEXT, attachment(gz(DATA)), boundary="b0")
    for level in range(1, 8):
        raw = mail(TEXT, b"Content-Type: message/rfc822\r\n\r\n" + raw, boundary=f"b{level}")
    reading = read_mail(raw)
    assert reading.items == ()
    assert [p.reason for p in reading.problems] == ["nesting"]
    assert "nesting = 5" in reading.problems[0].detail


def test_Q8_an_outlook_file_is_named() -> None:
    reading = mailed(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), name="r.msg", kind="application/vnd.ms-outlook")
    assert [p.reason for p in reading.problems] == ["outlook_msg"]


def test_Q9_names_in_pieces_and_words() -> None:
    body = base64.encodebytes(gz(DATA))
    rfc2231 = (
        b"Content-Type: application/octet-stream\r\nContent-Disposition: attachment;\r\n"
        b' filename*0="amazonses.com!a-very";\r\n'
        b' filename*1="-long.example!1!2.xml.gz"\r\nContent-Transfer-Encoding: base64\r\n\r\n' + body
    )
    found = read_mail(mail(TEXT, rfc2231))
    assert counts(one(found)) == [3, 4]
    assert found.items[0].part.name == "amazonses.com!a-very-long.example!1!2.xml.gz"
    for name in ("=?utf-8?B?YS54bWwuZ3o=?=", "[a] !b! [c].xml.gz"):
        assert counts(one(mailed(gz(DATA), name=name))) == [3, 4]


@pytest.mark.parametrize("name", ["", "_var_db_opendmarc_example.com.xml.gz", "/var/db/opendmarc/x.xml"])
def test_Q10_no_name_or_a_path(name: str) -> None:
    assert counts(one(mailed(gz(DATA), name=name))) == [3, 4]


@pytest.mark.parametrize("name", ["!example.com!1!2.xml", "example.com!r.example!2!1!uid.xml.gz", "report"])
def test_Q11_names_in_any_order(name: str) -> None:
    assert counts(one(mailed(gz(DATA), name=name))) == [3, 4]


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\..\\x", "a" * 5000, "x\x00y.xml.gz"])
def test_Q12_a_hostile_name_is_only_a_label(name: str) -> None:
    for reading in (mailed(gz(DATA), name=name), mailed(zipped((name.replace("\0", "") or "x", DATA)), name="r.zip")):
        assert counts(one(reading)) == [3, 4]
        where = reading.items[0].part.where
        assert not any(c in where for c in "/\\\0\r\n")
        assert len(where) < 500


def test_Q13_equal_names_with_other_content_are_two_reports() -> None:
    reading = read_mail(mail(attachment(gz(xml(record(3)))), attachment(gz(xml(record(4))))))
    assert reading.items[0].part.name == reading.items[1].part.name
    assert reading.items[0].digest != reading.items[1].digest


@pytest.mark.parametrize("junk", [b"\r\n", b"\n\n", b"\0" * 512, b"--junk--"])
def test_Q14_junk_after_the_gzip_data(junk: bytes) -> None:
    found = one(mailed(gz(DATA) + junk))
    assert (counts(found), codes(found)) == ([3, 4], {"gzip_trailing"})


def test_Q15_truncated_and_damaged_gzip_are_named() -> None:
    good = gz(DATA)
    assert refused(good[:-9], "a.gz") == "gzip_truncated"
    assert refused(good[:15], "a.gz") == "gzip_truncated"
    assert refused(good[:-8] + bytes([good[-8] ^ 1]) + good[-7:], "a.gz") == "gzip_corrupt"


@pytest.mark.parametrize("name", ["a.zip", "a.txt", "a.xml.gz", "a.json", "a"])
def test_Q16_the_name_decides_nothing(name: str) -> None:
    for data in (DATA, gz(DATA), zipped(("a.txt", DATA))):
        assert counts(one(read_bytes(data, name))) == [3, 4]
        assert counts(one(mailed(data, name=name))) == [3, 4]


def test_Q17_base64_with_stray_characters_and_binary() -> None:
    lines = base64.encodebytes(gz(DATA)).splitlines()
    body = b"!\r\n".join(lines) + b"\r\n \r\n"
    head = b'Content-Type: application/gzip; name="a.gz"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    assert counts(one(read_mail(mail(TEXT, head + body)))) == [3, 4]
    assert counts(one(mailed(gz(DATA), encoding="binary"))) == [3, 4]
    assert counts(one(mailed(DATA, name="a.xml", kind="text/xml", encoding="8bit"))) == [3, 4]


def test_Q18_the_payload_unused_is_named() -> None:
    reading = mailed(gz(b"unused"))
    assert reading.items == ()
    assert [(p.reason, "unused" in p.detail) for p in reading.problems] == [("not_xml", True)]


def _lying(data: bytes, size: int) -> bytes:
    """The archive with another uncompressed size in both headers."""
    out = bytearray(data)
    struct.pack_into("<L", out, 22, size)
    struct.pack_into("<L", out, data.index(b"PK\x01\x02") + 24, size)
    return bytes(out)


def test_Q19_zip_encrypted_streamed_and_lying() -> None:
    good = zipped(("a.xml", DATA))
    locked = bytearray(good)
    locked[6] |= 1
    locked[good.index(b"PK\x01\x02") + 8] |= 1
    assert refused(bytes(locked), "a.zip") == "zip_encrypted"
    assert counts(one(read_bytes(_lying(good, 5), "a.zip"))) == [3, 4]
    assert counts(one(read_bytes(_lying(good, 2**32 - 2), "a.zip"))) == [3, 4]
    streamed = bytearray(good)
    struct.pack_into("<HHHLLL", streamed, 6, 8, 8, 0, 0, 0, 0)
    streamed[6:10] = b"\x08\x00\x08\x00"
    assert counts(one(read_bytes(bytes(streamed), "a.zip"))) == [3, 4]


def test_Q19_a_damaged_member_is_named_and_its_neighbours_read() -> None:
    good = zipped(("a.xml", DATA), ("b.xml", xml(record(5))), ("c.xml", xml(record(6))))
    start = good.index(b"b.xml") + 5
    broken = good[: start + 9] + b"\xff\xff\xff" + good[start + 12 :]
    reading = read_bytes(broken, "r.zip")
    assert [counts(item) for item in reading.items] == [[3, 4], [6]]
    assert [(p.reason, p.where) for p in reading.problems] == [("zip_corrupt", "r.zip > b.xml")]
    reading = read_bytes(good[: good.index(b"PK\x01\x02")], "cut.zip")
    assert [counts(item) for item in reading.items] == [[3, 4], [5], [6]]
    assert [p.reason for p in reading.problems] == ["zip_corrupt"]


def test_Q19_other_compressions_and_an_empty_archive_are_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.xml", DATA)
    assert refused(path.read_bytes(), "a.zip") == "zip_method"
    assert refused(zipped(), "a.zip") == "zip_empty"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.xml", DATA)
    assert counts(one(read_bytes(path.read_bytes(), "a.zip"))) == [3, 4]


def test_Q20_wrapped_by_a_list_with_footers() -> None:
    inner = (
        b'Content-Type: multipart/mixed; boundary="in"\r\n\r\n--in\r\n' + TEXT + b"\r\n--in\r\n" + attachment(gz(DATA))
    )
    footer = b"Content-Type: text/plain\r\n\r\n_____\r\nList footer"
    assert counts(one(read_mail(mail(inner + b"\r\n--in--\r\n", footer)))) == [3, 4]


def test_Q21_a_mail_without_a_report_says_what_it_holds() -> None:
    picture = attachment(b"\x89PNG\r\n\x1a\n", "logo.png", "image/png")
    reading = read_mail(mail(TEXT, picture, subject="Cron"))
    assert reading.items == ()
    (problem,) = reading.problems
    assert (problem.reason, problem.where) == ("no_report", "mail")
    assert "text/plain, image/png" in problem.detail
    assert [p.reason for p in read_mail(b"").problems] == ["no_report"]


def test_Q22_the_same_report_twice_has_one_digest() -> None:
    first, second = mailed(gz(DATA)).items[0], mailed(zipped(("x.xml", DATA))).items[0]
    assert first.report == second.report.__class__(**{**_fields(second.report), "warnings": first.report.warnings})
    assert first.digest == second.digest == hashlib.sha256(DATA).hexdigest()


def _fields(report: object) -> dict[str, object]:
    return {name: getattr(report, name) for name in report.__slots__}  # type: ignore[attr-defined]


def test_Q23_one_report_id_with_other_content_has_another_digest() -> None:
    first, second = mailed(gz(xml(record(3)))).items[0], mailed(gz(xml(record(4)))).items[0]
    assert first.report.report_id == second.report.report_id == "r-1"  # type: ignore[union-attr]
    assert first.digest != second.digest


def test_Q24_one_report_id_with_other_dates_is_kept_apart() -> None:
    later = DATA.replace(b"1700000000", b"1700086400").replace(b"1700086399", b"1700172799")
    first, second = one(mailed(gz(DATA))), one(mailed(gz(later)))
    assert (first.report_id, first.begin, second.report_id, second.begin) == ("r-1", 1700000000, "r-1", 1700086400)


def test_Q25_one_report_id_from_two_reporters_is_kept_apart() -> None:
    first, second = one(mailed(gz(DATA))), one(mailed(gz(DATA.replace(b"reporter.example", b"other.example"))))
    assert (first.report_id, first.org_name) == ("r-1", "reporter.example")
    assert (second.report_id, second.org_name) == ("r-1", "other.example")


def test_Q26_a_report_about_another_domain_says_so() -> None:
    assert (
        one(mailed(gz(DATA.replace(b"<domain>example.com", b"<domain>Other.Example.")))).policy.domain
        == "other.example"
    )


def test_Q27_authentication_of_the_mail_decides_nothing_here() -> None:
    raw = b"Authentication-Results: mx; dmarc=fail\r\n" + mail(TEXT, attachment(gz(DATA)))
    assert counts(one(read_mail(raw))) == [3, 4]


def test_an_mbox_line_before_the_mail() -> None:
    """A mail saved by a mailbox program is a mail."""
    assert counts(one(read_mail(b"From a@b Tue Apr 30 02:09:16 2019\n" + mail(TEXT, attachment(gz(DATA)))))) == [3, 4]


def test_an_attachment_that_claims_a_report_and_is_none_is_named() -> None:
    """A broken report.xml.gz is never passed over; a picture is."""
    reading = mailed(b"garbage", name="r.xml.gz")
    assert [(p.reason, p.where) for p in reading.problems] == [("not_xml", "part 2 > r.xml.gz")]
    assert [p.reason for p in mailed(b"", name="r.xml.gz").problems] == ["empty"]
    assert [p.reason for p in mailed(gz(b"<html><body>x</body></html>")).problems] == ["other_xml"]


def test_the_bound_of_members_is_named() -> None:
    reading = read_bytes(zipped(*((f"{n}.xml", xml(record(1))) for n in range(12))), "r.zip", Bounds(members=10))
    assert len(reading.items) == 10
    assert [p.reason for p in reading.problems] == ["members"]
    assert "members = 10" in reading.problems[0].detail
    raw = mail(*[attachment(gz(DATA))] * 12)
    reading = read_mail(raw, Bounds(members=10))
    assert len(reading.items) == 10
    assert [p.reason for p in reading.problems] == ["members"]


def test_the_bound_of_nesting_is_named() -> None:
    data = DATA
    for _ in range(6):
        data = gz(data)
    assert refused(data, "a.gz") == "nesting"
    assert counts(one(read_bytes(gz(gz(gz(gz(gz(DATA))))), "a.gz"))) == [3, 4]


def test_the_bound_of_inflated_bytes_is_named() -> None:
    bounds = Bounds(inflated_bytes=len(DATA) + 100)
    assert counts(one(read_bytes(gz(DATA), "a.gz", bounds))) == [3, 4]
    bounds = Bounds(inflated_bytes=len(DATA) - 1)
    reading = read_bytes(gz(DATA), "a.gz", bounds)
    assert [p.reason for p in reading.problems] == ["inflated_bytes"]
    assert f"inflated_bytes = {len(DATA) - 1}" in reading.problems[0].detail
    assert [p.reason for p in read_bytes(zipped(("a.xml", DATA)), "a.zip", bounds).problems] == ["inflated_bytes"]


def test_the_bound_of_a_mail_is_named() -> None:
    raw = mail(TEXT, attachment(gz(DATA)))
    reading = read_mail(raw, Bounds(mail_bytes=len(raw) - 1))
    assert [p.reason for p in reading.problems] == ["mail_bytes"]
