"""Lists, errors and unknown paths under /client/v4, as the original's clients find them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from dmarcworks.catalogue.routes import zone_of
from tests.support.harness import Harness
from tests.support.rest import built

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONE = "one.example"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def harness(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    """With 23 rules, every second enabled, a catch-all, and three destinations of which one is verified."""
    async with built(tmp_path_factory.mktemp("compat") / "home") as made:
        zone = zone_of(made.domains[ONE])
        routes, destinations = made.stores.routing.routes, made.stores.routing.destinations
        for n in range(23):
            await routes.add(zone, f"a{n:02}@{ONE}", "drop", enabled=n % 2 == 0)
        for email, verified in (("a@x.example", False), ("b@x.example", True), ("c@x.example", False)):
            await destinations.add(zone.account_id, email, verified=verified)
        yield made


async def ask(harness: Harness, method: str, path: str, who: str | None = "admin", **options: Any) -> httpx.Response:
    headers = {} if who is None else {"Authorization": f"Bearer {harness.secrets.get(who, who)}"}
    transport = httpx.ASGITransport(harness.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x/client/v4") as client:
        return await client.request(method, path, headers=headers, **options)


async def listed(harness: Harness, path: str, **query: Any) -> tuple[list[Any], dict[str, int]]:
    answer = await ask(harness, "GET", path, params=query)
    body = answer.json()
    assert (answer.status_code, body["success"], body["errors"], body["messages"]) == (200, True, [], []), body
    return body["result"], body["result_info"]


async def test_a_list_comes_in_pages(harness: Harness) -> None:
    path = f"/zones/{harness.domains[ONE].id}/email/routing/rules"
    names = [f"a{n:02}@{ONE}" for n in range(23)]
    for page, query, wanted, info in (
        (1, {}, names[:20], (20, 1, 20, 23, 2)),
        (2, {"page": 2}, names[20:], (3, 2, 20, 23, 2)),
        (3, {"page": 3, "per_page": 10}, names[20:], (3, 3, 10, 23, 3)),
        (4, {"page": 4, "per_page": 10}, [], (0, 4, 10, 23, 3)),
        (1, {"per_page": 50}, names, (23, 1, 50, 23, 1)),
    ):
        rules, found = await listed(harness, path, **query)
        assert [rule["matchers"][0]["value"] for rule in rules] == wanted, page
        keys = ("count", "page", "per_page", "total_count", "total_pages")
        assert found == dict(zip(keys, info, strict=True))


async def test_filters(harness: Harness) -> None:
    one = harness.domains[ONE]
    rules = f"/zones/{one.id}/email/routing/rules"
    assert (await listed(harness, rules, enabled="true"))[1]["total_count"] == 12
    assert (await listed(harness, rules, enabled="false"))[1]["total_count"] == 11
    addresses = f"/accounts/{one.account_id}/email/routing/addresses"
    for query, wanted in (
        ({}, "abc"),
        ({"verified": "true"}, "b"),
        ({"verified": "false"}, "ac"),
        ({"direction": "desc"}, "cba"),
        ({"direction": "asc", "per_page": 1, "page": 2}, "b"),
    ):
        found, _ = await listed(harness, addresses, **query)
        assert [one["email"][0] for one in found] == list(wanted), query
    for query, wanted_zones in (
        ({}, [ONE, "two.example"]),
        ({"direction": "desc"}, ["two.example", ONE]),
        ({"name": ONE}, [ONE]),
        ({"name": "starts_with:two"}, ["two.example"]),
        ({"name": "contains:example", "per_page": 1, "page": 2}, ["two.example"]),
        ({"name": "their.example"}, []),
        ({"status": "active"}, [ONE, "two.example"]),
        ({"status": "pending"}, []),
        ({"status": "pending", "name": ONE, "match": "any"}, [ONE]),
        ({"account.id": one.account_id}, [ONE, "two.example"]),
        ({"account.id": "0" * 32}, []),
        ({"account.name": "mine"}, [ONE, "two.example"]),
        ({"account.name": "theirs"}, []),
    ):
        assert [zone["name"] for zone in (await listed(harness, "/zones", **query))[0]] == wanted_zones, query
    assert [account["name"] for account in (await listed(harness, "/accounts", name="mine"))[0]] == ["mine"]
    assert (await listed(harness, "/accounts", name="theirs"))[1]["total_pages"] == 0


async def test_who_asks(harness: Harness) -> None:
    """Token, account and zone answer; another account's do not."""
    one, their = harness.domains[ONE], harness.domains["their.example"]
    verified = (await ask(harness, "GET", "/user/tokens/verify")).json()
    assert verified["success"] is True
    assert verified["result"]["status"] == "active"
    assert verified["messages"] == [{"code": 10000, "message": "This API Token is valid and active", "type": None}]
    of_account = await ask(harness, "GET", f"/accounts/{one.account_id}/tokens/verify")
    assert of_account.json()["result"] == verified["result"]
    account = (await ask(harness, "GET", f"/accounts/{one.account_id}")).json()["result"]
    assert (account["id"], account["name"], account["type"]) == (one.account_id, "mine", "standard")
    zone = (await ask(harness, "GET", f"/zones/{one.id}")).json()["result"]
    assert (zone["id"], zone["name"], zone["status"], zone["paused"]) == (one.id, ONE, "active", False)
    assert zone["account"] == {"id": one.account_id, "name": "mine"}
    assert (await ask(harness, "GET", f"/zones/{their.id}")).status_code == 404
    assert (await ask(harness, "GET", f"/accounts/{their.account_id}")).status_code == 403


async def test_every_error_has_the_envelope(harness: Harness) -> None:
    one = harness.domains[ONE]
    rules = f"/zones/{one.id}/email/routing/rules"
    sql = f"/accounts/{one.account_id}/analytics_engine/sql"
    for method, path, who, options, status, code, words in (
        ("GET", rules, None, {}, 401, 10000, "Unauthorized: send a token"),
        ("GET", "/zones", "nobody", {}, 401, 10000, "Unauthorized: send a token"),
        ("GET", sql, None, {}, 401, 10000, "Unauthorized: send a token"),
        ("POST", rules, "read", {}, 403, 10000, "this needs a token with the scope 'write'"),
        ("GET", "/", "read", {}, 404, 7000, "there is no route for /client/v4/"),
        ("GET", "/nothing/here", None, {}, 404, 7000, "there is no route for /client/v4/nothing/here"),
        ("GET", "/zones/0", "read", {}, 404, 1003, "there is no such zone"),
        ("DELETE", "/zones", "read", {}, 405, 10405, "this path does not support DELETE"),
        ("PUT", rules, None, {}, 405, 10405, "this path does not support PUT"),
        ("DELETE", sql, "read", {}, 405, 10405, "this path does not support DELETE"),
        (
            "GET",
            rules,
            "read",
            {"params": {"enable": "true"}},
            400,
            1001,
            "unknown parameter 'enable'; known parameters: enabled, page, per_page",
        ),
        ("GET", rules, "read", {"params": {"enabled": "1"}}, 400, 1001, "enabled: Input should be 'true' or 'false'"),
        ("GET", rules, "read", {"params": {"page": "0"}}, 400, 1001, "page: Input should be greater than"),
        ("GET", rules, "read", {"params": {"per_page": "1001"}}, 400, 1001, "per_page: Input should be less than"),
        ("GET", rules, "read", {"params": {"page": "x"}}, 400, 1001, "page: Input should be a valid integer"),
        ("GET", f"{rules}?page=1&page=2", "read", {}, 400, 1001, "the parameter page is given more than once"),
        ("GET", "/zones", "read", {"params": {"name": "like:x"}}, 400, 1001, "name: unknown operator 'like'"),
        ("POST", rules, "write", {"content": b"{"}, 400, 1001, "the body is not JSON"),
        ("POST", rules, "write", {"content": b"[]"}, 400, 1001, "the body is not a JSON object"),
        ("POST", rules, "write", {"content": b" " * 65_537}, 413, 1004, "the body is larger than 65536 bytes"),
    ):
        answer = await ask(harness, method, path, who, **options)
        body = answer.json()
        assert answer.status_code == status, (method, path, body)
        assert {name: body[name] for name in ("success", "messages", "result")} == {
            "success": False,
            "messages": [],
            "result": None,
        }
        assert len(body["errors"]) == 1
        assert body["errors"][0]["code"] == code, (method, path, body)
        assert body["errors"][0]["message"].startswith(words), (method, path, body)


async def test_a_client_may_call_the_newer_path_of_dmarc_reports(harness: Harness) -> None:
    """`/email/auth/…` and `/email/security/…` are one."""
    two = harness.domains["two.example"]
    newer, older = (f"/zones/{two.id}/email/{name}/dmarc-reports" for name in ("auth", "security"))
    assert (await ask(harness, "GET", newer)).json() == (await ask(harness, "GET", older)).json()
    off = await ask(harness, "PATCH", newer, "write", json={"enabled": False})
    assert (off.status_code, off.json()["result"]["enabled"]) == (200, False)
    assert (await ask(harness, "GET", f"/zones/{two.id}")).json()["result"]["paused"] is True
    on = await ask(harness, "PATCH", newer, "write", json={"enabled": True})
    assert on.json() == (await ask(harness, "GET", older)).json()
    assert (await ask(harness, "PATCH", newer, "read", json={"enabled": True})).status_code == 403


async def test_settings_have_the_times_of_the_switch(harness: Harness) -> None:
    """Until the first switch they are the domain's; then `created` stays and `modified` moves."""
    two = harness.domains["two.example"]
    path = f"/zones/{two.id}/email/routing"
    born = two.created.strftime("%Y-%m-%dT%H:%M:%SZ")
    fresh = (await ask(harness, "GET", path)).json()["result"]
    assert (fresh["enabled"], fresh["created"], fresh["modified"]) == (True, born, born)
    off = (await ask(harness, "POST", f"{path}/disable")).json()["result"]
    on = (await ask(harness, "POST", f"{path}/enable")).json()["result"]
    assert (off["enabled"], on["enabled"]) == (False, True)
    assert born <= off["created"] == on["created"]
    assert off["modified"] <= on["modified"]


async def test_head_answers_like_get(harness: Harness) -> None:
    """Everywhere that GET does: status and headers, no body; elsewhere 405 with the methods that are answered."""
    one = harness.domains[ONE]
    for path in ("/zones", f"/zones/{one.id}/email/routing/rules", "/user/tokens/verify"):
        got, head = await ask(harness, "GET", path), await ask(harness, "HEAD", path)
        assert (head.status_code, head.content) == (200, b"")
        assert dict(head.headers) == dict(got.headers)
    transport = httpx.ASGITransport(harness.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        for path in ("/healthz", "/readyz", "/metrics", "/login", "/api/v1/openapi.json", "/static/style.css"):
            got, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (got.status_code, b""), path
            assert head.headers["content-type"] == got.headers["content-type"], path
        wrong = await client.delete("/healthz")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")
        assert (await client.head("/nothing")).status_code == 404
        assert (await client.head("/client/v4/graphql")).status_code == 405
        headers = {"Authorization": f"Bearer {harness.secrets['read']}"}
        export = await client.head("/api/v1/exports/records?format=csv", headers=headers)
        assert (export.status_code, export.content) == (200, b"")
        assert export.headers["content-type"].startswith("text/csv")
