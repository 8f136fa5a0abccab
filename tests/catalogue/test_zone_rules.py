"""Promise of rules when domains come and go: none stops by its owner's own doing, none outlives its domain."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from dmarcworks.catalogue import mail_tables
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.catalogue.review import review
from dmarcworks.catalogue.route_store import Routes
from dmarcworks.catalogue.routes import zone_of
from dmarcworks.errors import ConflictError, DeniedError
from tests.support.catalogue import Catalogue


async def in_effect(routes: Routes, mail_domain: str) -> list[str]:
    routes.forget()
    return [rule.address for rule in await routes.effective(mail_domain)]


async def test_own_rules_move_to_the_nearer_domain(catalogue: Catalogue) -> None:
    """When it is added, and at the start for rows from before; a deeper domain keeps its own."""
    accounts, routes = catalogue.accounts, Routes(catalogue.database, catalogue.accounts.zones, clock=catalogue.clock)
    parent = await accounts.add_domain("example.com", "one")
    deeper = await accounts.add_domain("a.sub.example.com", "one")
    moved = await routes.add(zone_of(parent), "x@sub.example.com", "drop")
    kept = await routes.add(zone_of(deeper), "x@a.sub.example.com", "drop")
    top = await routes.add(zone_of(parent), "x@example.com", "drop")
    sub = await accounts.add_domain("sub.example.com", "one")
    owners = {rule.id: rule.domain_id for rule in await routes.rules()}
    assert owners == {moved.id: sub.id, kept.id: deeper.id, top.id: parent.id}
    table = mail_tables.routing_rules
    async with catalogue.database.write() as connection:
        await connection.execute(update(table).where(table.c.id == moved.id).values(domain_id=parent.id))
    assert await in_effect(routes, "sub.example.com") == []
    assert await review(catalogue.database, routes, clock=catalogue.clock) == 1
    assert await in_effect(routes, "sub.example.com") == ["x@sub.example.com"]
    assert await review(catalogue.database, routes, clock=catalogue.clock) == 0
    assert [row.action for row in await catalogue.audit.list(action="route.move")] == ["route.move", "route.move"]


async def test_rules_go_with_their_domain(catalogue: Catalogue) -> None:
    """Whoever has the name next has none of them; the next domain above is the nearest again."""
    accounts, routes = catalogue.accounts, Routes(catalogue.database, catalogue.accounts.zones, clock=catalogue.clock)
    parent = await accounts.add_domain("example.com", "one")
    sub = await accounts.add_domain("sub.example.com", "two")
    await routes.add(zone_of(sub), "x@sub.example.com", "drop")
    with pytest.raises(DeniedError, match=r"another domain than example\.com is responsible"):
        await routes.add(zone_of(parent), "y@sub.example.com", "drop")
    await accounts.enable_domain(sub, False)
    await routes.enable(zone_of(sub), False)
    with pytest.raises(DeniedError):
        await routes.add(zone_of(parent), "y@sub.example.com", "drop")
    await accounts.remove_domain(sub)
    assert await routes.rules() == []
    (removed,) = await catalogue.audit.list(action="route.remove")
    assert (removed.target, removed.account_id) == ("x@sub.example.com", sub.account_id)
    await routes.add(zone_of(parent), "y@sub.example.com", "drop")
    assert await in_effect(routes, "sub.example.com") == ["y@sub.example.com"]


async def test_only_the_operator_adds_a_domain_that_stops_anothers_rule(catalogue: Catalogue) -> None:
    """A tenant is refused; by command it is added, and the rule above it has no effect from then on."""
    accounts, routes = catalogue.accounts, Routes(catalogue.database, catalogue.accounts.zones, clock=catalogue.clock)
    parent = await accounts.add_domain("example.com", "one")
    rule = await routes.add(zone_of(parent), "x@a.sub.example.com", "drop", enabled=False)
    for name in ("sub.example.com", "a.sub.example.com"):
        with pytest.raises(ConflictError, match="in use or reserved"):
            await accounts.add_domain(name, "two")
    await accounts.add_domain("other.example.com", "two")
    await accounts.add_domain("sub.example.com", "two", operator=True)
    with pytest.raises(DeniedError):
        await routes.change(zone_of(parent), rule.id, enabled=True)
    assert (await routes.change(zone_of(parent), rule.id, enabled=False)).enabled is False
    why = "another domain than example.com is responsible for addresses at a.sub.example.com"
    assert await routes.objections(await routes.rules()) == {rule.id: why}


async def test_a_host_stays_the_operators_after_its_last_domain_is_removed(catalogue: Catalogue) -> None:
    """Reporters go on sending to a removed domain's address: under an earlier host name, no tenant receives them."""
    removed = await catalogue.accounts.add_domain("victim.example", "victim")
    await catalogue.accounts.remove_domain(removed)
    renamed = Accounts(catalogue.database, catalogue.kv, "dmarc.example.org", clock=catalogue.clock)
    assert await renamed.zones.hosts() == {"dmarc.example.org", "reports.example.net"}
    for name in ("reports.example.net", "Reports.Example.NET.", "example.net", "a.reports.example.net"):
        with pytest.raises(ConflictError, match="in use or reserved"):
            await renamed.add_domain(name, "attacker")
        with pytest.raises(DeniedError, match="report host"):
            await renamed.add_domain(name, "attacker", operator=True)
    assert (await renamed.add_domain("reports.example.net")).name == "reports.example.net"
