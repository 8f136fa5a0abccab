"""Who may see what: a secret leaves once and is stored as its hash; links work once; sessions end."""

from __future__ import annotations

import json
import re

import pytest

from dmarcworks.catalogue.accounts import Accounts, normal_domain
from dmarcworks.errors import ConflictError, NotFoundError, UsageError
from tests.support.catalogue import Catalogue


async def test_a_domain_gets_an_address_and_an_open_gate(catalogue: Catalogue) -> None:
    """A new domain has its account, a rua address of 32 hex digits at our host, and the KV entry that lets mail in."""
    domain = await catalogue.accounts.add_domain("Example.COM.", account="acme")
    account = await catalogue.accounts.account_by_name("acme")
    assert (domain.name, domain.account_id) == ("example.com", account.id)
    assert re.fullmatch(r"[0-9a-f]{32}@reports\.example\.net", domain.rua)
    assert re.fullmatch(r"[0-9a-f]{32}", domain.id)
    entry = json.loads(await catalogue.kv.get(f"dmarc:{domain.rua}") or "null")
    assert entry == {"account_id": account.id, "domain_id": domain.id, "domain": "example.com"}
    assert await catalogue.accounts.domain(account.id, "EXAMPLE.com") == domain
    assert await catalogue.accounts.domain(None, domain.id) == domain


async def test_a_domain_is_added_once(catalogue: Catalogue) -> None:
    """The second time, in any spelling and for anybody, is a conflict; only the operator hears who has it."""
    await catalogue.accounts.add_domain("example.com")
    with pytest.raises(ConflictError, match=r"example\.com is in the account already"):
        await catalogue.accounts.add_domain("EXAMPLE.com.")
    with pytest.raises(ConflictError, match=r"example\.com cannot be added: the name is in use or reserved"):
        await catalogue.accounts.add_domain("EXAMPLE.com.", account="other")
    with pytest.raises(ConflictError, match=r"another account has example\.com already"):
        await catalogue.accounts.add_domain("EXAMPLE.com.", account="other", operator=True)


async def test_another_account_sees_nothing(catalogue: Catalogue) -> None:
    """A domain is asked for with its account; with another one it does not exist."""
    domain = await catalogue.accounts.add_domain("example.com", account="acme")
    other = await catalogue.accounts.account_by_name("other", create=True)
    assert await catalogue.accounts.domain(other.id, "example.com") is None
    assert await catalogue.accounts.domain(other.id, domain.id) is None
    assert await catalogue.accounts.domains(other.id) == []
    assert [found.name for found in await catalogue.accounts.domains()] == ["example.com"]


async def test_a_removed_domain_takes_no_mail(catalogue: Catalogue) -> None:
    """Removing closes the gate and frees the name."""
    domain = await catalogue.accounts.add_domain("example.com")
    await catalogue.accounts.remove_domain(domain)
    assert await catalogue.kv.get(f"dmarc:{domain.rua}") is None
    again = await catalogue.accounts.add_domain("example.com")
    assert again.rua != domain.rua


async def test_a_gate_that_a_crash_left_closed_opens_at_start(catalogue: Catalogue) -> None:
    """The domain's row and its gate are two writes; `open_gates` heals a crash between them."""
    domain = await catalogue.accounts.add_domain("example.com")
    await catalogue.kv.delete(f"dmarc:{domain.rua}")
    await catalogue.accounts.open_gates()
    assert json.loads(await catalogue.kv.get(f"dmarc:{domain.rua}") or "null")["domain"] == "example.com"


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("example.com", "example.com"),
        (" EXAMPLE.com. ", "example.com"),
        ("müller.example", "xn--mller-kva.example"),
        ("a_b.example.com", "a_b.example.com"),
    ],
)
def test_a_domain_has_one_spelling(name: str, normal: str) -> None:
    """Lower-case A-labels without the root's dot."""
    assert normal_domain(name) == normal


@pytest.mark.parametrize(
    "name",
    ["", ".", "localhost", "a..b", "-a.example", "a b.example", "a/b.example", "x" * 64 + ".example", "a." * 140],
)
def test_what_is_no_domain_is_refused(name: str) -> None:
    """A path, a blank or an over-long label is no domain name."""
    with pytest.raises(UsageError, match="is not a domain name"):
        normal_domain(name)


async def test_a_token_is_stored_hashed_and_found_by_its_secret(catalogue: Catalogue) -> None:
    """The secret is nowhere in the file; its owner and scope are found by it; a guess finds nothing."""
    account = await catalogue.accounts.account_by_name("default", create=True)
    secret, made = await catalogue.accounts.create_token(account.id, "write", "ci")
    assert secret.encode() not in catalogue.file_bytes()
    found = await catalogue.accounts.token(secret)
    assert found is not None
    assert (found.id, found.account_id, found.scope, found.name) == (made.id, account.id, "write", "ci")
    assert (found.allows("read"), found.allows("write"), found.allows("admin")) == (True, True, False)
    for guess in ("", secret[:-1], secret + "x", secret.upper(), "\udcff"):
        assert await catalogue.accounts.token(guess) is None
    assert await catalogue.accounts.revoke_token(made.id) is True
    assert await catalogue.accounts.token(secret) is None
    assert await catalogue.accounts.revoke_token(made.id) is False


async def test_a_token_remembers_when_it_was_used(catalogue: Catalogue) -> None:
    """At most one write a minute."""
    account = await catalogue.accounts.account_by_name("default", create=True)
    secret, _ = await catalogue.accounts.create_token(account.id)
    first = catalogue.clock.now
    for step in (0.0, 30.0, 31.0):
        catalogue.clock.now += step
        await catalogue.accounts.token(secret)
        (listed,) = await catalogue.accounts.tokens(account.id)
        used = listed.last_used
        assert used is not None
        assert used.timestamp() == (first if catalogue.clock.now - first <= 60 else first + 61)


async def test_an_unknown_scope_is_refused(catalogue: Catalogue) -> None:
    """Only read, write and admin exist."""
    account = await catalogue.accounts.account_by_name("default", create=True)
    with pytest.raises(UsageError, match="there is no scope 'root'; choose one of read, write, admin"):
        await catalogue.accounts.create_token(account.id, "root")


async def test_the_first_user_is_made_once(catalogue: Catalogue) -> None:
    """The first start makes an admin and a link; the second start makes neither."""
    secret = await catalogue.accounts.first_user()
    assert secret is not None
    assert await catalogue.accounts.first_user() is None
    (user,) = await catalogue.accounts.users()
    assert (user.email, user.role, user.has_password) == ("admin@localhost", "admin", False)


async def test_a_login_link_works_once(catalogue: Catalogue) -> None:
    """Redeemed it is gone; its secret is not in the file; it is no session."""
    secret = await catalogue.accounts.first_user()
    assert secret is not None
    assert secret.encode() not in catalogue.file_bytes()
    assert await catalogue.accounts.session(secret) is None
    user = await catalogue.accounts.redeem(secret)
    assert user is not None
    assert user.email == "admin@localhost"
    assert await catalogue.accounts.redeem(secret) is None


async def test_a_login_link_lasts_a_day(catalogue: Catalogue) -> None:
    """24 hours and not a second more."""
    await catalogue.accounts.first_user()
    fresh, old = [await catalogue.accounts.login_link("admin@localhost") for _ in range(2)]
    catalogue.clock.now += 24 * 3600 - 1
    assert await catalogue.accounts.redeem(fresh) is not None
    catalogue.clock.now += 1
    assert await catalogue.accounts.redeem(old) is None
    with pytest.raises(NotFoundError, match="there is no user nobody@example"):
        await catalogue.accounts.login_link("nobody@example")


async def test_a_session_lasts_until_it_ends(catalogue: Catalogue) -> None:
    """14 days, or until log-out; a session is no login link."""
    await catalogue.accounts.first_user()
    user = await catalogue.accounts.user("admin@localhost")
    assert user is not None
    first, second = [await catalogue.accounts.start_session(user.id) for _ in range(2)]
    assert await catalogue.accounts.redeem(first) is None
    assert await catalogue.accounts.session(first) == user
    await catalogue.accounts.end_session(first)
    assert await catalogue.accounts.session(first) is None
    catalogue.clock.now += 14 * 24 * 3600 - 1
    assert await catalogue.accounts.session(second) == user
    catalogue.clock.now += 1
    assert await catalogue.accounts.session(second) is None


async def test_a_password_opens_and_a_new_one_ends_all_sessions(catalogue: Catalogue) -> None:
    """Right address and password or nothing; a change of password ends what was open."""
    await catalogue.accounts.first_user()
    user = await catalogue.accounts.user("admin@localhost")
    assert user is not None
    assert await catalogue.accounts.check_password("admin@localhost", "") is None
    session = await catalogue.accounts.start_session(user.id)
    await catalogue.accounts.set_password(user.id, "correct horse")
    assert await catalogue.accounts.session(session) is None
    assert b"correct horse" not in catalogue.file_bytes()
    opened = await catalogue.accounts.check_password("admin@localhost", "correct horse")
    assert opened is not None
    assert opened.has_password is True
    assert await catalogue.accounts.check_password("admin@localhost", "correct hors") is None
    assert await catalogue.accounts.check_password("nobody@localhost", "correct horse") is None
    with pytest.raises(UsageError, match="at least 10 characters"):
        await catalogue.accounts.set_password(user.id, "short")


async def test_users_are_told_apart_by_address(catalogue: Catalogue) -> None:
    """One user per address; an address has an @."""
    await catalogue.accounts.add_user("a@example.com")
    with pytest.raises(ConflictError, match=r"there is a user a@example\.com already"):
        await catalogue.accounts.add_user("a@example.com")
    with pytest.raises(UsageError, match="is not a mail address"):
        await catalogue.accounts.add_user("nobody")


async def test_what_is_known_survives_a_restart(catalogue: Catalogue) -> None:
    """Another process on the same file finds it all."""
    domain = await catalogue.accounts.add_domain("example.com")
    secret, _ = await catalogue.accounts.create_token(domain.account_id)
    again = Accounts(catalogue.database, catalogue.kv, "reports.example.net")
    assert await again.domain(None, "example.com") == domain
    assert await again.token(secret) is not None
