"""A token opens what it is for, until it ends; every change is noted with who made it, and no secret ever is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dmarcworks.catalogue.audit import Actor, act, acting
from dmarcworks.errors import NotFoundError, UsageError
from tests.support.catalogue import Catalogue


async def test_a_token_ends_when_it_expires(catalogue: Catalogue) -> None:
    """The second it expires it is unknown; the list still tells of it; the past is refused."""
    account = await catalogue.accounts.account_by_name("default", create=True)
    now = datetime.fromtimestamp(catalogue.clock.now, UTC)
    secret, made = await catalogue.accounts.create_token(account.id, expires=now + timedelta(hours=1))
    assert made.expires == now + timedelta(hours=1)
    catalogue.clock.now += 3599.5
    assert await catalogue.accounts.token(secret) is not None
    catalogue.clock.now += 0.5
    assert await catalogue.accounts.token(secret) is None
    (listed,) = await catalogue.accounts.tokens(account.id)
    assert listed.id == made.id
    with pytest.raises(UsageError, match="cannot expire in the past"):
        await catalogue.accounts.create_token(account.id, expires=now)


async def test_a_token_of_some_domains_sees_those(catalogue: Catalogue) -> None:
    """By name or id, its own account's only; a domain that is removed and added anew is another domain."""
    one = await catalogue.accounts.add_domain("one.example")
    two = await catalogue.accounts.add_domain("two.example")
    other = await catalogue.accounts.add_domain("other.example", account="other")
    secret, _ = await catalogue.accounts.create_token(one.account_id, domains=["ONE.example.", one.id])
    found = await catalogue.accounts.token(secret)
    assert found is not None
    assert found.domains == (one.id,)
    assert (found.sees(one.id), found.sees(two.id), found.sees(other.id)) == (True, False, False)
    for names in (["other.example"], [other.id], ["one.example", "nowhere.example"]):
        with pytest.raises(NotFoundError, match="the account has no domain"):
            await catalogue.accounts.create_token(one.account_id, domains=names)
    with pytest.raises(UsageError, match="for all domains of its account or for 1 to 1,000"):
        await catalogue.accounts.create_token(one.account_id, domains=[])
    await catalogue.accounts.remove_domain(one)
    again = await catalogue.accounts.add_domain("one.example")
    still = await catalogue.accounts.token(secret)
    assert still is not None
    assert not still.sees(again.id)


async def test_another_accounts_token_is_not_revoked(catalogue: Catalogue) -> None:
    """Within an account the id of a neighbour's token is no token."""
    mine = await catalogue.accounts.account_by_name("mine", create=True)
    theirs = await catalogue.accounts.account_by_name("theirs", create=True)
    secret, token = await catalogue.accounts.create_token(theirs.id)
    assert await catalogue.accounts.revoke_token(token.id, mine.id) is False
    assert await catalogue.accounts.token(secret) is not None
    assert await catalogue.accounts.revoke_token(token.id, theirs.id) is True
    assert await catalogue.accounts.token(secret) is None


async def test_a_disabled_domain_takes_no_mail_and_loses_nothing(catalogue: Catalogue) -> None:
    """The gate closes and stays closed over a start; enabling opens the same address again."""
    domain = await catalogue.accounts.add_domain("example.com")
    off = await catalogue.accounts.enable_domain(domain, False)
    assert off.enabled is False
    await catalogue.accounts.open_gates()
    assert await catalogue.kv.get(f"dmarc:{domain.rua}") is None
    assert await catalogue.accounts.domain(None, "example.com") == off
    assert await catalogue.accounts.enable_domain(off, True) == domain
    assert await catalogue.kv.get(f"dmarc:{domain.rua}") is not None


async def test_every_change_is_noted_with_who_made_it(catalogue: Catalogue) -> None:
    """Domains, users and tokens; newest first; by account and by kind; what failed is not noted."""
    with acting(Actor("user", "a@example.com", "192.0.2.1")):
        domain = await catalogue.accounts.add_domain("example.com")
        await catalogue.accounts.enable_domain(domain, False)
        await catalogue.accounts.enable_domain(domain, False)
        secret, token = await catalogue.accounts.create_token(domain.account_id, "write", "ci")
        await catalogue.accounts.revoke_token(token.id)
        await catalogue.accounts.revoke_token(token.id)
    user = await catalogue.accounts.add_user("b@example.com")
    link = await catalogue.accounts.login_link("b@example.com")
    await catalogue.accounts.set_password(user.id, "correct horse")
    await catalogue.accounts.remove_user(user)
    await catalogue.accounts.add_domain("other.example", account="other")
    with pytest.raises(NotFoundError):
        await catalogue.accounts.create_token(domain.account_id, domains=["nowhere.example"])
    rows = await catalogue.audit.list(domain.account_id)
    assert [(row.actor, row.name, row.action, row.target) for row in reversed(rows)] == [
        ("user", "a@example.com", "account.add", "default"),
        ("user", "a@example.com", "domain.add", "example.com"),
        ("user", "a@example.com", "domain.disable", "example.com"),
        ("user", "a@example.com", "token.create", token.id),
        ("user", "a@example.com", "token.revoke", token.id),
        ("system", "dmarcworks", "user.add", "b@example.com"),
        ("system", "dmarcworks", "user.login-link", "b@example.com"),
        ("system", "dmarcworks", "user.password", "b@example.com"),
        ("system", "dmarcworks", "user.remove", "b@example.com"),
    ]
    assert rows[-1].peer == "192.0.2.1"
    assert rows[-4].detail == {"scope": "write", "name": "ci", "domains": None, "expires": None}
    assert [row.target for row in await catalogue.audit.list(action="domain.add")] == ["other.example", "example.com"]
    assert [row.action for row in await catalogue.audit.list(domain.account_id, action="token")] == [
        "token.revoke",
        "token.create",
    ]
    assert await catalogue.audit.list(action="toke") == []
    page = await catalogue.audit.list(domain.account_id, limit=2, before=rows[1].id)
    assert page == rows[2:4]
    on_disk = catalogue.file_bytes()
    for told in (secret, link, "correct horse"):
        assert told.encode() not in on_disk


async def test_tasks_act_in_their_own_name(catalogue: Catalogue) -> None:
    """Two requests at once do not lend each other their names, nor to whoever comes after."""

    async def request(name: str) -> None:
        act(Actor("token", name))
        await asyncio.sleep(0)
        await catalogue.accounts.add_domain(f"{name}.example")

    await asyncio.gather(*(asyncio.create_task(request(name)) for name in ("a", "b")))
    await catalogue.accounts.add_domain("c.example")
    rows = await catalogue.audit.list(action="domain.add")
    assert {row.target: row.name for row in rows} == {"a.example": "a", "b.example": "b", "c.example": "dmarcworks"}
