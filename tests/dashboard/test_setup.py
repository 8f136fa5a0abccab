"""The pages of setting up domains: what is published and missing, records, claims, notices, many domains at once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.policy.setup.published import PublishedRecords, ReportTarget
from tests.support.harness import HOST, Harness
from tests.support.pages import EVIL, text

pytestmark = pytest.mark.asyncio(loop_scope="package")
USER = "setup@example.com"


@pytest_asyncio.fixture(loop_scope="package")
async def browser_of_setup(harness: Harness) -> AsyncIterator[httpx.AsyncClient]:
    """A user of an account of its own, so that the other tests' figures stay."""
    if await harness.accounts.user(USER) is None:
        await harness.accounts.account_by_name("setup", create=True)
        await harness.accounts.add_user(USER, "setup")
    async with await harness.logged_in(USER) as client:
        yield client


async def added(harness: Harness, name: str, account: str = "setup", *, parked: bool = False) -> Domain:
    owner = await harness.accounts.account_by_name(account, create=True)
    domain = await harness.accounts.domain(owner.id, name)
    return domain or await harness.accounts.add_domain(name, account, parked=parked)


async def seen(harness: Harness, domain: Domain, **answers: object) -> None:
    """Store what a check saw."""
    published = PublishedRecords(domain.rua, targets=(ReportTarget(HOST, True, True, (HOST,)),), **answers)  # type: ignore[arg-type]
    claimed = await harness.stores.setups.start(domain.id, 60.0)
    await harness.stores.setups.store(claimed, published.to_json(), evidence="", resolver="192.0.2.53", complete=False)


async def send(client: httpx.AsyncClient, page: str, path: str, **fields: str) -> httpx.Response:
    """A form of a page, with its token."""
    (token, *_) = re.findall(r'name="csrf" value="([^"]+)"', (await client.get(page)).text)
    return await client.post(path, data={"csrf": token, **fields})


async def test_what_strangers_publish_is_escaped_and_the_difference_marked(
    harness: Harness, browser_of_setup: httpx.AsyncClient
) -> None:
    """The record as published with our address appended; markup in it stays text."""
    domain = await added(harness, "hostile.example")
    await seen(harness, domain, dmarc=(f"v=DMARC1; p=none; x={EVIL}; rua=mailto:a@b.example",), tls=(), challenge=())
    raw = (await browser_of_setup.get("/domains/hostile.example/setup")).text
    assert EVIL not in raw
    assert f"rua=mailto:a@b.example<ins>,mailto:{domain.rua}</ins>" in raw
    page = await text(browser_of_setup, "/domains/hostile.example/setup")
    assert "Missing: DMARC record." in page
    assert "looked up just now at 192.0.2.53" in page
    assert f"dmarcworks-verification={domain.token}" in page
    assert "unproven" in await text(browser_of_setup, "/")
    assert EVIL not in (await browser_of_setup.get("/domains/hostile.example")).text
    assert EVIL not in (await browser_of_setup.get("/domains/hostile.example/builder")).text
    assert (await browser_of_setup.get("/domains/example.com/setup")).status_code == 404


async def test_check_now_is_done_in_the_background(harness: Harness, browser_of_setup: httpx.AsyncClient) -> None:
    """The page returns at once, shows that DNS is being looked up, and its content again once that is done."""
    domain = await added(harness, "checked.example")
    await seen(harness, domain, dmarc=(), tls=(), challenge=())
    page = "/domains/checked.example/setup"
    assert (await send(browser_of_setup, page, f"{page}/check")).status_code == 303
    raw = (await browser_of_setup.get(page)).text
    assert "Looking up DNS …" in raw
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in raw
    (mark,) = re.findall(r'hx-get="/domains/checked\.example/setup/live\?seen=([^"]+)"', raw)
    assert (await browser_of_setup.get(f"{page}/live?seen={mark}")).status_code == 204
    harness.clock.now += 1
    await seen(harness, domain, dmarc=(f"v=DMARC1; p=none; rua=mailto:{domain.rua}",), tls=(), challenge=())
    content = await browser_of_setup.get(f"{page}/live?seen={mark}")
    assert "Everything is published. Waiting for the first report." in content.text
    assert (await browser_of_setup.post(f"{page}/check")).status_code == 403


async def test_a_domain_of_another_account_can_be_claimed(
    harness: Harness, browser_of_setup: httpx.AsyncClient
) -> None:
    """The refusal offers the claim; its page has the record; a notice is shown until it is dismissed."""
    answer = await send(browser_of_setup, "/", "/domains", name="other.example")
    assert answer.status_code == 409
    assert "Is other.example yours?" in answer.text
    assert (await send(browser_of_setup, "/", "/claims", name="other.example")).status_code == 303
    page = await text(browser_of_setup, "/claims")
    (token,) = re.findall(r"dmarcworks-verification=([0-9a-f]{32})", page)[:1]
    assert f"Or add {token}@{HOST}" in page
    assert "1 domain claimed and not proven yet." in await text(browser_of_setup, "/")
    assert (await send(browser_of_setup, "/claims", "/claims/other.example/check")).status_code == 303
    assert (await send(browser_of_setup, "/claims", "/claims/other.example/withdraw")).status_code == 303
    assert "No open claims." in await text(browser_of_setup, "/claims")
    lost = await added(harness, "lost.example")
    await harness.accounts.remove_domain(lost, notice=f"Another account has it {EVIL}.")
    raw = (await browser_of_setup.get("/")).text
    assert EVIL not in raw
    (path,) = re.findall(r'action="(/notices/\d+/dismiss)"', raw)
    assert (await send(browser_of_setup, "/", path)).status_code == 303
    assert (await send(browser_of_setup, "/", path)).status_code == 404
    assert "Another account has it" not in await text(browser_of_setup, "/")


async def test_many_domains_from_a_file(harness: Harness, browser_of_setup: httpx.AsyncClient) -> None:
    """Uploaded or pasted: each line with its outcome; a file that is none is refused with the reason."""
    (token, *_) = re.findall(r'name="csrf" value="([^"]+)"', (await browser_of_setup.get("/import")).text)
    file = b"domain,parked\nmany-one.example,\nmany-two.example,yes\nother.example,\n"
    answer = await browser_of_setup.post("/import", data={"csrf": token}, files={"file": ("d.csv", file)})
    assert answer.status_code == 200, answer.text
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))
    assert "2 added, 0 already there, 1 refused" in page
    assert re.search(r"3 many-two\.example added [0-9a-f]{32}@", page)
    assert re.search(r"4 other\.example refused other\.example cannot be added: the name is in use or reserved", page)
    answer = await send(browser_of_setup, "/import", "/import", text="many-one.example")
    assert "0 added, 1 already there, 0 refused" in answer.text
    answer = await send(browser_of_setup, "/import", "/import", text="domain,colour\nx.example,red")
    assert answer.status_code == 400
    assert "There is no column" in answer.text
    files = {"file": ("d.csv", b"a.example\n" * 30_000)}
    assert (await browser_of_setup.post("/import", data={"csrf": token}, files=files)).status_code == 413
    files = {"file": ("d.csv", b"\xff\xfe")}
    assert (await browser_of_setup.post("/import", data={"csrf": token}, files=files)).status_code == 400
    assert (await browser_of_setup.post("/import", files={"file": ("d.csv", file)})).status_code == 403


async def test_the_record_builder(harness: Harness, browser_of_setup: httpx.AsyncClient) -> None:
    """Each kind without JavaScript: the choices explained, before and after, and no wrong record."""
    domain = await added(harness, "built.example")
    await seen(
        harness,
        domain,
        dmarc=("v=DMARC1; p=none; fo=1; rua=mailto:a@b.example",),
        tls=("v=TLSRPTv1; rua=mailto:t@b.example",),
        challenge=(),
        mail_hosts=("10 mx.built.example",),
    )
    base = "/domains/built.example/builder"
    page = await text(browser_of_setup, f"{base}?kind=dmarc&p=reject&sp=none&rua={domain.rua}&ruf=&t=y")
    # Marked pieces are elements of their own, so that the text has spaces between them.
    assert f"v=DMARC1;p=reject;sp=none;t=y;rua=mailto:{domain.rua}" in page.replace(" ", "")
    assert "p=reject: Mail that fails is refused." in page
    assert "tags that the builder has no choice for" in page
    raw = (await browser_of_setup.get(f"{base}?kind=dmarc&p=reject&rua={domain.rua}")).text
    assert f'data-copy="v=DMARC1; p=reject; rua=mailto:{domain.rua}"' in raw
    wrong = await browser_of_setup.get(f"{base}?kind=dmarc&rua=nobody")
    assert wrong.status_code == 400
    assert "is not a mail address that reports can be sent to" in wrong.text
    raw = (await browser_of_setup.get(f"{base}?kind=tls-rpt")).text
    assert f'data-copy="v=TLSRPTv1; rua=mailto:t@b.example,mailto:{domain.rua}"' in raw
    page = await text(browser_of_setup, f"{base}?kind=mta-sts&mode=enforce&mx=mx.built.example&max_age=86400")
    assert "version: STSv1 mode: enforce mx: mx.built.example max_age: 86400" in page
    raw = (await browser_of_setup.get(f"{base}?kind=parked")).text
    for value in ("0 .", "v=spf1 -all", f"v=DMARC1; p=reject; adkim=s; aspf=s; rua=mailto:{domain.rua}"):
        assert f'data-copy="{value}"' in raw
    assert "<del>10</del>" in raw.replace("</del> <del>", " ").replace(" mx.built.example</del>", "</del>")
