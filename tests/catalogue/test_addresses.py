"""A domain's addresses follow the report host's name, whatever names it had, and each goes on opening its gate."""

from __future__ import annotations

import pytest

from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.catalogue.addresses import HostChange
from dmarcworks.errors import ConflictError, DeniedError, NotFoundError
from tests.support.catalogue import Catalogue


def named(catalogue: Catalogue, hostname: str) -> Accounts:
    return Accounts(catalogue.database, catalogue.kv, hostname, clock=catalogue.clock)


async def test_each_name_leaves_an_address(catalogue: Catalogue) -> None:
    """Twice away and back: the current one first, the others are earlier; every gate is open, and closes with it."""
    domain = await catalogue.accounts.add_domain("example.com")
    local = domain.rua.partition("@")[0]
    changes = []
    for hostname in ("reports.example.net", "b.example", "c.example", "reports.example.net"):
        accounts = named(catalogue, hostname)
        changes.append(await accounts.settle_hostname())
        assert await accounts.settle_hostname() is None
        await accounts.open_gates()
    assert changes == [
        None,
        HostChange("b.example", ("reports.example.net",), 1),
        HostChange("c.example", ("b.example",), 1),
        HostChange("reports.example.net", ("c.example",), 1),
    ]
    shown = await accounts.domain(None, "example.com")
    assert shown is not None
    assert (shown.rua, shown.id, set(shown.earlier)) == (
        domain.rua,
        domain.id,
        {f"{local}@b.example", f"{local}@c.example"},
    )
    assert await accounts.zones.hosts() == {"reports.example.net", "b.example", "c.example"}
    for address in (shown.rua, *shown.earlier):
        assert await accounts.zones.report_address(address) is True
        assert await catalogue.kv.get(f"dmarc:{address}") is not None
    await accounts.enable_domain(shown, False)
    assert [await catalogue.kv.get(f"dmarc:{address}") for address in (shown.rua, *shown.earlier)] == [None] * 3
    await accounts.enable_domain(shown, True)
    left = await accounts.remove_address(f"{local}@B.example")
    assert left.earlier == (f"{local}@c.example",)
    assert await catalogue.kv.get(f"dmarc:{local}@b.example") is None
    with pytest.raises(NotFoundError, match="no domain has the address"):
        await accounts.remove_address(f"{local}@b.example")
    with pytest.raises(ConflictError, match="is the current address of"):
        await accounts.remove_address(domain.rua)
    await accounts.remove_domain(left)
    assert await catalogue.kv.get(f"dmarc:{local}@c.example") is None
    assert await accounts.zones.report_address(f"{local}@c.example") is None


async def test_a_host_of_earlier_addresses_stays_reserved(catalogue: Catalogue) -> None:
    """When the address was removed, or its domain: reporters may go on sending there, and no tenant receives it."""
    domain = await catalogue.accounts.add_domain("victim.example", "victim")
    local = domain.rua.partition("@")[0]
    for hostname in ("b.example", "c.example", "d.example"):
        await named(catalogue, hostname).settle_hostname()
    accounts = named(catalogue, "d.example")
    await accounts.remove_address(f"{local}@b.example")
    before = {"reports.example.net", "b.example", "c.example", "d.example"}
    assert await named(catalogue, "d.example").zones.hosts() == before
    await accounts.remove_domain(domain)
    renamed = named(catalogue, "e.example")
    assert await renamed.settle_hostname() is None
    assert await renamed.zones.hosts() == {*before, "e.example"}
    for name in sorted(before):
        with pytest.raises(ConflictError, match="in use or reserved"):
            await renamed.add_domain(name, "attacker")
        with pytest.raises(DeniedError, match="report host"):
            await renamed.add_domain(name, "attacker", operator=True)


async def test_a_domain_added_again_has_its_id(catalogue: Catalogue) -> None:
    """For its own account, each time; another account gets a new one."""
    accounts = catalogue.accounts
    first = await accounts.add_domain("example.com")
    for _ in range(2):
        await accounts.remove_domain(first)
        first_again = await accounts.add_domain("example.com")
        assert first_again.id == first.id
        first = first_again
    await accounts.remove_domain(first)
    other = await accounts.add_domain("example.com", account="other")
    assert other.id != first.id
    await accounts.remove_domain(other)
    assert (await accounts.add_domain("example.com")).id == first.id


async def test_a_disabled_user_has_no_way_in(catalogue: Catalogue) -> None:
    """Password, link and session end; enabled again the password works, and nothing else does."""
    accounts = catalogue.accounts
    user = await accounts.add_user("ann@example.com")
    await accounts.set_password(user.id, "correct horse")
    session, link = await accounts.start_session(user.id), await accounts.login_link("ann@example.com")
    await accounts.enable_user(user, False)
    assert await accounts.check_password("ann@example.com", "correct horse") is None
    assert (await accounts.session(session), await accounts.redeem(link)) == (None, None)
    with pytest.raises(ConflictError, match="is disabled"):
        await accounts.login_link("ann@example.com")
    await accounts.enable_user(user, True)
    enabled = await accounts.check_password("ann@example.com", "correct horse")
    assert enabled is not None
    assert enabled.enabled
    assert await accounts.session(session) is None
    new = await accounts.reset_user(user)
    assert await accounts.check_password("ann@example.com", "correct horse") is None
    redeemed = await accounts.redeem(new)
    assert redeemed is not None
    assert not redeemed.has_password
