"""Promise of the routing page: rules are made, switched and removed by their own account only; text stays text."""

from __future__ import annotations

import re

import httpx
import pytest

from dmarcworks.catalogue.routes import Zone, zone_of
from tests.support.harness import Harness
from tests.support.pages import EVIL, HOST

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def token(client: httpx.AsyncClient) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', (await client.get("/routing")).text)
    assert found
    return found[1]


async def test_a_rule_is_made_switched_and_removed(harness: Harness, client: httpx.AsyncClient) -> None:
    """By the form: an address, a catch-all; what is wrong is said beside what was typed."""
    csrf = await token(client)
    form = {"csrf": csrf, "address": "info@example.com", "goes": "reject", "reason": EVIL, "name": EVIL}
    assert (await client.post("/routing/rules", data=form)).status_code == 303
    form = {"csrf": csrf, "address": "*@example.com", "goes": "drop"}
    assert (await client.post("/routing/rules", data=form)).status_code == 303
    page = (await client.get("/routing")).text
    assert "info@example.com" in page
    assert "*@example.com" in page
    assert EVIL not in page
    rules = harness.routing.routes
    mine = (await harness.accounts.account_by_name("default")).id
    first, everything = await rules.rules(account_id=mine)
    assert (first.action, everything.action, everything.address) == ("reject", "drop", "")
    for typed in ("info@elsewhere.example", "nonsense", "x@example.com"):
        form = {"csrf": csrf, "address": typed, "goes": "worker nobody"}
        answer = await client.post("/routing/rules", data=form)
        assert answer.status_code == 400
        assert f'value="{typed}"' in answer.text
    await client.post(f"/routing/rules/{first.id}", data={"csrf": csrf, "do": "disable"})
    assert not (await rules.rules(account_id=mine))[0].enabled
    async with await harness.logged_in("b@example.org") as neighbour:
        theirs = await token(neighbour) if 'name="csrf"' in (await neighbour.get("/routing")).text else csrf
        answer = await neighbour.post(f"/routing/rules/{first.id}", data={"csrf": theirs, "do": "remove"})
        assert answer.status_code == 404
        assert "info@example.com" not in (await neighbour.get("/routing")).text
    for one in (first, everything):
        await client.post(f"/routing/rules/{one.id}", data={"csrf": csrf, "do": "remove"})
    assert await rules.rules(account_id=mine) == []


async def test_without_a_relay_no_link_is_promised(harness: Harness, client: httpx.AsyncClient) -> None:
    """The page says what is missing instead of a form that cannot work."""
    csrf = await token(client)
    assert "DMARCWORKS_RELAY_URL" in (await client.get("/routing")).text
    answer = await client.post("/routing/destinations", data={"csrf": csrf, "email": "me@example.org"})
    assert answer.status_code == 400
    assert (await harness.routing.destinations.destinations()) == []


async def test_a_link_is_opened_by_its_button(harness: Harness) -> None:
    """Without a login; looking at it proves nothing, pressing does, once."""
    mine = (await harness.accounts.account_by_name("default")).id
    made, secret = await harness.routing.destinations.add(mine, "me@example.org")
    async with harness.client() as browser:
        assert "Forward mail to me@example.org?" in (await browser.get(f"/routing/verify/{secret}")).text
        assert not await harness.routing.destinations.verified(mine, "me@example.org")
        assert "is verified" in (await browser.post(f"/routing/verify/{secret}")).text
        assert await harness.routing.destinations.verified(mine, "me@example.org")
        assert (await browser.get(f"/routing/verify/{secret}")).status_code == 404
    await harness.routing.destinations.remove(mine, made.id)


async def test_a_rule_without_effect_says_why(harness: Harness, client: httpx.AsyncClient) -> None:
    """Its owner reads the reason, may turn it off and not on again; a rule on the report host is the operator's."""
    rules, accounts = harness.routing.routes, harness.accounts
    other = await accounts.domain(None, "other.example")
    assert other is not None
    made = await rules.add(zone_of(other), "x@sub.other.example", "drop")
    nearer = await accounts.add_domain("sub.other.example", "default", operator=True)
    why = "another domain than other.example is responsible for addresses at sub.other.example"
    async with await harness.logged_in("b@example.org") as neighbour:
        csrf = await token(neighbour)
        page = (await neighbour.get("/routing")).text
        assert f"No effect: {why}." in page
        off = await neighbour.post(f"/routing/rules/{made.id}", data={"csrf": csrf, "do": "disable"})
        assert off.status_code == 303
        on = await neighbour.post(f"/routing/rules/{made.id}", data={"csrf": csrf, "do": "enable"})
        assert (on.status_code, why in on.text) == (403, True)
        host = await rules.add(Zone(other.account_id, "", HOST), f"abuse@{HOST}", "drop")
        answer = await neighbour.post(f"/routing/rules/{host.id}", data={"csrf": csrf, "do": "disable"})
        assert answer.status_code == 404
    await rules.remove(Zone(other.account_id, "", HOST), host.id)
    await rules.remove(zone_of(other), made.id)
    await accounts.remove_domain(nearer)


async def test_routing_that_was_disabled_is_shown_and_enabled(harness: Harness, client: httpx.AsyncClient) -> None:
    """Disabled by another way in, as a client of the API does: the page says so, its button enables it."""
    routes = harness.routing.routes
    mine = (await harness.accounts.account_by_name("default")).id
    domain = next(one for one in await harness.accounts.domains(mine) if one.name == "example.com")
    csrf = await token(client)
    made = await routes.add(zone_of(domain), "off@example.com", "drop")
    await routes.enable(zone_of(domain), False)
    page = (await client.get("/routing")).text
    assert "Routing is disabled for example.com." in page
    assert "No effect: routing is disabled for example.com." in page
    async with await harness.logged_in("b@example.org") as neighbour:
        theirs = await token(neighbour) if 'name="csrf"' in (await neighbour.get("/routing")).text else csrf
        form = {"csrf": theirs, "do": "enable"}
        assert (await neighbour.post(f"/routing/domains/{domain.id}", data=form)).status_code == 404
    assert not (await routes.switch(zone_of(domain))).enabled
    form = {"csrf": csrf, "do": "enable"}
    assert (await client.post(f"/routing/domains/{domain.id}", data=form)).status_code == 303
    assert (await routes.switch(zone_of(domain))).enabled
    assert "Routing is disabled" not in (await client.get("/routing")).text
    await routes.remove(zone_of(domain), made.id)
