"""Nobody sees anything without a session; a session begins with a password or a link that works once."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.support.harness import Harness

pytestmark = pytest.mark.asyncio(loop_scope="package")

PAGES = (
    "/",
    "/domains/example.com",
    "/domains/example.com/live",
    "/domains/example.com/sources",
    "/domains/example.com/records",
    "/domains/example.com/reports",
    "/domains/example.com/setup",
    "/reports",
    f"/reports/{'0' * 64}",
    f"/reports/{'0' * 64}/raw",
    "/problems",
    "/problems/1",
    "/problems/1/raw",
    "/problems/1/discard",
    "/password",
)


@pytest.mark.parametrize("path", PAGES)
async def test_without_a_session_every_page_leads_to_the_login(harness: Harness, path: str) -> None:
    """No page, list or file is given to somebody unknown."""
    async with harness.client() as client:
        answer = await client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


async def test_a_password_begins_a_session_and_logging_out_ends_it(harness: Harness) -> None:
    """The cookie is out of reach of scripts; after logging out the same cookie is worth nothing."""
    async with harness.client("192.0.2.10") as client:
        form = {"email": "a@example.com", "password": harness.password, "next": "/problems"}
        answer = await client.post("/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/problems")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "secure" not in cookie
        secret = client.cookies["dmarcworks_session"]
        page = (await client.get("/")).text
        csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
        assert csrf is not None
        assert secret not in page
        assert (await client.post("/logout", data={"csrf": csrf[1]})).status_code == 303
        client.cookies.set("dmarcworks_session", secret)
        assert (await client.get("/")).status_code == 303


async def test_a_wrong_password_says_the_same_for_known_and_unknown_people(harness: Harness) -> None:
    """Nobody learns from the login who has an account here."""
    async with harness.client("192.0.2.11") as client:
        known = await client.post("/login", data={"email": "a@example.com", "password": "wrong"})
        nobody = await client.post("/login", data={"email": "x@example.com", "password": "wrong"})
    assert known.status_code == nobody.status_code == 401
    assert known.text.replace("a@example.com", "") == nobody.text.replace("x@example.com", "")


async def test_the_sixth_wrong_try_in_a_minute_waits(harness: Harness) -> None:
    """Five failed tries from one address, then 429, also for the right password; a minute later it goes on."""
    async with harness.client("192.0.2.12") as client:
        for _ in range(5):
            assert (await client.post("/login", data={"email": "a@example.com", "password": "no"})).status_code == 401
        right = {"email": "a@example.com", "password": harness.password}
        refused = await client.post("/login", data=right)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) == 61
        async with harness.client("192.0.2.13") as elsewhere:
            assert (await elsewhere.post("/login", data=right)).status_code == 303
        harness.clock.now += 61
        assert (await client.post("/login", data=right)).status_code == 303


async def test_a_link_is_used_up_by_the_button_and_not_by_looking(harness: Harness) -> None:
    """Mail scanners that open a link do not burn it; the button logs in, once."""
    secret = await harness.accounts.login_link("a@example.com")
    async with harness.client("192.0.2.14") as client:
        for _ in range(3):
            looked = await client.get(f"/login/{secret}")
            assert looked.status_code == 200
            assert "set-cookie" not in looked.headers
        answer = await client.post(f"/login/{secret}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/password")
        assert (await client.get("/")).status_code == 200
    async with harness.client("192.0.2.15") as client:
        again = await client.post(f"/login/{secret}")
        assert again.status_code == 410
        assert "This link is not valid" in again.text


async def test_a_link_that_does_not_work_says_so_when_it_is_opened(harness: Harness) -> None:
    """Used, expired or invented: 410 at once, without a button; it is no failed login."""
    used, late = await harness.accounts.login_link("a@example.com"), await harness.accounts.login_link("a@example.com")
    assert await harness.accounts.redeem(used) is not None
    async with harness.client("192.0.2.16") as client:
        assert (await client.get(f"/login/{late}")).status_code == 200
        harness.clock.now += 24 * 3600 + 1
        for secret in (used, late, "invented"):
            page = await client.get(f"/login/{secret}")
            assert page.status_code == 410
            assert "It has been used, has expired, or was never issued." in page.text
            assert "<button" not in page.text
        harness.clock.now -= 24 * 3600 + 1


async def test_logging_out_by_an_address_asks_first(harness: Harness) -> None:
    """GET /logout shows a form and ends nothing; without a session it leads to the login."""
    async with await harness.logged_in("a@example.com") as client:
        page = await client.get("/logout")
        assert page.status_code == 200
        assert "Log out?" in page.text
        assert "You are logged in as a@example.com." in page.text
        assert (await client.get("/")).status_code == 200
        csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
        assert csrf is not None
        assert (await client.post("/logout", data={"csrf": csrf[1]})).headers["location"] == "/login"
        assert (await client.get("/")).status_code == 303
        again = await client.get("/logout")
        assert (again.status_code, again.headers["location"]) == (303, "/login")


async def test_a_new_password_ends_other_sessions_and_begins_one(harness: Harness) -> None:
    """Whoever changes it stays logged in; a session elsewhere ends; the new password works."""
    await harness.accounts.add_user("c@example.com")
    elsewhere = await harness.logged_in("c@example.com")
    client = await harness.logged_in("c@example.com")
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', (await client.get("/password")).text)
    assert csrf is not None
    uneven = await client.post("/password", data={"csrf": csrf[1], "password": "long enough 1", "again": "other"})
    assert uneven.status_code == 400
    assert "The passwords do not match." in uneven.text
    short = await client.post("/password", data={"csrf": csrf[1], "password": "short", "again": "short"})
    assert short.status_code == 400
    assert "A password has at least 10 characters" in short.text
    form = {"csrf": csrf[1], "password": "long enough 1", "again": "long enough 1"}
    assert (await client.post("/password", data=form)).status_code == 303
    assert (await client.get("/")).status_code == 200
    assert (await elsewhere.get("/")).status_code == 303
    async with harness.client("192.0.2.16") as fresh:
        login = await fresh.post("/login", data={"email": "c@example.com", "password": "long enough 1"})
        assert login.status_code == 303
    await client.aclose()
    await elsewhere.aclose()


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nSet-Cookie: x"],
)
async def test_a_login_never_leads_to_another_site(harness: Harness, target: str) -> None:
    """`next` is a path of ours or the front page."""
    async with harness.client("192.0.2.17") as client:
        form = {"email": "a@example.com", "password": harness.password, "next": target}
        assert (await client.post("/login", data=form)).headers["location"] == "/"


async def test_a_form_from_elsewhere_or_without_its_token_is_refused(
    harness: Harness, client: httpx.AsyncClient
) -> None:
    """No other site can add a domain, log out or log in for somebody."""
    page = await client.get("/")
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
    assert csrf is not None
    for form in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "ß"}):
        answer = await client.post("/domains", data={"name": "evil.example", **form})
        assert answer.status_code in (400, 403)
    good = {"name": "evil.example", "csrf": csrf[1]}
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
    ):
        assert (await client.post("/domains", data=good, headers=headers)).status_code == 403
    login = {"email": "a@example.com", "password": harness.password}
    async with harness.client("192.0.2.18") as fresh:
        answer = await fresh.post("/login", data=login, headers={"Origin": "null"})
        assert answer.status_code == 403
    assert await harness.accounts.domain(None, "evil.example") is None


async def test_a_huge_form_is_refused_while_it_is_read(client: httpx.AsyncClient) -> None:
    """16 KiB is more than any form of ours; the rest is not read."""
    answer = await client.post("/domains", content=b"name=" + b"a" * 100_000)
    assert answer.status_code == 413


async def test_static_files_are_known_by_name_and_cached_by_version(client: httpx.AsyncClient) -> None:
    """An address with the content's version is cacheable for ever; no path leads out of the folder."""
    page = await client.get("/login")
    style = re.search(r'href="(/static/style\.css\?v=[0-9a-f]{12})"', (await client.get("/")).text)
    assert style is not None, page.text
    served = await client.get(style[1])
    assert served.headers["content-type"] == "text/css; charset=utf-8"
    assert served.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (await client.get("/static/style.css")).headers["cache-control"] == "no-cache"
    etag = {"If-None-Match": served.headers["etag"]}
    assert (await client.get("/static/style.css", headers=etag)).status_code == 304
    for path in ("/static/../web.py", "/static/%2e%2e/web.py", "/static//etc/passwd", "/static/"):
        assert (await client.get(path)).status_code == 404
