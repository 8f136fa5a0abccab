"""The pages of mailboxes: the empty state, the form, a test of what is there, and the buttons."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
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


async def posted(client: httpx.AsyncClient, path: str, **form: str) -> httpx.Response:
    found = re.search(r'name="csrf" value="([^"]+)"', (await client.get("/mailboxes")).text)
    assert found
    return await client.post(path, data={"csrf": found[1], **form})


async def test_add_test_start_and_remove(
    harness: Harness, client: httpx.AsyncClient, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Added paused; the test counts; the password is shown nowhere."""
    monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.ca_file))
    assert "No mailboxes yet." in (await client.get("/mailboxes")).text
    assert 'href="/mailboxes"' in (await client.get("/activity")).text
    dovecot.deliver("page", [report_mail("p1", domain="late.example"), PRIVATE])
    form = {"name": "page", "host": f"localhost:{dovecot.imaps}", "user": "page", "password": PASSWORD}
    form |= {"scheme": "imaps", "folders": "INBOX, Reports", "settle": "move", "target": ""}
    refused = await posted(client, "/mailboxes", **form)
    assert refused.status_code == 400
    assert "Name the folder that accepted mail is moved to." in refused.text
    assert PASSWORD_PART not in refused.text
    made = await posted(client, "/mailboxes", **{**form, "target": "Done"})
    assert made.status_code == 303
    path = made.headers["location"].partition("?")[0]
    page = (await client.get(made.headers["location"])).text
    assert "The mailbox was added and is paused." in page
    assert f"imaps://page@localhost:{dovecot.imaps}/INBOX,Reports" in page
    tested = (await posted(client, f"{path}/test")).text
    assert f"Logged in to localhost:{dovecot.imaps} as page." in tested
    assert "could not open the folder Reports" in tested
    assert '<td class="text">INBOX</td><td class="num">2</td><td class="num">2</td>' in tested
    row = await harness.stores.mailboxes.get(None, "page")
    assert row.paused
    harness.sql("UPDATE mailboxes SET origin = 'command', url = replace(url, ',Reports', '') WHERE name = 'page'")
    row = await harness.stores.mailboxes.get(None, "page")
    actions = MailboxActions(harness.stores, harness.settings)
    await actions.run(row, Intake(harness.stores, harness.settings.mail_bytes), harness.env.reader)
    await harness.settle()
    page = (await client.get(path)).text
    assert "Holidays" in page
    listed = (await client.get("/mailboxes")).text
    assert "late.example" in listed
    added = await posted(client, "/mailboxes/domains", name="late.example")
    assert added.headers["location"] == "/mailboxes?domain=late.example&reports=1"
    await harness.settle()
    assert (await posted(client, path, do="resume")).headers["location"].endswith("?done=resume")
    assert (await posted(client, path, do="pause")).status_code == 303
    assert (await harness.stores.mailboxes.get(None, "page")).paused
    for text in (page, listed, tested, (await client.get("/audit")).text):
        assert PASSWORD_PART not in text
    assert "Remove the mailbox page?" in (await client.get(f"{path}/remove")).text
    assert (await posted(client, f"{path}/remove")).headers["location"] == "/mailboxes?removed=page"
    assert (await client.get(path)).status_code == 404
    domain = await harness.accounts.domain(row.account_id, "late.example")
    assert domain is not None
    await harness.accounts.remove_domain(domain)


async def test_another_account_does_not_see_it(harness: Harness, client: httpx.AsyncClient) -> None:
    account = await harness.accounts.account_by_name("elsewhere", create=True)
    actions = MailboxActions(harness.stores, harness.settings)
    row = await actions.add(account.id, "others-box", "imaps://ann@imap.example/INBOX", "x")
    assert "others-box" not in (await client.get("/mailboxes")).text
    for method, path in (("GET", ""), ("POST", "/test"), ("POST", ""), ("GET", "/remove"), ("POST", "/remove")):
        if method == "GET":
            answer = await client.get(f"/mailboxes/{row.id}{path}")
        else:
            answer = await posted(client, f"/mailboxes/{row.id}{path}")
        assert answer.status_code == 404, path
    await actions.remove(row)
