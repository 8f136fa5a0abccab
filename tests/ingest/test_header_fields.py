"""Promise: no header field that we write ever has more lines than intended, whoever wrote its value."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmarcworks.catalogue.destinations import Destination
from dmarcworks.enrich.dkim.message import TooLargeError
from dmarcworks.enrich.dkim.tags import BrokenError
from dmarcworks.errors import UsageError
from dmarcworks.ingest.accept import wrapped
from dmarcworks.ingest.header_fields import field, header
from dmarcworks.routing.delivery.deliverer import Deliverer
from dmarcworks.routing.delivery.signing import Signer
from dmarcworks.routing.delivery.verification import link_sender
from dmarcworks.workers.message import EmailMessage, Message
from dmarcworks.workers.replying import proper

NOW = datetime(2026, 11, 29, tzinfo=UTC)
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(
            ["\r\n", "\r", "\n", "\0", "\r\n\r\n", "\n\n", "\r\nBcc: x@evil.example", "\x0b", "\x0c", "\x1c", "\x85"]
        ),
        st.sampled_from(["\u2028", "\u2029", "\udc80", "é", "\r\n ", "\t", ":", ";", "<", ">", '"', "a" * 1200]),
        st.text(max_size=8),
    ),
    max_size=8,
).map("".join)


def names(head: bytes) -> list[str]:
    """The names of a header's fields; fails when anything but whole lines is in it."""
    assert re.search(rb"\r(?!\n)|(?<!\r)\n|\0", head) is None
    assert head.endswith(b"\r\n")
    lines = head[:-2].split(b"\r\n")
    assert all(line.strip() for line in lines), "an empty line ends the header"
    assert all(len(line) <= 998 for line in lines)
    return [line.partition(b":")[0].decode() for line in lines if line[:1] not in b" \t"]


@given(HOSTILE, HOSTILE, HOSTILE)
def test_a_field_is_one_field(one: str, two: str, three: str) -> None:
    """Folded only where we fold it."""
    made = field("X-Test", one, two, three)
    assert names(made) == ["X-Test"]
    assert made.count(b"\r\n") <= 3
    assert names(header([("X-One", one), ("X-Two", two)])) == ["X-One", "X-Two"]


@given(HOSTILE)
def test_a_name_is_a_name(name: str) -> None:
    """Or it is refused."""
    try:
        made = field(name, "x")
    except UsageError:
        return
    assert names(made) == [name]


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
@settings(deadline=None)
def test_what_is_put_before_a_forwarded_mail(to: str, peer: str, helo: str, value: str) -> None:
    """X- fields of a worker, the mark of forwarding, Received."""
    deliverer = cast("Any", SimpleNamespace(_clock=NOW.timestamp, _hostname="here.example"))
    message = Message("a@b.example", to, b"Subject: x\r\n\r\nx\r\n", peer=peer, helo=helo)
    made = Deliverer._traced(deliverer, message, "1" * 32, {"X-Seen": value})
    assert made.endswith(b"Subject: x\r\n\r\nx\r\n")
    head = made.removesuffix(b"Subject: x\r\n\r\nx\r\n")
    assert names(head) == ["X-Seen", "X-Dmarcworks-Forwarded-For", "Received"]


class Unable:
    """A signature that cannot be made: what is left is the results alone."""

    def arc(self, *_: object) -> bytes:
        raise BrokenError("no key")

    def dkim(self, *_: object) -> bytes:
        raise TooLargeError("no key")


@given(HOSTILE)
@settings(deadline=None)
def test_the_results_of_a_seal(results: str) -> None:
    """What DNS and signatures say of themselves stands in Authentication-Results."""
    signer = object.__new__(Signer)
    signer._hostname, signer._signature = "here.example", cast("Any", Unable())
    made = signer.seal(b"Subject: x\r\n\r\nx\r\n", results)
    assert names(made.removesuffix(b"Subject: x\r\n\r\nx\r\n")) == ["Authentication-Results"]


@given(HOSTILE, HOSTILE)
def test_a_wrapped_report_file(name: str, to: str) -> None:
    """The file's name comes from an upload."""
    head, _, body = wrapped(b"<feedback/>", name, to, NOW).partition(b"\r\n\r\n")
    assert base64.b64decode(body) == b"<feedback/>"
    assert names(head + b"\r\n") == [
        "From",
        "To",
        "Subject",
        "Date",
        "MIME-Version",
        "Content-Type",
        "Content-Disposition",
        "Content-Transfer-Encoding",
    ]


@given(HOSTILE)
@settings(deadline=None)
async def test_the_link_of_a_destination(email: str) -> None:
    """Our own mail, to an address that a tenant wrote."""
    sent: list[bytes] = []

    async def send(account: str, to: str, raw: bytes) -> None:
        sent.append(raw)

    router = cast("Any", SimpleNamespace(outgoing_mail=SimpleNamespace(send=send), hostname="here.example"))
    send_link = link_sender(router, "https://here.example")
    assert send_link is not None
    await send_link(Destination("1", "a", email, None, NOW, NOW), "secret")
    head = sent[0].partition(b"\r\n\r\n")[0] + b"\r\n"
    assert names(head) == [
        "From",
        "To",
        "Subject",
        "Date",
        "MIME-Version",
        "Message-ID",
        "Auto-Submitted",
        "Content-Type",
        "Content-Transfer-Encoding",
    ]


@pytest.mark.parametrize("broken", [b"Subject: a\rBcc: x@evil.example", b"Subject: a\0b"])
def test_a_reply_with_a_broken_header_is_refused(broken: bytes) -> None:
    """A bare CR would become a line of its own on the way out."""
    raw = b"From: w@here.example\r\nMessage-ID: <2@here.example>\r\nIn-Reply-To: <1@b.example>\r\n" + broken
    message = Message("a@b.example", "w@here.example", b"Message-ID: <1@b.example>\r\n\r\nx\r\n")
    with pytest.raises(UsageError, match="bare CR or a NUL"):
        proper(message, EmailMessage("w@here.example", "a@b.example", raw + b"\r\n\r\nbody\r\n"))
