"""Promise: mail that we write is well-formed MIME, and nobody's text adds a line or a field to it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import SMTP
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.catalogue.destinations import Destination
from dmarcworks.ingest.accept import wrapped
from dmarcworks.ingest.own_mail import Address, new_mail, one_line
from dmarcworks.reports.read import read_mail
from dmarcworks.routing.delivery.verification import link_sender

NOW = datetime(2026, 11, 29, 8, 30, tzinfo=UTC)


def test_fields_are_encoded_and_folded() -> None:
    """Encoded words for what is not ASCII, lines of at most 78 that end with CRLF, and a reader has the text again."""
    mail = new_mail(Address("Größe", "a", "b.example"), "c@d.example", "Bücher " * 12, NOW)
    mail.set_content("Grüße\n")
    raw = mail.as_bytes()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert body == "Grüße\r\n".encode()
    assert head.isascii()
    assert max(len(line) for line in head.split(b"\r\n")) <= 78
    assert re.search(rb"(?<!\r)\n", raw) is None
    read = message_from_bytes(raw, policy=SMTP)
    assert [(name, str(value)) for name, value in read.items()] == [
        ("From", "Größe <a@b.example>"),
        ("To", "c@d.example"),
        ("Subject", ("Bücher " * 12).strip()),
        ("Date", "Sun, 29 Nov 2026 08:30:00 +0000"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'text/plain; charset="utf-8"'),
        ("Content-Transfer-Encoding", "8bit"),
    ]


@pytest.mark.parametrize(
    ("to", "field"),
    [
        ("a@b.example\r\nBcc: c@d.example", "<a@b.exampleBccc@d.example>"),
        ("a@b.example>, <c@d.example", "<a@b.examplec@d.example>"),
        ('"a b"@b.example', "<ab@b.example>"),
        ("a\ud800\u2028@b.example", "<a@b.example>"),
        ("", "<>"),
    ],
)
def test_a_recipient_stays_one_address(to: str, field: str) -> None:
    """Whatever a tenant wrote, the mail names one recipient."""
    assert new_mail(None, to, "x", NOW).as_bytes().split(b"\r\n")[1] == f"To: {field}".encode()
    assert str(new_mail(None, to, "x", NOW)["From"]) == "<>"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\nBcc: b@c.example", "a Bcc: b@c.example"),
        ("a\0\x0b\x85\u2028b", "a b"),
        ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
        (" a \t b ", "a b"),
        ("x" * 1000, "x" * 900),
    ],
)
def test_text_is_one_line(text: str, line: str) -> None:
    """Nothing that ends a line, and nothing that cannot be encoded."""
    assert one_line(text) == line


@given(st.text(max_size=200), st.text(max_size=200))
def test_what_was_written_is_what_is_read(to: str, subject: str) -> None:
    """A reader has the fields that were written, and no other."""
    mail = new_mail(None, to, subject, NOW)
    mail.set_content("body\n")
    read = message_from_bytes(mail.as_bytes(), policy=SMTP)
    assert read.keys() == [
        "From",
        "To",
        "Subject",
        "Date",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    ]
    assert read.get_payload() == "body\r\n"


def test_a_wrapped_file_is_an_attachment_with_its_name() -> None:
    """Exactly these bytes, and our own reader finds the file in it."""
    mail = wrapped(b"<feedback/>", "../a b.xml", "x@reports.example", NOW)
    assert mail == (
        b"From: <>\r\nTo: <x@reports.example>\r\nSubject: Report file\r\nDate: Sun, 29 Nov 2026 08:30:00 +0000\r\n"
        b'MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name="a_b.xml"\r\n'
        b'Content-Disposition: attachment; filename="a_b.xml"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        b"PGZlZWRiYWNrLz4=\r\n"
    )
    assert [problem.where for problem in read_mail(mail).problems] == ["part 1 > a_b.xml"]


async def test_the_verification_mail() -> None:
    """One part of text with the link on a line of its own, an id of ours, and no answer wanted."""
    sent: list[bytes] = []

    async def send(account: str, to: str, raw: bytes) -> None:
        sent.append(raw)

    router = cast("Any", SimpleNamespace(outgoing_mail=SimpleNamespace(send=send), hostname="here.example"))
    send_link = link_sender(router, "https://dmarc.here.example")
    assert send_link is not None
    await send_link(Destination("1", "a", "person@else.example", None, NOW, NOW), "s3cret")
    mail = message_from_bytes(sent[0], policy=SMTP)
    assert (mail["From"], mail["To"], mail["Subject"], mail["Auto-Submitted"]) == (
        "dmarcworks <postmaster@here.example>",
        "person@else.example",
        "May mail be forwarded to you?",
        "auto-generated",
    )
    assert mail["Message-ID"].startswith("<")
    assert mail["Message-ID"].endswith("@here.example>")
    assert (mail.get_content_type(), mail["Content-Transfer-Encoding"]) == ("text/plain", "7bit")
    assert mail.get_content().splitlines() == [
        "Somebody who runs a domain at here.example wants to forward its mail to person@else.example.",
        "If that is what you want, open this page within a day and press the button:",
        "",
        "  https://dmarc.here.example/routing/verify/s3cret",
        "",
        "If not, do nothing: no mail is forwarded then.",
    ]
