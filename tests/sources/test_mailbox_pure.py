"""The pure parts of fetching from mailboxes: sets of UIDs, order, URLs, verdicts, errors, backoff."""

from __future__ import annotations

import gzip
import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.catalogue.mailbox_state import FolderMark
from dmarcworks.errors import UsageError
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.read import read_bytes, read_mail
from dmarcworks.settings import MailboxTable
from dmarcworks.sources.contract import MailboxError, WaitingMail
from dmarcworks.sources.explain import explained, refusal
from dmarcworks.sources.hosts import is_public
from dmarcworks.sources.mailbox_run import fair
from dmarcworks.sources.mailbox_supervisor import backoff
from dmarcworks.sources.mailbox_url import MailboxUrl
from dmarcworks.sources.name_progress import NAMES, NameProgress
from dmarcworks.sources.presets import preset, presets
from dmarcworks.sources.uid_set import UidSet, sequence_set
from dmarcworks.sources.verdict import verdict
from tests.support.mailboxes import PRIVATE
from tests.support.mails import document, mail, report_mail

UIDS = st.sets(st.integers(1, 60))


@given(UIDS, UIDS)
def test_a_uid_set_is_a_set(numbers: set[int], others: set[int]) -> None:
    """Whatever is added and discarded, in the fewest ranges; its text is read again as the same."""
    made = UidSet(numbers)
    for number in others:
        made.discard(number)
    wanted = numbers - others
    assert list(made) == sorted(wanted)
    assert all((number in made) == (number in wanted) for number in range(62))
    assert str(UidSet.of(str(made))) == str(made) == sequence_set(wanted)
    assert bool(made) == bool(wanted)


@given(UIDS, UIDS)
def test_a_compact_set_is_the_same_for_what_exists(done: set[int], existing: set[int]) -> None:
    """And nothing above the last existing number is in it."""
    there = sorted(existing)
    made = UidSet(done).compact(there)
    assert {number for number in there if number in made} == done & existing
    assert all(number <= max(there, default=0) for number in made)
    assert len(str(made).split(",")) <= len(str(UidSet(done & existing)).split(",")) or not made


@given(st.integers(0, 50), st.integers(1, 60))
def test_the_newest_come_first_and_the_oldest_do_not_wait_for_ever(number: int, most: int) -> None:
    new = [WaitingMail("INBOX", str(key)) for key in range(number, 0, -1)]
    chosen = [int(one.key) for one in fair(new, most)]
    assert len(chosen) == len(set(chosen)) == min(number, most)
    if number >= 5 and most >= 5:
        assert chosen[:5] == [number, number - 1, number - 2, number - 3, 1]


def test_urls() -> None:
    """Several folders, an address as user name, percent-encoding, ports of the schemes."""
    url = MailboxUrl.of("imaps://ann@example.com@imap.example.com/INBOX,Reports/2026,a%2Cb")
    assert (url.user, url.server, url.folders) == (
        "ann@example.com",
        "imap.example.com:993",
        ("INBOX", "Reports/2026", "a,b"),
    )
    assert MailboxUrl.of("imap+starttls://a%2Fb@[::1]").server == "[::1]:143"
    assert MailboxUrl.of("imap+starttls://a%2Fb@[::1]").user == "a/b"
    assert MailboxUrl.of("pop3s://a@host").port == 995
    assert MailboxUrl.of("imaps://a@host/?auth=xoauth2").auth == "xoauth2"
    text = MailboxUrl.text("imaps", "a:b@example.com", "host:1993", "INBOX, Très,")
    assert MailboxUrl.of(text).folders == ("INBOX", "Très")
    assert (MailboxUrl.of(text).user, MailboxUrl.of(text).port) == ("a:b@example.com", 1993)
    with pytest.raises(UsageError, match="there is only auth=xoauth2"):
        MailboxUrl.of("imaps://a@host/?token=x")
    with pytest.raises(UsageError, match="has a control character in its user name or path"):
        MailboxUrl.of("imaps://a@host/INBOX%0D%0Aa1 LOGOUT")
    assert MailboxTable("a", "imaps://ann:p%40ss@host:1/x?auth=password").without_password() == (
        "imaps://ann@host:1/x?auth=password",
        "p@ss",
    )


def test_presets_are_urls() -> None:
    for one in presets():
        MailboxTable("x", one.filled("ann@example.com")).check()
    assert preset("fastmail").filled("a/b") == "imaps://a%2Fb@imap.fastmail.com:993/INBOX"
    with pytest.raises(UsageError, match="there are gmail, microsoft365, fastmail, ionos, dovecot"):
        preset("nobody")


BROKEN = gzip.compress(document("1"), mtime=0)[:60]


@pytest.mark.parametrize(
    ("raw", "accepted", "reason"),
    [
        (report_mail("1"), True, ""),
        (PRIVATE, False, "no_report"),
        (mail(("report.xml.gz", BROKEN)), True, ""),  # its subject is that of a report
        (mail(("report.xml.gz", BROKEN)).replace(b"Report Domain: example.com", b"Photos"), False, "gzip_truncated"),
        (mail(("a!b.example!1790035200!1790121599.xml.gz", BROKEN)).replace(b"Report Domain", b"Re"), True, ""),
        (mail(("x.xml", document("1").replace(b"<date_range>", b"<no>"))).replace(b"Report Domain", b"Re"), True, ""),
        (b"From: MAILER-DAEMON@x.example\r\nSubject: Report Domain: undeliverable\r\n\r\nno\r\n", False, "bounce"),
        (b"\xff\xfe\0garbage", False, "no_report"),
    ],
)
def test_private_mail_is_left_alone_and_broken_reports_are_not(raw: bytes, accepted: bool, reason: str) -> None:
    made = verdict(raw, read_mail(raw, Bounds()))
    assert (made.accept, made.reason) == (accepted, reason)


@given(st.binary(max_size=400))
def test_a_verdict_is_given_on_any_bytes(raw: bytes) -> None:
    raw = b"Subject: =?utf-8?B?" + raw
    made = verdict(raw, read_mail(raw, Bounds()))
    assert made.subject.isprintable()
    assert len(made.subject) <= 200


def test_files_in_a_folder() -> None:
    """A report is accepted whatever its name; a broken one by its name; a text is left alone."""
    for name, content, accepted in (("x.bin", document("1"), True), ("x.xml.gz", BROKEN, True), ("x.txt", b"a", False)):
        assert verdict(content, read_bytes(content, name), name).accept == accepted


def test_errors_are_plain_and_hold_no_password() -> None:
    made = explained(OSError(113, "No route to host: hush-hush"), "imap.example:993", "imaps", "hush-hush")
    assert (made.code, str(made)) == ("connection", "The connection to imap.example:993 failed: No route to host: ***.")
    assert explained(TimeoutError(), "h:1", "imaps").code == "timeout"
    assert explained(socket.gaierror(-2, "Name unknown"), "h:1", "imaps").code == "address"
    assert explained(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), "h:1", "imaps").code == "tls"
    assert refusal("[OVERQUOTA] full", "move mails to Done", "h:1").code == "quota"
    assert refusal("mailbox is full", "move mails to Done", "h:1").code == "quota"
    assert refusal("[NOPERM] no", "delete mails", "h:1").code == "permission"
    assert (
        refusal("\x00odd\r\nwords.", "log in as a", "h:1", "login").args[0].startswith("h:1 could not log in as a: odd")
    )


def test_the_pause_grows_and_a_wrong_password_is_tried_seldom() -> None:
    assert 4 <= backoff("connection", 0) <= 5
    assert 16 <= backoff("connection", 2) <= 20
    assert 240 <= backoff("login", 0) <= 300
    assert 2880 <= backoff("connection", 1000) <= 3600


def test_names_that_are_done_are_bounded() -> None:
    names = [str(number) for number in range(NAMES + 2)]
    progress = NameProgress("f", None, names)
    mark = progress.note(names[:5], settled=False)
    assert mark.waiting == NAMES - 3
    again = NameProgress("f", mark, names[3:])
    assert [one.key for one in again.unsettled()] == ["3", "4"]
    assert [one.key for one in again.new(names[3:6])] == ["5"]
    assert NameProgress("f", again.note(["3", "4"], settled=True), names).unsettled() == []
    mark = NameProgress("f", FolderMark(), names).note(names, settled=True)
    with pytest.raises(MailboxError, match="choose move or delete, or remove some"):
        NameProgress("f", mark, names)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *(("192.0.2.1", False), ("9.9.9.9", True), ("127.0.0.1", False), ("::1", False), ("::ffff:10.0.0.1", False)),
        *(("64:ff9b::a00:1", False), ("2620:fe::fe", True), ("fe80::1%eth0", False), ("169.254.169.254", False)),
    ],
)
def test_addresses_that_tenants_may_reach(address: str, public: bool) -> None:
    assert is_public(address) == public
