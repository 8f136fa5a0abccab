"""A token of some domains gets 403 on everything that concerns the whole account: each route of the application.

The table names every route. A new one that it does not name fails the test: decide what such a token may do there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.routing import BaseRoute

from dmarcworks.api.compat import inject
from dmarcworks.catalogue.activity import ActivityLine
from tests.support.harness import Harness
from tests.support.registered import walk
from tests.support.rest import built

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What a token of one domain gets, whatever its scope:
#   whole   403, also where the thing does not exist
#   domain  its own domains' things; another domain's, 404
#   rows    an answer from the rows of its domains only
#   own     the name and id of its account, which a client needs to build addresses
#   open    no token is asked
#   page    a session of a person is asked, a token is nothing there
#   machine the secret of this machine's commands is asked
REACH: dict[str, str] = {
    "GET /healthz": "open",
    "GET /readyz": "open",
    "GET /metrics": "open",
    "POST /client/v4/accounts/{account_id}/analytics_engine/sql": "rows",
    "GET /client/v4/accounts/{account_id}/analytics_engine/sql": "rows",
    "POST /client/v4/graphql": "rows",
    "GET /client/v4/zones/{zone}/email/security/dmarc-reports": "domain",
    "PATCH /client/v4/zones/{zone}/email/security/dmarc-reports": "domain",
    "GET /client/v4/zones/{zone}/email/auth/dmarc-reports": "domain",
    "PATCH /client/v4/zones/{zone}/email/auth/dmarc-reports": "domain",
    "GET /client/v4/user/tokens/verify": "own",
    "GET /client/v4/accounts": "own",
    "GET /client/v4/accounts/{account}": "own",
    "GET /client/v4/accounts/{account}/tokens/verify": "own",
    "GET /client/v4/zones": "rows",
    "GET /client/v4/zones/{zone}": "domain",
    "GET /client/v4/zones/{zone}/email/routing": "domain",
    "POST /client/v4/zones/{zone}/email/routing/enable": "domain",
    "POST /client/v4/zones/{zone}/email/routing/disable": "domain",
    "GET /client/v4/zones/{zone}/email/routing/dns": "domain",
    "GET /client/v4/zones/{zone}/email/routing/rules": "domain",
    "POST /client/v4/zones/{zone}/email/routing/rules": "domain",
    "GET /client/v4/zones/{zone}/email/routing/rules/catch_all": "domain",
    "PUT /client/v4/zones/{zone}/email/routing/rules/catch_all": "domain",
    "GET /client/v4/zones/{zone}/email/routing/rules/{rule}": "domain",
    "PUT /client/v4/zones/{zone}/email/routing/rules/{rule}": "domain",
    "DELETE /client/v4/zones/{zone}/email/routing/rules/{rule}": "domain",
    "GET /client/v4/accounts/{account}/email/routing/addresses": "whole",
    "POST /client/v4/accounts/{account}/email/routing/addresses": "whole",
    "GET /client/v4/accounts/{account}/email/routing/addresses/{address}": "whole",
    "DELETE /client/v4/accounts/{account}/email/routing/addresses/{address}": "whole",
    "POST /cdn-cgi/handler/email": "whole",  # for addresses outside its domains
    "GET /api/v1/accounts": "own",
    "GET /api/v1/accounts/{account_id}": "own",
    "GET /api/v1/domains": "rows",
    "POST /api/v1/domains": "whole",
    "GET /api/v1/domains/{domain}": "domain",
    "PATCH /api/v1/domains/{domain}": "domain",
    "DELETE /api/v1/domains/{domain}": "whole",
    "GET /api/v1/domains/{domain}/setup": "domain",
    "POST /api/v1/domains/{domain}/setup/check": "domain",
    "POST /api/v1/domains/import": "whole",
    "GET /api/v1/domain-claims": "whole",
    "POST /api/v1/domain-claims": "whole",
    "GET /api/v1/domain-claims/{domain}": "whole",
    "POST /api/v1/domain-claims/{domain}/check": "whole",
    "DELETE /api/v1/domain-claims/{domain}": "whole",
    "GET /api/v1/notices": "whole",
    "DELETE /api/v1/notices/{notice}": "whole",
    "GET /api/v1/rua-addresses": "rows",
    "GET /api/v1/rua-addresses/{address}": "domain",
    "PATCH /api/v1/rua-addresses/{address}": "domain",
    "GET /api/v1/domains/{domain}/check": "domain",
    "GET /api/v1/domains/{domain}/checks": "domain",
    "POST /api/v1/domains/{domain}/checks": "domain",
    "GET /api/v1/domains/{domain}/history": "domain",
    "GET /api/v1/domains/{domain}/silence": "domain",
    "GET /api/v1/domains/{domain}/figures": "domain",
    "GET /api/v1/domains/{domain}/days": "domain",
    "GET /api/v1/domains/{domain}/sources": "domain",
    "GET /api/v1/domains/{domain}/senders": "domain",
    "GET /api/v1/domains/{domain}/senders/{sender}": "domain",
    "GET /api/v1/domains/{domain}/senders/{sender}/addresses": "domain",
    "PUT /api/v1/domains/{domain}/senders/{sender}/decision": "domain",
    "DELETE /api/v1/domains/{domain}/senders/{sender}/decision": "domain",
    "GET /api/v1/domains/{domain}/policy": "domain",
    "GET /api/v1/domains/{domain}/policy/replay": "domain",
    "GET /api/v1/domains/{domain}/policy/plan": "domain",
    "GET /api/v1/domains/{domain}/spf-prune": "domain",
    "GET /api/v1/evidence": "rows",
    "GET /api/v1/own-senders": "whole",
    "POST /api/v1/own-senders": "whole",
    "GET /api/v1/own-senders/{own_id}": "whole",
    "DELETE /api/v1/own-senders/{own_id}": "whole",
    "GET /api/v1/domains/{domain}/reporters": "domain",
    "GET /api/v1/reports": "rows",
    "POST /api/v1/reports": "domain",
    "GET /api/v1/reports/{report}": "domain",
    "GET /api/v1/reports/{report}/records": "domain",
    "GET /api/v1/reports/{report}/policies": "domain",
    "GET /api/v1/reports/{report}/raw": "domain",
    "GET /api/v1/uploads": "rows",
    "GET /api/v1/uploads/{mail_id}": "domain",
    "GET /api/v1/problems": "rows",
    "GET /api/v1/problems/{problem}": "domain",
    "GET /api/v1/problems/{problem}/raw": "domain",
    "POST /api/v1/problems/discard-other": "rows",
    "POST /api/v1/problems/{problem}/retry": "domain",
    "POST /api/v1/problems/{problem}/discard": "domain",
    "POST /api/v1/problems/{problem}/adopt": "domain",
    "GET /api/v1/exports/{kind}": "rows",
    "GET /api/v1/activity": "rows",
    "GET /api/v1/activity/summary": "rows",
    "GET /api/v1/activity/{line_id}": "domain",
    "GET /api/v1/users": "whole",
    "POST /api/v1/users": "whole",
    "GET /api/v1/users/{user_id}": "whole",
    "DELETE /api/v1/users/{user_id}": "whole",
    "GET /api/v1/tokens": "whole",
    "POST /api/v1/tokens": "whole",
    "GET /api/v1/tokens/{token_id}": "whole",
    "DELETE /api/v1/tokens/{token_id}": "whole",
    "GET /api/v1/audit": "whole",
    "GET /api/v1/sql/log": "whole",
    "GET /api/v1/worker-queues": "whole",
    "GET /api/v1/worker-queues/dead": "whole",
    "GET /api/v1/worker-queues/dead/{message}": "whole",
    "POST /api/v1/worker-queues/dead/{message}/retry": "whole",
    "POST /api/v1/worker-queues/dead/{message}/discard": "whole",
    "GET /api/v1/mailboxes": "whole",
    "POST /api/v1/mailboxes": "whole",
    "GET /api/v1/mailboxes/{mailbox}": "whole",
    "PATCH /api/v1/mailboxes/{mailbox}": "whole",
    "DELETE /api/v1/mailboxes/{mailbox}": "whole",
    "POST /api/v1/mailboxes/{mailbox}/test": "whole",
    "POST /api/v1/mailboxes/{mailbox}/run": "whole",
    "GET /api/v1/mailboxes/{mailbox}/left": "whole",
    "GET /api/v1/mailbox-domains": "whole",
    "POST /api/v1/mailbox-domains": "whole",
    "GET /api/v1/openapi.json": "open",
    "GET /internal/ping": "machine",
    "POST /internal/sql": "machine",
    "GET /internal/rest/{path:path}": "machine",
}
# Bodies that are well formed, so that it is the token that is refused.
BODIES: dict[str, Any] = {
    "POST /api/v1/domains": {"name": "more.example"},
    "POST /api/v1/domains/import": {"csv": "more.example"},
    "POST /api/v1/domain-claims": {"name": "more.example"},
    "POST /api/v1/own-senders": {"name": "Billing", "evidence": "block", "value": "203.0.113.0/28"},
    "PUT /api/v1/domains/{domain}/senders/{sender}/decision": {"decision": "mine"},
    "POST /api/v1/domains/{domain}/checks": {"selectors": ["s1"]},
    "POST /api/v1/mailboxes": {"name": "reports", "url": "imaps://a@imap.example/INBOX", "password": "x"},
    "PATCH /api/v1/mailboxes/{mailbox}": {"paused": True},
    "POST /api/v1/mailbox-domains": {"name": "more.example"},
    "POST /api/v1/users": {"email": "x@example.com"},
    "POST /api/v1/tokens": {},
    "POST /client/v4/accounts/{account}/email/routing/addresses": {"email": "me@example.org"},
    "PATCH /api/v1/domains/{domain}": {"enabled": True},
    "PATCH /api/v1/rua-addresses/{address}": {"enabled": True},
    "PATCH /client/v4/zones/{zone}/email/security/dmarc-reports": {"enabled": True},
    "PATCH /client/v4/zones/{zone}/email/auth/dmarc-reports": {"enabled": True},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def harness(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    """Its own, apart from tests/api/rest: every route is called here, also those that change things."""
    async with built(tmp_path_factory.mktemp("reach") / "home") as made:
        yield made


def registered(harness: Harness) -> dict[str, BaseRoute]:
    # The application of these tests accepts no mail, so this route is added by hand.
    return dict(walk([*harness.app.routes, *inject.routes.routes]))


def page(route: BaseRoute) -> bool:
    """Whether it is one of the dashboard's, which know sessions only."""
    endpoint = getattr(route, "endpoint", None)
    return getattr(endpoint, "__module__", "").startswith("dmarcworks.dashboard")


async def test_every_route_is_classified(harness: Harness) -> None:
    """What is registered and what the table names are the same."""
    found = {name for name, route in registered(harness).items() if not page(route)}
    assert found - set(REACH) == set(), "say in REACH what a token of some domains gets there"
    assert set(REACH) - found == set(), "these are no routes any more"


async def ask(harness: Harness, who: str, name: str, path: str) -> httpx.Response:
    method = name.partition(" ")[0]
    transport = httpx.ASGITransport(harness.app, raise_app_exceptions=False, client=("192.0.2.1", 1))
    headers = {"Authorization": f"Bearer {harness.secrets[who]}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
        return await client.request(method, path, json=BODIES.get(name))


async def filled(harness: Harness, name: str, domain: str) -> str:
    """The route's path with one domain's own things."""
    found = harness.domains[domain]
    (report, *_) = (await harness.get("write", "/reports", params={"domain": domain, "report_id": "r1"}))["items"]
    problems = (await harness.get("write", "/problems", params={"domain": domain}))["items"]
    if not problems:
        problems = (await harness.upload("write", domain, b"<feedback/>"))["problems"]
    lines = (await harness.get("write", "/activity", params={"q": f"reach@{domain}"}))["activity"]
    if not lines:
        told = (datetime.now(UTC), f"reach@{domain}", "b@x.example", "192.0.2.1", 9, "", "dmarc", "handled", "250")
        harness.stores.routing.activity.note(ActivityLine(*told, found.account_id, found.id))
        await harness.stores.routing.activity.flush()
        lines = (await harness.get("write", "/activity", params={"q": f"reach@{domain}"}))["activity"]
    values = {
        "account": found.account_id,
        "account_id": found.account_id,
        "zone": found.id,
        "domain": found.id,
        "rule": "0" * 32,
        "report": report["id"],
        "mail_id": report["mail_id"],
        "problem": problems[0]["id"],
        "line_id": lines[0]["id"],
        "message": "1",
        "user_id": "0" * 32,
        "sender": f"self:s1._domainkey.{domain}",
        "own_id": "1",
        "notice": "1",
        "token_id": "0" * 32,
        "mailbox": "0" * 32,
        "kind": "records",
        "path": "api/v1/domains",
        "address": found.rua if "rua-addresses" in name else "me@example.org",
    }
    return name.partition(" ")[2].replace(":path}", "}").format_map(values)


@pytest.mark.parametrize("who", ["limited", "limited admin"])
@pytest.mark.parametrize("name", [name for name, reach in REACH.items() if reach == "whole"])
async def test_what_concerns_the_account_is_refused(harness: Harness, who: str, name: str) -> None:
    """403, by path and by token alone, whether or not the thing exists."""
    if name == "POST /cdn-cgi/handler/email":
        return  # tests/routing/test_walls.py: it needs a router
    answer = await ask(harness, who, name, await filled(harness, name, "one.example"))
    assert answer.status_code == 403, answer.text


@pytest.mark.parametrize("name", [name for name, reach in REACH.items() if reach == "domain"])
async def test_another_domain_is_not_there(harness: Harness, name: str) -> None:
    """404 for a domain of the same account that the token is not for; its own is another answer, never 403."""
    if name == "POST /api/v1/reports":
        answer = await harness.request("limited", "POST", "/reports?domain=two.example", content=b"x")
        assert answer.status_code == 404
        return
    answer = await ask(harness, "limited admin", name, await filled(harness, name, "two.example"))
    assert answer.status_code == 404, answer.text
    own = await ask(harness, "limited admin", name, await filled(harness, name, "one.example"))
    assert own.status_code in (200, 202, 204, 400, 404, 409), own.text


@pytest.mark.parametrize("name", [name for name, reach in REACH.items() if reach == "machine"])
async def test_commands_have_an_entrance_of_their_own(harness: Harness, name: str) -> None:
    answer = await ask(harness, "limited admin", name, await filled(harness, name, "one.example"))
    assert answer.status_code == 401, answer.text


async def test_rows_are_those_of_its_domains(harness: Harness) -> None:
    """SQL, GraphQL and every list: nothing of the account's other domain is in them."""
    mine = harness.domains["one.example"].account_id
    transport = httpx.ASGITransport(harness.app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {harness.secrets['limited']}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
        for table in ("dmarc_reports", "tls_reports", "failure_reports", "data_points"):
            statement = f"SELECT domain_id, count() AS n FROM {table} GROUP BY domain_id"
            answer = await client.post(f"/client/v4/accounts/{mine}/analytics_engine/sql", content=statement)
            assert answer.status_code == 200, answer.text
            assert {row["domain_id"] for row in answer.json()["data"]} <= {harness.domains["one.example"].id}
        query = {"query": "{viewer{zones(limit:10){zoneTag} accounts(limit:10){domains(limit:100){name}}}}"}
        answer = await client.post("/client/v4/graphql", json=query)
        assert "two.example" not in answer.text
        zones = (await client.get("/client/v4/zones")).json()["result"]
        assert [zone["name"] for zone in zones] == ["one.example"]
        assert harness.domains["two.example"].id not in answer.text
    for path in ("/domains", "/rua-addresses", "/reports", "/uploads", "/problems", "/activity", "/exports/records"):
        text = (await harness.request("limited", "GET", path)).text
        assert "two.example" not in text, path
        assert harness.domains["two.example"].id not in text, path
