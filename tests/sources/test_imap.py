"""Reports from a real Dovecot: what is accepted, what is left alone, how it is settled, and each way it can fail."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import zipfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from dmarcworks.catalogue.mailbox_state import MailboxState
from dmarcworks.errors import ConflictError, NotFoundError, SettingsError, UsageError
from dmarcworks.ingest.accept import Intake
from dmarcworks.settings import MailboxTable
from dmarcworks.sources.contract import FetchedMail, MailboxError, WaitingMail
from dmarcworks.sources.mailbox_run import MailboxRun, RunPace
from tests.support.dovecot import PASSWORD, PASSWORD_PART, Dovecot
from tests.support.harness import Harness
from tests.support.mailboxes import PRIVATE, actions, added, counts, fetched
from tests.support.mails import document, mail, report_mail

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def messages(harness: Harness, domain: str = "example.com") -> int:
    rows = await harness.query(f"SELECT sum(count) AS n FROM dmarc_reports WHERE domain = '{domain}'")
    return int(rows[0]["n"] or 0)


def zipped(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, content)
    return out.getvalue()


async def test_reports_are_counted_and_moved_and_private_mail_is_left_alone(harness: Harness, dovecot: Dovecot) -> None:
    """Two folders; a broken report becomes a problem and is moved too; a mail over the bound is a problem and stays."""
    user = "move"
    invoice = mail(("invoice.zip", zipped("invoice.pdf", b"%PDF")), text="Your invoice").replace(
        b"Subject: Report Domain: example.com", b"Subject: Your invoice"
    )
    broken = mail(("example.com!1!2.xml.gz", gzip.compress(document("broken"), mtime=0)[:60]))
    large = mail(("big.xml", base64.b64encode(bytes(1_500_000))))
    dovecot.deliver(user, [report_mail("m1"), PRIVATE, report_mail("m2"), invoice, broken, large, report_mail("m1")])
    dovecot.deliver(user, [report_mail("m3"), PRIVATE], "Reports")
    row = await added(harness, "move", dovecot.url(user, "INBOX,Reports"), "move:Done")
    row = await fetched(harness, row)
    assert row.error == ""
    assert counts(row) == {"accepted": 4, "known": 1, "left_alone": 3, "too_large": 1}
    assert await messages(harness) == 15
    assert (dovecot.count(user), dovecot.count(user, "Reports"), dovecot.count(user, "Done")) == (3, 1, 5)
    assert dovecot.count(user, "INBOX", "UNSEEN") == 3  # what stays is untouched
    left = [(one.folder, one.subject, one.reason) for _, one in await actions(harness).left(row, 10)]
    assert sorted(left) == [
        ("INBOX", "Holidays", "no_report"),
        ("INBOX", "Your invoice", "no_report"),
        ("Reports", "Holidays", "no_report"),
    ]
    problems = {problem.reason: problem for problem in await harness.problems.list()}
    assert sorted(problems) == ["gzip_truncated", "mail_bytes"]
    assert "bound mail_bytes = 1,048,576. It stays in the mailbox move, folder INBOX" in problems["mail_bytes"].detail
    head = await harness.objects.get(problems["mail_bytes"].object_key)
    assert head is not None
    assert len(head) == 64 * 1024
    again = await fetched(harness, row)
    assert counts(again) == counts(row)


async def test_a_report_about_an_unknown_domain_is_counted_when_the_domain_is_added(
    harness: Harness, dovecot: Dovecot
) -> None:
    user = "unknown"
    dovecot.deliver(user, [report_mail(f"u{n}", domain="mail.unknown.example") for n in range(3)])
    row = await fetched(harness, await added(harness, "unknown", dovecot.url(user)))
    assert counts(row) == {"accepted": 3}
    (unknown,) = await actions(harness).unknown_domains(row.account_id)
    assert (unknown.name, unknown.reports, unknown.messages) == ("mail.unknown.example", 3, 15)
    problem = (await harness.problems.list(reason="other_domain"))[0]
    assert problem.detail == (
        "The report is about mail.unknown.example, which is none of your domains. It is kept and not counted."
    )
    domain, reports = await actions(harness).add_domain(row.account_id, "unknown.example", "test")
    assert (domain.name, reports) == ("unknown.example", 3)
    await harness.settle()
    assert await messages(harness, "unknown.example") == 15
    assert await actions(harness).unknown_domains(row.account_id) == []
    assert await harness.problems.list(reason="other_domain") == []


async def test_nothing_is_missed_or_repeated_when_uids_are_no_longer_valid(harness: Harness, dovecot: Dovecot) -> None:
    user = "validity"
    dovecot.deliver(user, [report_mail(f"v{n}") for n in range(3)])
    before = await messages(harness)
    row = await fetched(harness, await added(harness, "validity", dovecot.url(user)))
    assert counts(row) == {"accepted": 3}
    dovecot.deliver(user, [report_mail("v3")])
    dovecot.revalidate(user)
    row = await fetched(harness, row)
    assert row.error == ""
    assert counts(row) == {"accepted": 4, "known": 3}
    assert await messages(harness) == before + 20


async def test_seen_marks_and_delete_removes_only_what_was_accepted(harness: Harness, dovecot: Dovecot) -> None:
    """Mail that another client has marked as deleted is not removed by us."""
    user = "seen"
    dovecot.deliver(user, [report_mail("s1"), PRIVATE])
    row = await fetched(harness, await added(harness, "seen", dovecot.url(user), "seen"))
    assert (dovecot.count(user, "INBOX", "SEEN"), dovecot.count(user)) == (1, 2)
    assert counts(row) == {"accepted": 1, "left_alone": 1}
    user = "delete"
    dovecot.deliver(user, [PRIVATE, report_mail("d1"), report_mail("d2")])
    with dovecot.client(user) as client:
        client.store("1", "+FLAGS", r"(\Deleted)")
        client.unselect()
        row = await fetched(harness, await added(harness, "delete", dovecot.url(user), "delete"))
    assert counts(row) == {"accepted": 2, "left_alone": 1}
    assert (dovecot.count(user), dovecot.count(user, "INBOX", "DELETED")) == (1, 1)


async def test_a_renamed_folder_is_an_error_and_the_others_are_read(harness: Harness, dovecot: Dovecot) -> None:
    user = "renamed"
    dovecot.deliver(user, [report_mail("r1")], "Old")
    dovecot.deliver(user, [report_mail("r2")])
    row = await added(harness, "renamed", dovecot.url(user, "Old,INBOX"))
    assert counts(await fetched(harness, row)) == {"accepted": 2}
    with dovecot.client(user) as client:
        client.rename("Old", "New")
    dovecot.deliver(user, [report_mail("r3")])
    row = await fetched(harness, row)
    assert counts(row) == {"accepted": 3}
    assert (row.error_code, row.failures) == ("folder", 1)
    assert "could not open the folder Old" in row.error
    assert "check the folder's name; it may have been renamed" in row.error
    look = await actions(harness).look(row)
    assert [(folder.folder, folder.mails, folder.new, bool(folder.error)) for folder in look.folders] == [
        ("Old", 0, 0, True),
        ("INBOX", 2, 0, False),
    ]


async def test_mail_that_another_client_removes_is_gone_and_no_error(harness: Harness, dovecot: Dovecot) -> None:
    user = "gone"
    dovecot.deliver(user, [report_mail("g1"), report_mail("g2")])
    row = await added(harness, "gone", dovecot.url(user))
    source = await actions(harness).source(row)
    listing = await source.list_new({})
    with dovecot.client(user) as client:
        client.store("1", "+FLAGS", r"(\Deleted)")
        client.expunge()
    groups = [group async for group in source.fetch(listing.new, 1 << 20)]
    assert sorted((mail.mail.key.partition(":")[2], mail.raw is None) for group in groups for mail in group) == [
        ("1", True),
        ("2", False),
    ]
    await source.close()


async def test_a_full_mailbox_keeps_what_was_accepted_and_moves_it_later(harness: Harness, dovecot: Dovecot) -> None:
    """The mail is counted once; the move is tried again without fetching the mail again."""
    user = "full"
    dovecot.deliver(user, [report_mail("q1")])
    with dovecot.client(user) as client:
        client.create("Full/Done")
    before = await messages(harness)
    row = await fetched(harness, await added(harness, "full", dovecot.url(user), "move:Full/Done"))
    assert (row.error_code, counts(row)) == ("quota", {"accepted": 1})
    assert "could not move mails to Full/Done" in row.error
    assert "the mailbox is full; delete mail or raise its quota" in row.error
    assert row.next_try is not None
    dovecot.deliver(user, [report_mail("q2")])
    row = await fetched(harness, row)
    assert (row.error_code, row.failures, counts(row)) == ("quota", 2, {"accepted": 2})
    assert (await messages(harness), dovecot.count(user)) == (before + 10, 2)
    harness.sql(f"UPDATE mailboxes SET settle = 'move:Done' WHERE id = '{row.id}'")
    row = await fetched(harness, await actions(harness).get(None, row.id))
    assert (row.error, row.failures, counts(row)) == ("", 0, {"accepted": 2})
    assert (dovecot.count(user), dovecot.count(user, "Done")) == (0, 2)


async def test_a_missing_target_is_named_before_anything_is_moved(harness: Harness, dovecot: Dovecot) -> None:
    user = "target"
    dovecot.deliver(user, [report_mail("t1")])
    row = await added(harness, "target", dovecot.url(user), "move:Nowhere")
    look = await actions(harness).look(row)
    assert list(look.notes) == [
        f"Logged in to localhost:{dovecot.imaps} as target.",
        "New mail is announced by the server (IDLE).",
    ]
    assert [folder.error for folder in look.folders] == [
        "",
        "There is no folder Nowhere to move mails to; create it, or choose another.",
    ]
    row = await fetched(harness, row)
    assert (row.error_code, dovecot.count(user)) == ("folder", 1)


async def test_starttls_and_plain_on_loopback(harness: Harness, dovecot: Dovecot) -> None:
    user = "starttls"
    dovecot.deliver(user, [report_mail("tls1")])
    row = await fetched(harness, await added(harness, "starttls", dovecot.url(user, scheme="imap+starttls")))
    assert (row.error, counts(row)) == ("", {"accepted": 1})
    dovecot.deliver(user, [report_mail("tls2")])
    row = await fetched(harness, await added(harness, "plain", dovecot.url(user, scheme="imap")))
    assert (row.error, counts(row)) == ("", {"accepted": 1, "known": 1})


async def test_only_one_process_reads_a_mailbox(harness: Harness, dovecot: Dovecot) -> None:
    """A lease of another living process holds; one of a dead process of this machine, or one that ended, does not."""
    row = await added(harness, "leased", dovecot.url("leased"))
    state = MailboxState(harness.stores.database)
    assert await state.claim(row.id, "elsewhere:1:a", 60) is not None
    with pytest.raises(ConflictError, match="is being read by another process"):
        await fetched(harness, row)
    assert not await state.renew(row.id, "elsewhere:2:b", 60)
    assert await state.renew(row.id, "elsewhere:1:a", -1)
    assert counts(await fetched(harness, row)) == {}


@pytest.mark.parametrize(
    ("url", "secret", "code", "words"),
    [
        (
            "imaps://wrong@localhost:{imaps}/INBOX",
            PASSWORD + "no",
            "login",
            "could not log in as wrong: [AUTHENTICATIONFAILED]",
        ),
        ("imaps://wrong@localhost:{imap}/INBOX", PASSWORD, "tls", "does not begin with TLS; try imap+starttls:"),
        ("imaps://wrong@127.0.0.1:{imaps}/INBOX", PASSWORD, "certificate", "is for other names than 127.0.0.1"),
        ("imaps://wrong@nothing.invalid/INBOX", PASSWORD, "address", "The host name nothing.invalid has no address"),
        ("imaps://wrong@localhost:1/INBOX", PASSWORD, "connection", "localhost:1 refuses connections; check the port"),
    ],
)
async def test_what_is_wrong_is_said_in_plain_words(
    harness: Harness, dovecot: Dovecot, url: str, secret: str, code: str, words: str
) -> None:
    """The state has the code and the words, and a later next try; the password is in none of them."""
    name = f"wrong-{code}"
    row = await added(harness, name, url.format(imaps=dovecot.imaps, imap=dovecot.imap), secret=secret)
    row = await fetched(harness, row)
    assert (row.error_code, row.failures, row.condition) == (code, 1, "failing")
    assert words in row.error
    assert row.next_try is not None
    assert row.last_run is not None
    assert (row.next_try - row.last_run).total_seconds() >= (240 if code == "login" else 4)
    assert PASSWORD_PART not in row.error


async def test_an_expired_certificate_is_named(harness: Harness, dovecot: Dovecot) -> None:
    user = "expired"
    dovecot.certificate(expired=True)
    dovecot.restart()
    try:
        row = await fetched(harness, await added(harness, "expired", dovecot.url(user)))
    finally:
        dovecot.certificate()
        dovecot.restart()
    assert (row.error_code, row.error) == (
        "certificate",
        f"The certificate of localhost:{dovecot.imaps} has expired; its operator must replace it.",
    )


@pytest.mark.parametrize("words", ["", "* OK [CAPABILITY IMAP4rev1] ready\r\n"])
async def test_a_server_that_stalls_is_given_up_in_time(harness: Harness, words: str) -> None:
    """Before the greeting, and after it."""
    stop = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words.encode())
        await stop.wait()
        writer.close()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    row = await added(harness, f"stalled{len(words)}", f"imap://ann@localhost:{port}/INBOX")
    settings = harness.settings.model_copy(update={"mailbox_timeout_seconds": 0.2})
    harness.settings, before = settings, harness.settings
    try:
        row = await fetched(harness, row)
    finally:
        harness.settings = before
        stop.set()
        server.close()
    assert row.error_code == "timeout"
    assert "did not answer in time; check host, port and firewall" in row.error


async def test_a_connection_that_ends_within_a_mail_loses_nothing(harness: Harness, dovecot: Dovecot) -> None:
    """A proxy cuts the connection in the middle of the mails; the next run has them all."""
    user = "cut"
    dovecot.deliver(user, [report_mail(f"c{n}") for n in range(4)])
    limits = [3000]

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", dovecot.imap)
        limit = limits.pop(0) if limits else 1 << 30

        async def back() -> None:
            passed = 0
            while (data := await there_reader.read(500)) and passed < limit:
                passed += len(data)
                writer.write(data)
            writer.close()
            there_writer.close()

        async def forth() -> None:
            while data := await reader.read(500):
                there_writer.write(data)

        await asyncio.gather(back(), forth(), return_exceptions=True)

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    before = await messages(harness)
    row = await fetched(harness, await added(harness, "cut", f"imap://{user}@localhost:{port}/INBOX"))
    assert (row.error_code, counts(row)) == ("connection", {"waiting": 4})
    row = await fetched(harness, row)
    server.close()
    assert (row.error, counts(row)) == ("", {"accepted": 4})
    assert await messages(harness) == before + 20


async def test_what_a_person_may_not_add_is_refused(harness: Harness, dovecot: Dovecot) -> None:
    account = await harness.accounts.account_by_name("default", create=True)
    doing = actions(harness)
    with pytest.raises(UsageError, match="would send the password unencrypted"):
        await doing.add(account.id, "a", "imap://ann@mail.example/INBOX", "x")
    with pytest.raises(UsageError, match="a password file can only be named by command"):
        await doing.add(account.id, "a", "imaps://ann@mail.example/INBOX", "", password_file="/etc/passwd")
    with pytest.raises(UsageError, match="gmail: is not fetched from in this version"):
        await doing.add(account.id, "a", "gmail://ann@example.com", "x")
    with pytest.raises(UsageError, match="the mailbox has no password"):
        await doing.add(account.id, "a", "imaps://ann@mail.example/INBOX", "")
    row = await doing.add(account.id, "local", dovecot.url("move"), PASSWORD)
    row = await fetched(harness, row)
    assert row.error_code == "address"
    assert "localhost has no public address" in row.error
    await doing.remove(row)


async def test_the_passwords_are_encrypted_and_the_key_can_be_rotated(harness: Harness, dovecot: Dovecot) -> None:
    row = await added(harness, "secret", dovecot.url("secret"))
    path = harness.path / "secret.key"
    assert path.stat().st_mode & 0o777 == 0o600
    key, stored = path.read_text(), harness.sql("SELECT secret FROM mailboxes WHERE name = 'secret'")[0][0]
    assert PASSWORD_PART not in stored
    assert await harness.stores.mailboxes.rotate() > 0
    assert path.read_text() != key
    assert len(path.read_text().split()) == 1
    assert harness.sql("SELECT secret FROM mailboxes WHERE name = 'secret'")[0][0] != stored
    assert counts(await fetched(harness, row)) == {}
    held = path.read_text()
    path.write_text(key)
    row = await fetched(harness, row)
    path.write_text(held)
    assert row.error_code == "settings"
    assert "cannot be decrypted with the keys in" in row.error


async def test_mailboxes_of_the_file_follow_the_file(harness: Harness, dovecot: Dovecot, tmp_path: Path) -> None:
    """Added, changed, removed; one that this version cannot fetch from fails with the reason, and hurts no other."""
    (tmp_path / "password").write_text(PASSWORD)
    account = (await harness.accounts.account_by_name("default", create=True)).id
    catalogue = harness.stores.mailboxes
    dovecot.deliver("filed", [report_mail("filed")])
    table = MailboxTable("filed", dovecot.url("filed"), str(tmp_path / "password"))
    await catalogue.sync_file([(account, table), (account, MailboxTable("later", "gmail://ann@example.com"))])
    row = await fetched(harness, await catalogue.get(account, "filed"))
    assert (row.origin, row.error, counts(row)) == ("file", "", {"accepted": 1})
    later = await fetched(harness, await catalogue.get(account, "later"))
    assert (later.error_code, later.condition) == ("settings", "failing")
    assert later.error == ("gmail: is not fetched from in this version; use imaps, imap+starttls, imap, pop3s, file.")
    changed = MailboxTable("filed", dovecot.url("filed"), str(tmp_path / "password"), "seen")
    await catalogue.sync_file([(account, changed)])
    row = await catalogue.get(account, "filed")
    assert (row.settle, counts(row)) == ("seen", {"accepted": 1})
    with pytest.raises(NotFoundError):
        await catalogue.get(account, "later")
    (tmp_path / "password").write_text("")
    row = await fetched(harness, row)
    assert (row.error_code, "is empty; its first line is the password" in row.error) == ("settings", True)
    await added(harness, "taken", dovecot.url("filed"))
    with pytest.raises(SettingsError, match="the account has a mailbox of this name that was added by command or page"):
        await catalogue.sync_file([(account, MailboxTable("taken", dovecot.url("filed"), "/x"))])
    await catalogue.sync_file([])
    assert "filed" not in [one.name for one in await catalogue.list()]


async def test_a_mail_that_the_server_does_not_return_hides_no_other(harness: Harness, dovecot: Dovecot) -> None:
    """It waits with the error of the server; the others are counted."""
    dovecot.deliver("stuck", [report_mail(f"stuck{n}") for n in range(3)])
    row = await added(harness, "stuck", dovecot.url("stuck"))
    source = await actions(harness).source(row)
    fetch = source.fetch

    async def refusing(mails: Sequence[WaitingMail], most: int) -> AsyncIterator[Sequence[FetchedMail]]:
        if any(mail.key.endswith(":2") for mail in mails):
            raise MailboxError("protocol", "no such thing")
        async for group in fetch(mails, most):
            yield group

    source.fetch = refusing  # type: ignore[method-assign]
    intake = Intake(harness.stores, harness.settings.mail_bytes)
    run = MailboxRun(row, source, harness.stores, intake, harness.env.reader, 1 << 20, RunPace())
    with pytest.raises(MailboxError, match="no such thing"):
        await run.run()
    await source.close()
    await harness.settle()
    row = await actions(harness).get(None, row.id)
    assert counts(row) == {"accepted": 2, "waiting": 1}


async def test_an_access_token_is_read_from_its_file_at_every_login(harness: Harness, tmp_path: Path) -> None:
    """XOAUTH2; the server's refusal is a state, and the token is not in it."""
    sent: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] ready\r\n")
        while line := await reader.readline():
            tag, command = line.split()[:2]
            if command == b"AUTHENTICATE":
                writer.write(b"+ \r\n")
                sent.append(base64.b64decode(await reader.readline()))
                writer.write(tag + b" NO [AUTHENTICATIONFAILED] the token has expired: " + sent[-1][-9:-2] + b"\r\n")
            elif command == b"CAPABILITY":
                writer.write(b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n" + tag + b" OK done\r\n")
            else:
                writer.write(b"* BYE\r\n" + tag + b" OK done\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    token, url = tmp_path / "token", f"imap://ann@localhost:{port}/INBOX?auth=xoauth2"
    account = await harness.accounts.account_by_name("default", create=True)
    token.write_text("token-1\n")
    row = await actions(harness).add(account.id, "oauth", url, "", origin="command", password_file=str(token))
    row = await fetched(harness, row)
    assert (row.error_code, "the token has expired: ***" in row.error) == ("login", True)
    token.write_text("token-2\n")
    await fetched(harness, row)
    server.close()
    assert sent == [b"user=ann\x01auth=Bearer token-1\x01\x01", b"user=ann\x01auth=Bearer token-2\x01\x01"]
