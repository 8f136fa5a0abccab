"""A query parameter that a route does not have is refused: 400 with its name and the known ones, on every route.

The routes are those that are registered, so that a new one is checked without being listed here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from dmarcworks.api.compat.envelope import EnvelopeRoute
from tests.support.harness import HOST, Harness
from tests.support.registered import walk
from tests.support.rest import built

pytestmark = pytest.mark.asyncio(loop_scope="module")

VALUES = {
    "domain": "one.example",
    "address": f"{'0' * 32}@{HOST}",
    "report": "0" * 64,
    "kind": "records",
    "account_id": "0" * 32,
    "user_id": "0" * 32,
    "token_id": "0" * 32,
    "mail_id": "0" * 32,
    "problem": "1",
    "line_id": "1",
    "sender": "dkim:mail.example",
    "own_id": "0" * 32,
    "notice": "1",
    "mailbox": "0" * 32,
    "message": "1",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def harness(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    async with built(tmp_path_factory.mktemp("parameters") / "home") as made:
        yield made


def query_of(operation: dict[str, Any]) -> list[str]:
    """The names of an operation's query parameters, sorted."""
    return sorted(one["name"] for one in operation["parameters"] if one["in"] == "query")


async def test_every_operation_of_the_openapi_document_refuses_an_unknown_parameter(harness: Harness) -> None:
    """Reads and writes alike, before anything is looked up or done; the error names what is known."""
    document = await harness.get("admin", "/openapi.json")
    operations = [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    lists = [path for method, path, _ in operations if method == "GET" and "{" not in path]
    assert {"/domains", "/reports", "/problems", "/activity", "/audit", "/users", "/tokens"} <= set(lists)
    changes = len(await harness.stores.audit.list(limit=1000))
    for method, path, operation in operations:
        known = query_of(operation)
        named = f"known parameters: {', '.join(known)}" if known else "there are none here"
        answer = await harness.request("admin", method, path.format_map(VALUES), params={"enable": "1"})
        body = answer.json()
        assert (answer.status_code, body["detail"]) == (400, f"unknown parameter 'enable'; {named}"), (method, path)
        assert "400" in operation["responses"], (method, path)
        for name in known:
            twice = await harness.request("admin", method, path.format_map(VALUES), params={name: ["1", "2"]})
            expected = (400, f"the parameter {name} is given more than once")
            assert (twice.status_code, twice.json()["detail"]) == expected, (method, path)
    assert len(await harness.stores.audit.list(limit=1000)) == changes
    nobody = {"Authorization": "Bearer nobody"}
    stranger = await harness.request("admin", "GET", "/domains", params={"enable": "1"}, headers=nobody)
    assert stranger.status_code == 401


async def test_every_list_under_client_v4_refuses_an_unknown_parameter(harness: Harness) -> None:
    """A list is what answers with one: it has pages, and refuses what it does not know."""
    one = harness.domains["one.example"]
    values = {"zone": one.id, "account": one.account_id, "rule": "0" * 32, "address": "0" * 32}
    transport = httpx.ASGITransport(harness.app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {harness.secrets['admin']}"}
    lists = set()
    async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
        for name, route in walk(harness.app.routes):
            if not isinstance(route, EnvelopeRoute) or not name.startswith("GET "):
                continue
            path = name.removeprefix("GET ").format_map(values)
            plain = (await client.get(path)).json()
            if not isinstance(plain["result"], list):
                continue
            lists.add(path.rpartition("/")[2])
            assert plain["result_info"]["page"] == 1, name
            refused = await client.get(path, params={"enable": "true"})
            (error,) = refused.json()["errors"]
            assert (refused.status_code, error["code"]) == (400, 1001), name
            assert error["message"].startswith("unknown parameter 'enable'; known parameters: "), name
            assert "page, per_page" in error["message"], name
    assert lists == {"accounts", "zones", "rules", "addresses", "dns"}


async def test_enabled_filters_every_list_that_has_it(harness: Harness) -> None:
    """Domains, rua addresses and users, with the sums of both halves being the whole."""
    accounts = harness.stores.accounts
    for name in ("ann", "ben"):
        await accounts.add_user(f"{name}@example.com", "mine")
    ben = await accounts.user("ben@example.com")
    assert ben is not None
    await accounts.enable_user(ben, False)
    harness.domains["two.example"] = await accounts.enable_domain(harness.domains["two.example"], False)
    try:
        for path, key, on, off in (
            ("/domains", "name", ["one.example"], ["two.example"]),
            ("/rua-addresses", "domain", ["one.example"], ["two.example"]),
            ("/users", "email", ["ann@example.com"], ["ben@example.com"]),
        ):
            for enabled, expected in (("true", on), ("false", off)):
                items = (await harness.get("admin", path, params={"enabled": enabled}))["items"]
                assert [item[key] for item in items] == expected, (path, enabled)
                assert {item["enabled"] for item in items} == {enabled == "true"}, path
            assert len((await harness.get("admin", path))["items"]) == 2, path
    finally:
        harness.domains["two.example"] = await accounts.enable_domain(harness.domains["two.example"], True)


async def test_every_valid_rua_address_is_listed(harness: Harness) -> None:
    """After the host's name changed: the current address and the earlier ones, in pages; each answers by itself."""
    accounts = harness.stores.accounts
    first = {name: harness.domains[name].rua for name in ("one.example", "two.example")}
    accounts.hostname = "dmarc.example.org"
    try:
        await accounts.settle_hostname()
        current = {name: f"{rua.partition('@')[0]}@dmarc.example.org" for name, rua in first.items()}
        expected = [(current["one.example"], True), (first["one.example"], False)]
        expected += [(current["two.example"], True), (first["two.example"], False)]
        listed, cursor = [], ""
        for _ in range(4):
            page = await harness.get("read", "/rua-addresses", params={"limit": 1, "cursor": cursor})
            listed += [(item["address"], item["current"]) for item in page["items"]]
            cursor = page["next"]
        assert (listed, cursor) == (expected, None)
        domain = await harness.get("read", "/domains/one.example")
        assert (domain["rua"], domain["earlier"]) == (current["one.example"], [first["one.example"]])
        earlier = await harness.get("read", f"/rua-addresses/{first['one.example']}")
        assert earlier == {
            "address": first["one.example"],
            "current": False,
            "domain_id": domain["id"],
            "domain": "one.example",
            "enabled": True,
        }
        switched = await harness.request(
            "write", "PATCH", f"/rua-addresses/{first['one.example']}", json={"enabled": False}
        )
        assert (switched.status_code, switched.json()["enabled"]) == (200, False)
        assert [await harness.stores.kv.get(f"dmarc:{one}") for one, _ in expected[:2]] == [None, None]
        back = await harness.request("write", "PATCH", f"/rua-addresses/{first['one.example']}", json={"enabled": True})
        assert (back.status_code, back.json()) == (200, earlier)
        hidden = await harness.request("theirs", "GET", f"/rua-addresses/{first['one.example']}")
        assert hidden.status_code == 404
    finally:
        accounts.hostname = HOST
        await accounts.settle_hostname()
