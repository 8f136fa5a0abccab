"""QUIRKS §10 T1: every header of the message that a failure report quotes is read, and nothing is cut where the reader
is not sure: the original is kept and a problem says so.
"""

from __future__ import annotations

import pytest

from dmarcworks.ingest.redaction import private
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.copies import quoted_copy
from dmarcworks.reports.model import FailureReport
from dmarcworks.reports.read import read_mail
from dmarcworks.reports.redact import redact
from tests.support.cases import CASES, case
from tests.support.failures import SECRET
from tests.support.report_samples import one_failure

SAID = (
    b"A message claiming to be from you has failed the published DMARC\r\npolicy for your domain.\r\n\r\n"
    b"  Sender Domain: example.com\r\n  Sender IP Address: 192.0.2.66\r\n"
    b"  Received Date: Sun, 01 Jun 2025 10:00:00 +0200\r\n  SPF Alignment: no\r\n  DKIM Alignment: no\r\n"
    b"  DMARC Results: Reject\r\n\r\n"
)
QUOTED = (
    b"Received: from a (b [192.0.2.66]) by c with ESMTP;\r\n Sun, 01 Jun 2025 10:00:00 +0200\r\n"
    b'From: "Chief" <ceo@example.com>\r\nTo: <u@r.example>\r\nSubject: Invoice\r\nMessage-ID: <z@evil.example>\r\n'
)
RECEIVED = b"copy of the headers that were received before the error"
LINES = {
    "one line": b"------ This is a " + RECEIVED + b" was detected.\r\n",
    "two lines": b"------ This is a " + RECEIVED + b"\r\n       was detected.\r\n",
    "two lines, not indented": b"------ This is a " + RECEIVED + b"\r\nwas detected.\r\n",
    "within the words": b"------ This is a copy of the\r\n       headers that were received before the error.\r\n",
    "three lines": b"------ This is a copy of\r\n the headers that were received\r\n before the error.\r\n",
    "hyphens behind": b"--- This is a " + RECEIVED + b"\r\nwas detected. ------\r\n",
    "without hyphens": b"This is a " + RECEIVED + b"\r\nwas detected.\r\n",
    "the message": b"------ This is a copy of the message, including all\r\n       the headers. ------\r\n",
    "body length": b"------ The body of the message is 5000 characters long; this is a copy of the headers\r\n",
    "underlined": b"This is a copy of the headers that were received:\r\n------------------------\r\n",
    "none": b"",
}


def failure(line: bytes, between: bytes = b"\r\n", quoted: bytes = QUOTED, body: bytes = b"") -> bytes:
    """A failure report as text."""
    return (
        b"From: exim@mail.example\r\nSubject: DMARC Forensic Report\r\nContent-Type: text/plain\r\n\r\n"
        + SAID + line + between + quoted + (b"\r\n" + body if body else b"")
    )  # fmt: skip


def test_T1_the_case() -> None:
    report = one_failure(case("ruf-text-form-two-line-separator.eml"))
    assert (report.header_from, report.subject, report.message_id) == ("example.com", "Invoice", "<z@evil.example>")
    assert (report.original_headers or "").startswith("Received: from a")
    assert report.original_body is None
    raw = (CASES / "ruf-text-form-two-line-separator.eml").read_bytes()
    kept = redact(raw, "headers")
    assert kept is not None
    assert all(field in kept for field in (b"Received: from a", b"Subject: Invoice", b"Message-ID: <z@evil.example>"))


@pytest.mark.parametrize("ends", [b"\r\n", b"\n"])
@pytest.mark.parametrize("between", [b"\r\n", b"\r\n\r\n\r\n", b""])
@pytest.mark.parametrize("line", LINES)
def test_T1_all_quoted_headers_are_read_and_kept(line: str, between: bytes, ends: bytes) -> None:
    raw = failure(LINES[line], between, body=SECRET + b"\r\n").replace(b"\r\n", ends)
    report = one_failure(read_mail(raw))
    headers = QUOTED.decode().replace("\r\n", "\n").strip()
    assert (report.original_headers or "").strip() == headers
    assert (report.original_body or "").strip() == SECRET.decode()
    assert (report.source_ip, report.reported_domain, report.delivery_result) == ("192.0.2.66", "example.com", "reject")
    kept = redact(raw, "headers")
    assert kept is not None
    assert redact(kept, "headers") == kept
    assert SECRET not in kept
    again = one_failure(read_mail(kept))
    assert (again.original_headers or "").strip() == headers
    dropped = redact(raw, "drop")
    assert dropped is not None
    assert b"Invoice" not in dropped
    assert SECRET not in dropped


@pytest.mark.parametrize(
    "quoted",
    [
        b"Received: from a\r\nno field at all\r\nSubject: Invoice\r\n",
        b"Received: from a\r\n=?broken\r\nFrom: ceo@example.com\r\n\r\nHello\r\n",
        b"Hello, this is the body\r\n",
    ],
)
@pytest.mark.parametrize("mode", ["headers", "drop"])
def test_T1_where_the_headers_end_is_unclear_nothing_is_cut(quoted: bytes, mode: str) -> None:
    raw = failure(LINES["one line"], quoted=quoted)
    reading = read_mail(raw)
    assert redact(raw, mode) is None
    kept, instead = private(raw, reading, mode, Bounds())
    assert instead is None
    assert [problem.reason for problem in kept.problems] == ["failure_not_redacted"]


@pytest.mark.parametrize("mode", ["headers", "drop"])
def test_T1_text_behind_the_reports_own_fields_that_announces_nothing_is_kept(mode: str) -> None:
    raw = failure(b"", quoted=b"What stands here may be the message or not.\r\n")
    assert redact(raw, mode) is None
    assert any(isinstance(item.report, FailureReport) for item in read_mail(raw).items)


@pytest.mark.parametrize(
    "kind",
    [b"message/rfc822", b"text/rfc822-headers", b"message/global", b"message/global-headers", b"message/partial"],
)
def test_T1_a_quoted_part_whose_headers_are_broken_is_kept(kind: bytes) -> None:
    raw = (
        b'From: a@mail.example\r\nContent-Type: multipart/report; report-type=feedback-report; boundary="=_r"\r\n\r\n'
        b"--=_r\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: auth-failure\r\nVersion: 1\r\n"
        b"Auth-Failure: dmarc\r\nSource-IP: 192.0.2.1\r\n\r\n--=_r\r\nContent-Type: " + kind + b"\r\n\r\n"
        b"Received: from a\r\nno field at all\r\nSubject: Invoice\r\n\r\n--=_r--\r\n"
    )
    assert redact(raw, "headers") is None
    # A part of its own can be dropped whole, which the setting asks for.
    assert redact(raw, "drop") is not None


def test_T1_a_subject_with_these_words_announces_no_copy() -> None:
    assert quoted_copy("Hello\n\nSubject: a copy of the message\nTo: b\n") is None


HEADERS = QUOTED.decode().replace("\r\n", "\n").strip()
GERMAN = b"------ Dies ist eine Kopie der Kopfzeilen, die vor dem Fehler\r\n    empfangen wurden.\r\n"
ANNOUNCED = {
    "in German": failure(GERMAN),
    "by Outlook": failure(b"-----Original Message-----\r\n"),
    "by a forwarding program": failure(b"---------- Forwarded message ---------\r\n"),
    "in other words": failure(b"------ What the rejected message began with ------\r\n"),
}
MOVED = {
    "quoted": failure(LINES["one line"], quoted=b"> " + QUOTED[:-2].replace(b"\r\n", b"\r\n> ") + b"\r\n"),
    "indented": failure(LINES["one line"], quoted=b"    " + QUOTED[:-2].replace(b"\r\n", b"\r\n    ") + b"\r\n"),
}


@pytest.mark.parametrize("raw", [*ANNOUNCED.values(), *MOVED.values()], ids=[*ANNOUNCED, *MOVED])
def test_T1_a_copy_is_found_behind_unknown_words_and_quoted(raw: bytes) -> None:
    """Known by its header fields; quoting and indentation are not part of them."""
    report = one_failure(read_mail(raw))
    assert (report.original_headers or "").strip() == HEADERS
    assert (report.header_from, report.subject) == ("example.com", "Invoice")
    kept = redact(raw, "headers")
    assert kept is not None
    assert redact(kept, "headers") == kept
    assert (one_failure(read_mail(kept)).original_headers or "").strip() == HEADERS
    dropped = redact(raw, "drop")
    assert dropped is not None
    assert b"Invoice" not in dropped


def test_T1_lines_that_end_with_cr_only() -> None:
    raw = failure(LINES["two lines"], body=SECRET)
    at = raw.index(SAID)
    bare = raw[:at] + raw[at:].replace(b"\r\n", b"\r")
    assert (one_failure(read_mail(bare)).original_headers or "").strip() == HEADERS


def parts(*more: bytes, kind: bytes = b"mixed") -> bytes:
    """A failure report as text, with other parts beside it."""
    boundary = b"\r\n--=_q\r\n"
    said = failure(LINES["two lines"]).partition(b"Subject: DMARC Forensic Report\r\n")[2] if not more[0] else more[0]
    body = boundary.join([b"", said, *more[1:]])
    return (
        b"From: exim@mail.example\r\nSubject: DMARC Forensic Report\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/' + kind + b'; boundary="=_q"\r\n' + body + b"\r\n--=_q--\r\n"
    )  # fmt: skip


def test_T1_an_html_form_next_to_the_text_is_removed() -> None:
    """The text says it all; the HTML, which would hold the message once more, is removed."""
    html = b"Content-Type: text/html\r\n\r\n<pre>" + SAID + LINES["two lines"] + QUOTED + SECRET + b"</pre>"
    raw = parts(b"", html, kind=b"alternative")
    kept = redact(raw, "headers")
    assert kept is not None
    assert SECRET not in kept
    assert (one_failure(read_mail(kept)).original_headers or "").strip() == HEADERS


@pytest.mark.parametrize("kind", [b"text/plain; name=headers.txt", b"application/octet-stream; name=headers.txt"])
def test_T1_headers_in_a_text_part_of_their_own_are_read_and_kept(kind: bytes) -> None:
    """Under a type that does not state what they are; what follows the headers is removed."""
    said = b"Content-Type: text/plain\r\n\r\n" + SAID + LINES["two lines"]
    raw = parts(said, b"Content-Type: " + kind + b"\r\n\r\n" + QUOTED + b"\r\n" + SECRET)
    report = one_failure(read_mail(raw))
    assert (report.original_headers or "").strip() == HEADERS
    kept = redact(raw, "headers")
    assert kept is not None
    assert SECRET not in kept
    assert (one_failure(read_mail(kept)).original_headers or "").strip() == HEADERS
    dropped = redact(raw, "drop")
    assert dropped is not None
    assert b"Invoice" not in dropped


@pytest.mark.parametrize("mode", ["headers", "drop"])
def test_T1_an_empty_line_within_the_headers_is_unclear(mode: str) -> None:
    """Behind it is a field that every message has and these headers lack: body or headers, nothing is cut."""
    raw = failure(LINES["one line"], quoted=QUOTED.replace(b"To:", b"\r\nTo:"))
    assert redact(raw, mode) is None
    clear = failure(LINES["one line"], quoted=QUOTED + b"\r\nSubject: in the body\r\n" + SECRET)
    kept = redact(clear, "headers")
    assert kept is not None
    assert SECRET not in kept


@pytest.mark.parametrize("kind", [b"message/global", b"message/global-headers", b"message/partial", b"text/plain"])
def test_T1_the_message_in_an_arf_under_other_types(kind: bytes) -> None:
    """RFC 6533 has types of its own for internationalized mail: the headers are read and kept, the body is removed."""
    raw = parts(
        b"Content-Type: text/plain\r\n\r\nA failure report.",
        b"Content-Type: message/feedback-report\r\n\r\nFeedback-Type: auth-failure\r\nAuth-Failure: dmarc\r\n"
        b"Source-IP: 192.0.2.1\r\nReported-Domain: example.com",
        b"Content-Type: " + kind + b"\r\n\r\n" + QUOTED + b"\r\n" + SECRET,
        kind=b"report; report-type=feedback-report",
    )
    assert (one_failure(read_mail(raw)).original_headers or "").strip() == HEADERS
    kept = redact(raw, "headers")
    assert kept is not None
    assert SECRET not in kept
    assert (one_failure(read_mail(kept)).original_headers or "").strip() == HEADERS
    dropped = redact(raw, "drop")
    assert dropped is not None
    assert b"Received: from a" not in dropped


def within_the_part(quoted: bytes, ends: bytes = b"\r\n", own: bytes = b"") -> bytes:
    """An ARF whose feedback-report part continues with the message itself."""
    fields = (
        b"Feedback-Type: auth-failure\r\nVersion: 1\r\nUser-Agent: X/1\r\nSource-IP: 192.0.2.66\r\n"
        b"Authentication-Results: mx.example; dmarc=fail\r\nX-Own: 1\r\n" + own + b"Reported-Domain: example.com\r\n"
        b"Auth-Failure: dmarc\r\n"
    )
    return (
        b"From: r@mx.example\r\nSubject: FW: x\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nA report.\r\n"
        b"--b\r\nContent-Type: message/feedback-report\r\n\r\n"
        + (fields + b"\r\n" + quoted).replace(b"\r\n", ends) + b"\r\n--b--\r\n"
    )  # fmt: skip


@pytest.mark.parametrize("ends", [b"\r\n", b"\n"])
def test_T1_a_copy_within_the_feedback_part_keeps_its_headers(ends: bytes) -> None:
    """Its body is removed, as that of any other copy; the report's own fields stay as they were."""
    raw = within_the_part(QUOTED + b"\r\n" + SECRET, ends)
    cut = redact(raw, "headers")
    assert cut is not None
    assert SECRET not in cut
    assert QUOTED.rstrip() in cut
    assert b"Source-IP: 192.0.2.66\r\nAuthentication-Results: mx.example; dmarc=fail\r\nX-Own: 1\r\n" in cut
    assert redact(cut, "headers") == cut
    dropped = redact(raw, "drop")
    assert dropped is not None
    assert SECRET not in dropped
    assert b"Invoice" not in dropped


def test_T1_a_copy_within_the_feedback_part_whose_headers_are_unclear_is_kept() -> None:
    """Nothing is cut, and the original is kept: a line that is no field interrupts the headers."""
    assert redact(within_the_part(QUOTED + b"no field\r\nDate: x\r\n\r\n" + SECRET), "headers") is None


def test_T1_a_second_paragraph_of_own_fields_is_no_copy() -> None:
    own = b"\r\nOriginal-Mail-From: <a@example.com>\r\n"
    cut = redact(within_the_part(b"", own=own), "headers")
    assert cut is not None
    assert b"Original-Mail-From: <a@example.com>\r\nReported-Domain: example.com" in cut
