"""Mailboxes over REST: add, test, state, pause, password, remove; each account sees its own, and no password."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dmarcworks.ingest.accept import Intake
from dmarcworks.sources.mailbox_actions import MailboxActions
from tests.support.dovecot import PASSWORD, PASSWORD_PART, Dovecot
from tests.support.harness import Harness
from tests.support.mailboxes import PRIVATE
from tests.support.mails import report_mail

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    server = Dovecot()
    try:
        server.start()
        yield server
    finally:
        server.end()


async def test_a_mailbox_from_adding_to_removing(harness: Harness, dovecot: Dovecot) -> None:
    """In one story, since each step builds on the one before."""
    dovecot.deliver("rest", [report_mail("rest1", domain="late.example"), PRIVATE])
    body = {"name": "rest", "url": dovecot.url("rest", scheme="imap"), "password": PASSWORD, "paused": True}
    added = await harness.request("admin", "POST", "/mailboxes", json=body)
    assert added.status_code == 201, added.text
    shown = added.json()
    assert added.headers["location"] == f"/api/v1/mailboxes/{shown['id']}"
    assert (shown["state"], shown["origin"], shown["settle"], shown["error"]) == ("paused", "web", "leave", None)
    assert PASSWORD_PART not in added.text
    assert (await harness.request("admin", "POST", "/mailboxes", json=body)).status_code == 409
    tested = (await harness.request("write", "POST", "/mailboxes/rest/test")).json()
    assert tested["ok"] is True
    assert tested["folders"] == [{"folder": "INBOX", "mails": 2, "new": 2, "error": None}]
    mailbox = await harness.stores.mailboxes.get(None, shown["id"])
    intake = Intake(harness.stores, harness.settings.mail_bytes)
    await MailboxActions(harness.stores, harness.settings).run(mailbox, intake, harness.env.reader)
    await harness.settle()
    row = await harness.get("read", "/mailboxes/rest")
    # Run by hand without the operator's right, it may not be on this machine.
    assert (row["error_code"], row["failures"]) == ("address", 1)

    async def private(_: str) -> bool:
        return True

    actions = MailboxActions(harness.stores, harness.settings, private)
    source = await actions.source(mailbox)
    await source.close()
    resumed = await harness.request("admin", "PATCH", "/mailboxes/rest", json={"paused": False})
    assert resumed.json()["paused"] is False
    assert (await harness.request("write", "POST", "/mailboxes/rest/run")).status_code == 202
    changed = await harness.request("admin", "PATCH", "/mailboxes/rest", json={"password": "another"})
    assert (changed.status_code, "another" in changed.text) == (200, False)
    tested = (await harness.request("write", "POST", "/mailboxes/rest/test")).json()
    assert (tested["ok"], tested["error_code"]) == (False, "login")
    assert (await harness.request("admin", "DELETE", "/mailboxes/rest")).status_code == 204
    assert (await harness.get("read", "/mailboxes"))["items"] == []


async def test_who_may_do_what(harness: Harness, dovecot: Dovecot) -> None:
    """A password needs the scope admin; another account's mailbox is not there; no tenant's is on this machine."""
    body = {"name": "theirs", "url": dovecot.url("theirs", scheme="imap"), "password": PASSWORD}
    assert (await harness.request("write", "POST", "/mailboxes", json=body)).status_code == 403
    assert (await harness.request("theirs", "POST", "/mailboxes", json=body)).status_code == 201
    assert (await harness.request("read", "GET", "/mailboxes/theirs")).status_code == 404
    tested = (await harness.request("theirs", "POST", "/mailboxes/theirs/test")).json()
    assert (tested["ok"], tested["error_code"]) == (False, "address")
    assert "localhost has no public address" in tested["error"]
    assert (await harness.get("theirs", "/mailboxes/theirs/left"))["items"] == []
    assert (await harness.request("theirs", "DELETE", "/mailboxes/theirs")).status_code == 204


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "imap://ann@mail.example/INBOX"}, "would send the password unencrypted"),
        ({"url": "file:///etc"}, "a folder of this machine can only be named by command or in the TOML file"),
        ({"url": "imaps://ann@mail.example/?auth=xoauth3"}, "auth=xoauth3 is none of password and xoauth2"),
        ({"settle": "burn"}, "settle=burn is none of leave, seen, move:FOLDER and delete"),
        ({"url": "imaps://a@h\0st/INBOX"}, "the URL has a control character"),
        ({"settle": "move:a\x85b"}, "the rule for accepted mail has a control character"),
        ({"password": ""}, "the mailbox has no password"),
    ],
)
async def test_what_is_wrong_is_named(harness: Harness, change: dict[str, str], words: str) -> None:
    body = {"name": "wrong", "url": "imaps://ann@mail.example/INBOX", "password": "hush-hush", **change}
    answer = await harness.request("admin", "POST", "/mailboxes", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert "hush-hush" not in answer.text


async def test_a_body_that_is_refused_shows_no_password(harness: Harness) -> None:
    body = {"name": "no spaces", "url": "imaps://ann@mail.example/INBOX", "password": "hush-hush"}
    answer = await harness.request("admin", "POST", "/mailboxes", json=body)
    assert (answer.status_code, "hush-hush" in answer.text) == (422, False)


async def test_unknown_domains_are_added_with_what_waits(harness: Harness, dovecot: Dovecot) -> None:
    dovecot.deliver("late", [report_mail("late1", domain="late.example")])
    account = harness.domains["one.example"].account_id
    actions = MailboxActions(harness.stores, harness.settings)
    row = await actions.add(account, "late", dovecot.url("late", scheme="imap"), PASSWORD, origin="command")
    await actions.run(row, Intake(harness.stores, harness.settings.mail_bytes), harness.env.reader)
    await harness.settle()
    (unknown,) = (await harness.get("read", "/mailbox-domains"))["items"]
    assert (unknown["name"], unknown["reports"], unknown["messages"]) == ("late.example", 1, 5)
    made = await harness.request("write", "POST", "/mailbox-domains", json={"name": "late.example"})
    assert (made.status_code, made.json()["reports"]) == (201, 1)
    await harness.settle()
    totals = await harness.get(
        "read", "/domains/late.example/reporters", params={"first": "2026-09-20", "last": "2026-09-25"}
    )
    assert [reporter["messages"] for reporter in totals["items"]] == [5]
    await actions.remove(row)
