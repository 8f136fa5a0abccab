"""A redacted mail says what its failure report says, without the message; other reports in it stay as they are.

Twice is as good as once, for every mail, so that a mail that is read again stays the same.
"""

from __future__ import annotations

import base64
import gzip
import io
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmarcworks.reports import mail as mails_
from dmarcworks.reports.model import AggregateReport, FailureReport
from dmarcworks.reports.read import read_mail
from dmarcworks.reports.redact import redact
from tests.support.failures import SECRET, arf, text_form
from tests.support.mails import document, mail, report_mail

MODES = ("headers", "drop")


def contents(raw: bytes, depth: int = 0) -> bytes:
    """Everything in a mail with each transfer encoding and archive undone."""
    found = [raw]
    for part in mails_.leaves(mails_.parts(raw)):
        content = part.read()
        found.append(content)
        if part.message and depth < 5:
            found.append(contents(content, depth + 1))
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                found += [contents(archive.read(name), depth + 1) for name in archive.namelist()]
        elif content.startswith(b"\x1f\x8b"):
            found.append(contents(gzip.decompress(content), depth + 1))
        elif part.name.endswith(".eml") and depth < 5:
            found.append(contents(content, depth + 1))
    return b"\n".join(found)


def cut(raw: bytes, mode: str) -> bytes:
    """The redacted form; the same again when it is done again."""
    done = redact(raw, mode)
    assert done is not None
    assert redact(done, mode) == done
    return done


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return packed.getvalue()


def test_the_headers_form() -> None:
    """The whole result, byte for byte."""
    assert cut(arf(3, body=b"line 1\r\n\r\nline 2"), "headers") == (
        b"From: dmarc@mail.example\r\nTo: ruf@reports.example.net\r\nSubject: FW: private subject 3\r\n"
        b"X-Redacted: headers\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type=feedback-report;\r\n boundary="=_cut0-0="\r\n\r\n'
        b"--=_cut0-0=\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\nA failure report.\r\n"
        b"--=_cut0-0=\r\nContent-Type: message/feedback-report\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        b"Feedback-Type: auth-failure\r\nVersion: 1\r\nUser-Agent: Lua/1.0\r\nAuth-Failure: dmarc\r\n"
        b"Delivery-Result: reject\r\nIdentity-Alignment: none\r\nArrival-Date: Tue, 22 Sep 2026 12:00:00 +0000\r\n"
        b"Reporting-MTA: dns; mx.mail.example\r\nSource-IP: 192.0.2.1\r\nReported-Domain: example.com\r\n"
        b"Original-Rcpt-To: <someone@mail.example>\r\n"
        b"--=_cut0-0=\r\nContent-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        b"From: Boss <boss@example.com>\r\nSubject: private subject 3\r\nMessage-ID: <3@x.example>\r\n"
        b"--=_cut0-0=--\r\n"
    )


@pytest.mark.parametrize("mode", MODES)
def test_what_the_report_says_stays(mode: str) -> None:
    """All but the message is read from the redacted mail as from the first."""
    (before,), (after,) = read_mail(arf()).items, read_mail(cut(arf(), mode)).items
    assert isinstance(before.report, FailureReport)
    assert isinstance(after.report, FailureReport)
    gone = {"dkim_canonicalized_body", "original_body"}
    if mode == "drop":
        gone |= {"original_headers", "header_from", "message_id", "subject"}
    for name in FailureReport.__slots__:
        if name not in gone:
            assert getattr(after.report, name) == getattr(before.report, name), name
    assert after.part.where == before.part.where


BASE64 = b"Content-Transfer-Encoding: base64\r\n\r\n"
ENCODED = arf().replace(
    b"Content-Type: message/rfc822\r\n\r\n", b"Content-Type: message/rfc822\r\n" + BASE64
).replace(
    b"From: Boss",
    base64.b64encode(b"From: Boss <boss@example.com>\r\nSubject: x\r\n\r\n" + SECRET) + b"\r\n--=_r--\r\nFrom: Boss",
)  # fmt: skip
ATTACHED = b"--=_r\r\nContent-Type: %s\r\n\r\n" + SECRET + b"\r\n"
PLACES = {
    "encoded": ENCODED,
    "attached mail": mail(("inner.eml", arf())),
    "gzip": mail(("inner.eml.gz", gzip.compress(arf(), mtime=0))),
    "zip": mail(("inner.zip", zipped(a_eml=arf(), b_eml=text_form()))),
    "forwarded": b'From: x@y\r\nContent-Type: multipart/mixed; boundary="=_f"\r\n\r\n--=_f\r\n'
    b"Content-Type: message/rfc822\r\n\r\n" + arf() + b"\r\n--=_f--\r\n",
    "html beside": arf(extra=ATTACHED % b"text/html"),
    "text after": arf(extra=ATTACHED % b"text/plain"),
    "picture beside": arf(extra=ATTACHED % b"image/png"),
    "mail beside": arf(extra=b"--=_r\r\nContent-Type: application/octet-stream; name=original.eml\r\n\r\n"
                       b"From: a@b.example\r\nSubject: x\r\n\r\n" + SECRET + b"\r\n"),
    "two originals": arf(extra=b"--=_r\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@b\r\n\r\n" + SECRET + b"\r\n"),
    "CR only": arf(body=b"\r" + SECRET).replace(b"<1@x.example>\r\n\r\n", b"<1@x.example>\r\r"),
    "preamble": arf().replace(b"--=_r\r\n", SECRET + b"\r\n--=_r\r\n", 1) + SECRET,
    "text without its line": text_form().replace(
        b"------ This is a copy of the message, including all the headers.", b""
    ),
    "text with CR": text_form().replace(b"\r\n", b"\r").replace(b"\r", b"\r\n", 4),
    "bare LF": arf().replace(b"\r\n", b"\n"),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("place", PLACES)
def test_the_message_is_nowhere(place: str, mode: str) -> None:
    """However the message is wrapped: its body is in nothing of the redacted mail, and the report is read."""
    raw = PLACES[place]
    assert SECRET in contents(raw)
    done = cut(raw, mode)
    assert SECRET not in contents(done)
    kinds = [item.report.kind for item in read_mail(done).items]
    assert kinds == [item.report.kind for item in read_mail(raw).items]
    assert "failure" in kinds


@pytest.mark.parametrize("mode", MODES)
def test_other_reports_stay_as_they_came(mode: str) -> None:
    """An aggregate report beside a failure report keeps its bytes; one in the same archive its document."""
    packed = gzip.compress(document("1"), mtime=0)
    extra = (
        b'--=_r\r\nContent-Type: application/gzip; name="a.xml.gz"\r\n'
        + BASE64 + base64.encodebytes(packed).replace(b"\n", b"\r\n")
    )  # fmt: skip
    items = {item.report.kind: item for item in read_mail(cut(arf(extra=extra), mode)).items}
    assert items["aggregate"].part.content == packed
    both = mail(("both.zip", zipped(a_xml=document("1"), b_eml=arf())))
    before = next(item for item in read_mail(both).items if isinstance(item.report, AggregateReport))
    after = next(item for item in read_mail(cut(both, mode)).items if isinstance(item.report, AggregateReport))
    assert (after.digest, after.report) == (before.digest, before.report)


@pytest.mark.parametrize("mode", MODES)
def test_a_mail_without_a_failure_report_is_itself(mode: str) -> None:
    for raw in (report_mail(), b"", b"no mail", mail(("x.eml", report_mail()))):
        assert redact(raw, mode) is raw


@pytest.mark.parametrize("mode", MODES)
def test_rather_nothing_than_a_loss(mode: str) -> None:
    """An archive that holds a failure report beside something broken is not built anew: a person decides."""
    whole = zipped(a_eml=arf(), b_xml=gzip.compress(document("1"))[:-20])
    assert redact(mail(("both.zip", whole)), mode) is None


def test_dropped_from_either_form_is_the_same_report() -> None:
    """What identifies a report when all is dropped does not hang on whether the body was cut before."""
    for raw in (arf(), text_form()):
        (at_once,), (after,) = read_mail(cut(raw, "drop")).items, read_mail(cut(cut(raw, "headers"), "drop")).items
        assert at_once.digest == after.digest
    assert read_mail(cut(arf(1), "drop")).items[0].digest != read_mail(cut(arf(2), "drop")).items[0].digest


PIECES = st.sampled_from(
    [
     b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"--=_r\r\n", b"--=_r--\r\n", b"--=_cut0-0=\r\n", b"--=_cut0-0=--",
     b" ", b"\t x",
     b"Content-Type: text/plain\r\n", b"Content-Type: message/rfc822\r\n\r\n", b"Content-Transfer-Encoding: base64\r\n",
     b"Content-Disposition: attachment; filename=a.eml\r\n", b"From: a@b\r\n", b"Subject:",
     b"\xff\xfe", b"=?utf-8?q?x?=",
     b"Feedback-Type: auth-failure\r\n", b"Content-Type: message/feedback-report\r\n\r\n", b"\0", b"--=_cut0-0=: x\r\n"]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 2000), PIECES), max_size=6), st.sampled_from(MODES))
def test_any_mail_is_redacted_once_or_not_at_all(changes: list[tuple[int, bytes]], mode: str) -> None:
    """With pieces put in anywhere: as many reports as before, no body, and the same when it is done again."""
    raw = arf()
    for place, piece in changes:
        raw = raw[: place % len(raw)] + piece + raw[place % len(raw) :]
    done = redact(raw, mode)
    if done is None or done is raw:
        return
    assert redact(done, mode) == done
    before, after = read_mail(raw), read_mail(done)
    assert [item.report.kind for item in after.items] == [item.report.kind for item in before.items]
    assert all(item.report.original_body is None for item in after.items if isinstance(item.report, FailureReport))
