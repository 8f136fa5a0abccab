"""Decisions on senders and own names: kept per account and domain, in the audit log, walled from other accounts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, select

from dmarcworks.catalogue import sender_tables, tables
from dmarcworks.catalogue.audit import Actor, acting
from dmarcworks.catalogue.senders import OWN_NAMES, OwnerDecision, SenderDecision, Senders
from dmarcworks.errors import ConflictError, NotFoundError, UsageError
from tests.support.catalogue import Catalogue

ANN = Actor("user", "ann@example.com", "192.0.2.1")


@pytest.fixture
def senders(catalogue: Catalogue) -> Senders:
    return Senders(catalogue.database, clock=catalogue.clock)


async def test_a_decision_replaces_the_one_before(catalogue: Catalogue, senders: Senders) -> None:
    domain = await catalogue.accounts.add_domain("example.com")
    other = await catalogue.accounts.add_domain("example.net")
    theirs = await catalogue.accounts.add_domain("example.org", "theirs")
    with acting(ANN):
        await senders.decide(domain, "name:Zendesk", OwnerDecision.not_mine)
        catalogue.clock.now += 60
        made = await senders.decide(domain, "name:Zendesk", OwnerDecision.mine, name=" Support ", note=" ours \n now ")
    at = datetime.fromtimestamp(catalogue.clock.now, UTC)
    assert made == SenderDecision("name:Zendesk", OwnerDecision.mine, "Support", "ours \n now", at, "ann@example.com")
    assert await senders.decisions(domain.account_id, domain.id) == {"name:Zendesk": made}
    for account_id, domain_id in (
        (domain.account_id, other.id), (theirs.account_id, theirs.id), (theirs.account_id, domain.id),
    ):  # fmt: skip
        assert await senders.decisions(account_id, domain_id) == {}
    newest, first = (await catalogue.audit.list(domain.account_id, action="sender"))[:2]
    assert (newest.action, newest.target, newest.actor, newest.name) == (
        "sender.decide", "example.com", "user", "ann@example.com",
    )  # fmt: skip
    assert newest.detail == {
        "sender": "name:Zendesk",
        "decision": "mine",
        "name": "Support",
        "note": "ours \n now",
    }
    assert first.detail["decision"] == "not_mine"


async def test_a_decision_is_withdrawn(catalogue: Catalogue, senders: Senders) -> None:
    domain = await catalogue.accounts.add_domain("example.com")
    theirs = await catalogue.accounts.add_domain("example.org", "theirs")
    await senders.decide(domain, "dkim:a.example", OwnerDecision.ignore)
    with pytest.raises(NotFoundError, match="there is no decision on this sender"):
        await senders.withdraw(theirs, "dkim:a.example")
    await senders.withdraw(domain, "dkim:a.example")
    assert await senders.decisions(domain.account_id, domain.id) == {}
    assert (await catalogue.audit.list(domain.account_id, action="sender"))[0].action == "sender.withdraw"
    with pytest.raises(NotFoundError):
        await senders.withdraw(domain, "dkim:a.example")


async def test_decisions_come_back_with_their_domain(catalogue: Catalogue, senders: Senders) -> None:
    """Its account finds them again; another account that adds the name does not."""
    domain = await catalogue.accounts.add_domain("example.com")
    await senders.decide(domain, "dkim:a.example", OwnerDecision.mine)
    await catalogue.accounts.remove_domain(domain)
    taken = await catalogue.accounts.add_domain("example.com", "theirs")
    assert await senders.decisions(taken.account_id, taken.id) == {}
    await catalogue.accounts.remove_domain(taken)
    again = await catalogue.accounts.add_domain("example.com")
    assert set(await senders.decisions(again.account_id, again.id)) == {"dkim:a.example"}


async def test_all_of_it_goes_with_the_account(catalogue: Catalogue, senders: Senders) -> None:
    domain = await catalogue.accounts.add_domain("example.com", "gone")
    await senders.decide(domain, "dkim:a.example", OwnerDecision.mine)
    await senders.add_own_name(domain.account_id, "Billing", "block", "203.0.113.0/28")
    await catalogue.accounts.remove_domain(domain)
    async with catalogue.database.write() as connection:
        removed = tables.removed_domains
        await connection.execute(delete(removed).where(removed.c.account_id == domain.account_id))
        await connection.execute(delete(tables.accounts).where(tables.accounts.c.id == domain.account_id))
        for table in (sender_tables.sender_decisions, sender_tables.own_senders):
            assert (await connection.execute(select(table))).all() == []


@pytest.mark.parametrize(
    ("evidence", "value", "selector", "kept"),
    [
        ("block", " 203.0.113.0/28 ", "", ("203.0.113.0/28", "")),
        ("block", "203.0.113.7", "", ("203.0.113.7/32", "")),
        ("block", "2001:DB8::/32", "", ("2001:db8::/32", "")),
        ("dkim", "Example.COM.", "INV2024", ("example.com", "inv2024")),
        ("dkim", "example.com", "inv*", ("example.com", "inv*")),
        ("dkim", "bücher.example", "", ("xn--bcher-kva.example", "")),
        ("envelope", "bounce.example.com", "", ("bounce.example.com", "")),
        ("ptr", "office.example.net", "", ("office.example.net", "")),
    ],
)
async def test_own_names_are_kept_in_one_form(
    catalogue: Catalogue, senders: Senders, evidence: str, value: str, selector: str, kept: tuple[str, str]
) -> None:
    account = await catalogue.accounts.account_by_name("mine", create=True)
    theirs = await catalogue.accounts.account_by_name("theirs", create=True)
    with acting(ANN):
        made = await senders.add_own_name(account.id, " Billing ", evidence, value, selector)
    assert (made.name, made.evidence, made.value, made.selector, made.created_by) == (
        "Billing", evidence, *kept, "ann@example.com",
    )  # fmt: skip
    assert await senders.own_names(account.id) == [made]
    assert await senders.own_names(theirs.id) == []
    with pytest.raises(ConflictError, match="has the name Billing already"):
        await senders.add_own_name(account.id, "Other", evidence, value, selector)
    await senders.add_own_name(theirs.id, "Other", evidence, value, selector)
    with pytest.raises(NotFoundError, match="there is no such own name"):
        await senders.remove_own_name(theirs.id, made.id)
    await senders.remove_own_name(account.id, made.id)
    assert await senders.own_names(account.id) == []
    assert [row.action for row in await catalogue.audit.list(account.id, action="sender")] == [
        "sender.unname",
        "sender.name",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "block", "203.0.113.0/28"), "needs a name"),
        (("a\nb", "block", "203.0.113.0/28"), "one line of at most 100 printable characters"),
        (("x" * 101, "block", "203.0.113.0/28"), "one line of at most 100"),
        (("Billing", "asn", "64500"), "use one of block, dkim, envelope, ptr"),
        (("Billing", "block", "203.0.113.1/28"), "write it like 203.0.113.0/28"),
        (("Billing", "block", "0.0.0.0/0"), "the largest is /8"),
        (("Billing", "block", "2001::/8"), "is not a block|the largest is /16"),
        (("Billing", "dkim", "com"), "write it like mail.example.com"),
        (("Billing", "dkim", "example.com", "s 1"), "is not a DKIM selector"),
        (("Billing", "dkim", "example.com", "*a*"), "is not a DKIM selector"),
        (("Billing", "envelope", "example.com", "s1"), "belongs to the evidence dkim only"),
    ],
)
async def test_evidence_that_names_nothing_is_refused(
    catalogue: Catalogue, senders: Senders, arguments: tuple[str, ...], message: str
) -> None:
    account = await catalogue.accounts.account_by_name("mine", create=True)
    with pytest.raises(UsageError, match=message):
        await senders.add_own_name(account.id, *arguments)


async def test_own_names_and_notes_are_bounded(catalogue: Catalogue, senders: Senders) -> None:
    domain = await catalogue.accounts.add_domain("example.com")
    for number in range(OWN_NAMES):
        await senders.add_own_name(domain.account_id, "N", "dkim", f"d{number}.example")
    with pytest.raises(ConflictError, match="at most 200 own names"):
        await senders.add_own_name(domain.account_id, "N", "dkim", "more.example")
    with pytest.raises(UsageError, match="a note has at most 2,000 characters"):
        await senders.decide(domain, "dkim:a.example", OwnerDecision.mine, note="x" * 2001)
    with pytest.raises(UsageError, match="a name is one line"):
        await senders.decide(domain, "dkim:a.example", OwnerDecision.mine, name="a\nb")
    assert await senders.decisions(domain.account_id, domain.id) == {}
