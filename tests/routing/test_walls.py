"""Walls between tenants over routing: every action of one tenant × every address of another, and of the operator.

The real router, catalogue, relay and HTTP application. Whatever the attacker does, with whatever answer, each mail to
somebody else's address goes where it went before, and nothing of it reaches the attacker.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from sqlalchemy import insert, text

from dmarcworks.bindings.absent import AbsentAnalytics
from dmarcworks.catalogue import mail_tables, tables
from dmarcworks.catalogue.accounts import Accounts, Domain
from dmarcworks.catalogue.routes import Zone, zone_of
from dmarcworks.catalogue.stores import Stores, opened
from dmarcworks.ingest.setup import environment
from dmarcworks.process.metrics import Metrics
from dmarcworks.process.supervisor import Supervisor
from dmarcworks.routing.router import Router
from dmarcworks.routing.smtp import Peer
from dmarcworks.settings import load
from dmarcworks.wiring.http import http_app
from dmarcworks.wiring.routing import routing
from tests.support.mails import report_mail
from tests.support.outside import Sink, listening

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST, OLD_HOST = "reports.example.net", "old.example.org"
LOOT = "loot@attacker-corp.example"
RAW = (
    b"From: who@sender.example\r\nTo: x@victim.example\r\nMessage-ID: <1@sender.example>\r\nSubject: x\r\n\r\nHello\r\n"
)


@dataclass
class World:
    """A victim with domains, rules and addresses for reports, the operator, and an attacker with a token."""

    stores: Stores
    router: Router
    app: FastAPI
    sink: Sink
    secret: str = ""
    account_id: str = ""
    own: Domain | None = None
    ids: dict[str, str] = field(default_factory=dict)
    # Address → where its mail goes: an outcome, and who gets it from the relay.
    addresses: dict[str, tuple[str, str]] = field(default_factory=dict)

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """A request of the attacker's, from another machine."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=("192.0.2.66", 1))
        headers = {"Authorization": f"Bearer {self.secret}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
            answer = await client.request(method, path, json=body, **options)
        assert answer.status_code < 500, answer.text
        return answer

    async def domain(self, name: str) -> str:
        """Add a domain; its id, or that of the domain which is asked for when it was refused."""
        answer = await self.ask("POST", "/api/v1/domains", {"name": name})
        return str(answer.json().get("id", name))

    async def rule(self, zone: str, address: str, action: str = "drop", **more: Any) -> httpx.Response:
        """A rule with the first word."""
        actions = [{"type": action, "value": [LOOT]} if action == "forward" else {"type": action}]
        matchers = [{"type": "literal", "field": "to", "value": address}] if address else [{"type": "all"}]
        body = {"actions": actions, "matchers": matchers, "enabled": True, "priority": -1, **more}
        base = f"/client/v4/zones/{zone}/email/routing/rules"
        return await (self.ask("POST", base, body) if address else self.ask("PUT", f"{base}/catch_all", body))

    async def every_rule(self, name: str) -> None:
        """Add a domain, then a rule on each address that is somebody else's, and the catch-all."""
        zone = await self.domain(name)
        for address in self.addresses:
            for action in ("drop", "forward"):
                await self.rule(zone, address, action)
        await self.rule(zone, "", "forward")

    async def planted(self, name: str, domain_id: str | None = None) -> None:
        """Rows as a version without these walls would have left them: the domain, and a rule on every address."""
        domain_id, now = domain_id or uuid.uuid4().hex, 1.0
        async with self.stores.database.write() as connection:
            if name:
                there = (await connection.execute(tables.domains.select().where(tables.domains.c.name == name))).first()
                if there is None:
                    row = {"id": domain_id, "account_id": self.account_id, "name": name, "created": now}
                    rua = f"{uuid.uuid4().hex}@{HOST}"
                    await connection.execute(insert(tables.domains).values(**row, rua=rua, enabled=True))
            for address in [*self.addresses, ""]:
                plain = address.strip('"').lower().rstrip(".")
                for mail_domain in {plain.rpartition("@")[2], HOST, OLD_HOST, "victim.example"}:
                    row = {"id": uuid.uuid4().hex, "account_id": self.account_id, "domain_id": domain_id, "name": ""}
                    row |= {"domain": mail_domain, "address": plain, "enabled": True, "priority": -1}
                    row |= {"action": "forward", "value": LOOT, "created": now, "modified": now}
                    await connection.execute(insert(mail_tables.routing_rules).values(row))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    home: Path = tmp_path_factory.mktemp("walls") / "home"
    with listening(Sink()) as sink:
        settings, _ = load(
            {
                "DMARCWORKS_HOME": str(home),
                "DMARCWORKS_HOSTNAME": HOST,
                "DMARCWORKS_OPERATOR_ACCOUNT": "ops",
                "DMARCWORKS_ROUTING_SUBADDRESSING": "true",
                "DMARCWORKS_RELAY_URL": sink.url,
                "DMARCWORKS_FORWARD_AUTH": "off",
                "DMARCWORKS_API_REQUESTS_PER_MINUTE": "1000000",
            }
        )
        async with opened(settings) as stores:
            env = environment(settings, stores, AbsentAnalytics())
            # An address that was handed out under an earlier name of this host.
            aged = await Accounts(stores.database, stores.kv, OLD_HOST).add_domain("aged.test", "victim")
            async with routing(settings, stores, env, Metrics()) as mail, Supervisor() as supervisor:
                await supervisor.start(mail.background_tasks())
                app = http_app(settings, stores, AbsentAnalytics(), f"https://{HOST}", router=mail.router)
                made = World(stores, mail.router, app, sink)
                await _victim(made, aged)
                mine = await stores.accounts.add_domain("attacker.test", "attacker")
                made.own, made.account_id = mine, mine.account_id
                made.secret, _ = await stores.accounts.create_token(mine.account_id, "admin")
                await stores.routing.destinations.add(mine.account_id, LOOT, verified=True)
                yield made


async def _victim(world: World, aged: Domain) -> None:
    stores, routes = world.stores, world.stores.routing.routes
    domain = await stores.accounts.add_domain("victim.example", "victim")
    deep = await stores.accounts.add_domain("deep.parent.example", "victim")
    off = await stores.accounts.add_domain("off.example", "victim")
    await stores.accounts.enable_domain(off, False)
    account = domain.account_id
    for email in ("inbox@victim-corp.example", "rest@victim-corp.example"):
        await stores.routing.destinations.add(account, email, verified=True)
    zone, inbox = zone_of(domain), "inbox@victim-corp.example"
    named = await routes.add(zone, "info@victim.example", "forward", inbox)
    await routes.add(zone, "x@sub.victim.example", "forward", inbox)
    await routes.add(zone_of(deep), "me@deep.parent.example", "forward", inbox)
    await routes.set_catch_all(zone, "forward", "rest@victim-corp.example")
    operator = await stores.accounts.account_by_name("ops", create=True)
    await stores.routing.destinations.add(operator.id, "ops@ops.example", verified=True)
    await routes.add(Zone(operator.id, "", HOST), f"postmaster@{HOST}", "forward", "ops@ops.example")
    await routes.set_catch_all(Zone(operator.id, "", HOST), "forward", "ops@ops.example")
    world.ids = {"zone": domain.id, "rule": named.id, "account": account, "off": off.rua, "rua": domain.rua}
    world.sink.taken.clear()
    await world.router.route("who@sender.example", "info@victim.example", RAW, Peer("192.0.2.1", "x"))
    bounce = world.sink.taken[-1][0]
    assert bounce.startswith("srs0=")
    local, _, _ = domain.rua.partition("@")
    reports = ("handled", "")
    world.addresses = {
        domain.rua: reports,
        domain.rua.upper(): reports,
        f"{domain.rua}.": reports,
        f'"{local}"@{HOST}': reports,
        f"{local}@reports.ｅxample.net": reports,
        aged.rua: reports,
        deep.rua: reports,
        off.rua: ("rejected", ""),
        "info@victim.example": ("forwarded", inbox),
        "INFO@Victim.Example.": ("forwarded", inbox),
        '"info"@victim.example': ("forwarded", inbox),
        "info+tag@victim.example": ("forwarded", inbox),
        "anything@victim.example": ("forwarded", "rest@victim-corp.example"),
        "x@sub.victim.example": ("forwarded", inbox),
        "me@deep.parent.example": ("forwarded", inbox),
        f"postmaster@{HOST}": ("forwarded", "ops@ops.example"),
        f"{local}+tag@{HOST}": ("forwarded", "ops@ops.example"),
        bounce: ("forwarded", "who@sender.example"),
        bounce.replace(HOST, OLD_HOST): ("forwarded", "who@sender.example"),
    }


Action = Callable[[World], Awaitable[object]]


async def _own_zone(world: World) -> None:
    assert world.own is not None
    for address in world.addresses:
        await world.rule(world.own.id, address, "forward")


async def _renamed(world: World) -> None:
    assert world.own is not None
    made = (await world.rule(world.own.id, "mine@attacker.test")).json()["result"]["id"]
    base = f"/client/v4/zones/{world.own.id}/email/routing/rules/{made}"
    for address in world.addresses:
        body = {"actions": [{"type": "drop"}], "matchers": [{"type": "literal", "field": "to", "value": address}]}
        await world.ask("PUT", base, {**body, "enabled": True, "priority": -1})
    assert (await world.ask("GET", base)).json()["result"]["matchers"][0]["value"] == "mine@attacker.test"


async def _enabled_later(world: World) -> None:
    zone = await world.domain("later.example")
    for address in world.addresses:
        made = await world.rule(zone, address, "forward", enabled=False)
        if made.status_code == 200:
            body = made.json()["result"] | {"enabled": True}
            await world.ask("PUT", f"/client/v4/zones/{zone}/email/routing/rules/{body['id']}", body)


async def _their_zone(world: World) -> None:
    zone, rule = world.ids["zone"], world.ids["rule"]
    base = f"/client/v4/zones/{zone}"
    for method, path, body in (
        ("POST", f"{base}/email/routing/disable", None),
        ("DELETE", f"{base}/email/routing/rules/{rule}", None),
        ("PATCH", f"{base}/email/security/dmarc-reports", {"enabled": False}),
        ("PATCH", f"/api/v1/domains/{zone}", {"enabled": False}),
        ("DELETE", f"/api/v1/domains/{zone}", None),
        ("PATCH", f"/api/v1/rua-addresses/{world.ids['rua']}", {"enabled": False}),
        ("DELETE", "/api/v1/domains/victim.example", None),
        ("POST", "/api/v1/tokens", {"scope": "write", "domains": [zone]}),
        ("GET", f"/client/v4/accounts/{world.ids['account']}/email/routing/addresses", None),
    ):
        assert (await world.ask(method, path, body)).status_code in (403, 404), path
    for address in world.addresses:
        assert (await world.rule(zone, address)).status_code == 404
    assert (await world.rule(zone, "")).status_code == 404
    assert world.own is not None
    own = f"/client/v4/zones/{world.own.id}/email/routing/rules/{rule}"
    assert (await world.ask("DELETE", own)).status_code == 404
    drop = {"actions": [{"type": "drop"}], "matchers": [{"type": "literal", "value": "a@attacker.test"}]}
    assert (await world.ask("PUT", own, drop)).status_code == 404


async def _destinations(world: World) -> None:
    base = f"/client/v4/accounts/{world.account_id}/email/routing/addresses"
    for address in (*world.addresses, "inbox@victim-corp.example"):
        await world.ask("POST", base, {"email": address})
    for email in ("inbox@victim-corp.example", "rest@victim-corp.example", "ops@ops.example"):
        await world.ask("DELETE", f"{base}/{email}")
        assert (await world.ask("GET", f"{base}/{email}")).status_code == 404
    world.sink.taken.clear()


async def _injected(world: World) -> None:
    for address in world.addresses:
        query = {"from": "me@attacker.test", "to": address, "format": "json"}
        answer = await world.ask("POST", "/cdn-cgi/handler/email", params=query, content=RAW)
        assert answer.status_code == 403, (address, answer.text)
        assert "victim-corp" not in answer.text
    assert not [taken for taken in world.sink.taken if b"Hello" in taken[2]]


async def _orphans(world: World) -> None:
    for name in ("gone.example", "mine.victim.example"):
        zone = await world.domain(name)
        await world.rule(zone, f"a@{name}", "forward")
        await world.rule(zone, "", "forward")
        await world.ask("DELETE", f"/api/v1/domains/{zone}")
        await world.domain(name)


def _adds(*names: str) -> Action:
    async def act(world: World) -> None:
        for name in names:
            await world.every_rule(name)

    return act


def _planted(name: str, domain_id: str | None = None) -> Action:
    async def act(world: World) -> None:
        await world.planted(name, domain_id)

    return act


ACTIONS: dict[str, Action] = {
    "the report host": _adds(HOST),
    "a parent of it": _adds("example.net"),
    "a sub-domain of it": _adds(f"foo.{HOST}"),
    "the report host in other spellings": _adds(
        HOST.upper(), f"{HOST}.", "reports․example․net", "ｒeports.example.net", "reports。example。net", f" {HOST} "
    ),
    "a host of before": _adds(OLD_HOST, "example.org", f"x.{OLD_HOST}"),
    "public suffixes": _adds("github.io", "co.uk", "kawasaki.jp", "example", "net"),
    "the victim's domain": _adds("victim.example", "VICTIM.example.", "ｖictim.example"),
    "a domain below it, with an address": _adds("sub.victim.example"),
    "a domain below it": _adds("new.victim.example", "a.b.victim.example"),
    "a parent of the victim's domain": _adds("parent.example"),
    "a domain below the victim's deep one": _adds("x.deep.parent.example"),
    "rules in its own zone": _own_zone,
    "a rule that is renamed": _renamed,
    "rules that are enabled later": _enabled_later,
    "the victim's zone, rules and domain by their ids": _their_zone,
    "destinations": _destinations,
    "mail put in over HTTP": _injected,
    "domains that come and go": _orphans,
    "rows of before: the report host": _planted(HOST),
    "rows of before: a parent of it": _planted("example.net"),
    "rows of before: a host of before": _planted(OLD_HOST),
    "rows of before: a public suffix": _planted("co.uk"),
    "rows of before: a parent of a domain": _planted("parent.example"),
    "rows of before: rules without a domain": _planted("", "0" * 32),
}


@pytest.mark.parametrize("name", ACTIONS)
async def test_no_action_gets_or_stops_anothers_mail(world: World, name: str) -> None:
    """After it, and after all before it, mail to each address goes where it went; the attacker gets nothing."""
    world.sink.taken.clear()
    await ACTIONS[name](world)
    world.stores.routing.routes.forget()
    wrong = []
    for address, (outcome, to) in world.addresses.items():
        world.sink.taken.clear()
        refusal = await world.router.recipient(address)
        raw = report_mail(uuid.uuid4().hex, domain="victim.example") if outcome == "handled" else RAW
        sender = "" if address.startswith("srs0=") else "who@sender.example"
        routed = await world.router.route(sender, address, raw, Peer("192.0.2.1", "x"))
        got = [recipient for _, recipient, _ in world.sink.taken]
        if (routed.outcome, got) != (outcome, [to] if to else []) or (refusal is None) != (outcome != "rejected"):
            wrong.append((address, routed.outcome, routed.reply, got, refusal))
    assert wrong == []


async def test_there_are_more_than_200_combinations(world: World) -> None:
    assert len(ACTIONS) * len(world.addresses) > 400


async def test_the_report_mails_are_the_victims(world: World) -> None:
    """Every report mail that came in above stands in the queue for the account whose address it was sent to."""
    async with world.stores.database.read() as connection:
        rows = (await connection.execute(text("SELECT body FROM queue"))).all()
    assert len(rows) > 100
    for row in rows:
        body = row.body if isinstance(row.body, str) else bytes(row.body).decode()
        assert f'"account_id": "{world.ids["account"]}"' in body or f'"account_id":"{world.ids["account"]}"' in body


async def test_a_token_of_some_domains_puts_in_mail_for_these_only(world: World) -> None:
    """Over HTTP from elsewhere: its own domain's addresses, 403 for others of its account; the operator's may all."""
    accounts, whole, base = world.stores.accounts, world.secret, "/cdn-cgi/handler/email?from=me@attacker.test&to="
    second = await accounts.add_domain("second.test", "attacker")
    assert world.own is not None
    for zone, address in ((world.own.id, "a@attacker.test"), (second.id, "a@second.test")):
        assert (await world.rule(zone, address)).status_code == 200
    world.secret, _ = await accounts.create_token(world.account_id, "write", domains=["attacker.test"])
    told = {}
    for to in (
        "a@attacker.test",
        "none@attacker.test",
        world.own.rua,
        "a@second.test",
        second.rua,
        f"postmaster@{HOST}",
    ):
        told[to] = (await world.ask("POST", base + to, content=RAW)).status_code
    assert list(told.values()) == [200, 400, 200, 403, 403, 403]
    world.secret = whole
    assert (await world.ask("POST", f"{base}a@second.test", content=RAW)).status_code == 200
    operator = await accounts.account_by_name("ops")
    world.secret, _ = await accounts.create_token(operator.id, "write")
    assert (await world.ask("POST", f"{base}a@second.test", content=RAW)).status_code == 200
    world.secret = whole
