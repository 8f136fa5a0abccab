"""States of DNS records: each stored once with its time, bounded, walled from other accounts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import delete

from dmarcworks.catalogue import dns_history as module
from dmarcworks.catalogue import dns_tables, tables
from dmarcworks.catalogue.dns_history import RECORD_CHARACTERS, DnsHistory
from dmarcworks.catalogue.dns_states import ObservedRecords, RecordKind
from tests.support.catalogue import Catalogue

NONE, REJECT = "v=DMARC1; p=none", "v=DMARC1; p=reject"


@pytest.fixture
async def history(catalogue: Catalogue) -> DnsHistory:
    return DnsHistory(catalogue.database, clock=catalogue.clock)


@pytest.fixture
async def place(catalogue: Catalogue) -> tuple[str, str]:
    domain = await catalogue.accounts.add_domain("example.com")
    return domain.account_id, domain.id


def dmarc(*records: str, failure: str = "", codes: tuple[str, ...] | None = None) -> ObservedRecords:
    return ObservedRecords(RecordKind.dmarc, "_dmarc.example.com", records, failure, codes)


def at(catalogue: Catalogue, seconds: float) -> datetime:
    return datetime.fromtimestamp(catalogue.clock.now + seconds, UTC)


async def test_a_state_is_stored_once_while_it_lasts(
    catalogue: Catalogue, history: DnsHistory, place: tuple[str, str]
) -> None:
    began = at(catalogue, 0)
    assert await history.store(*place, [dmarc(NONE, codes=("dmarc-policy-none",))], resolver="192.0.2.53") == ["dmarc"]
    catalogue.clock.now += 3600
    assert await history.store(*place, [dmarc(NONE, codes=("dmarc-good",))], resolver="192.0.2.54") == []
    # Looked up without being checked: the codes stay.
    assert await history.store(*place, [dmarc(NONE)], resolver="192.0.2.54") == []
    (state,) = await history.states(*place)
    assert (state.kind, state.name, state.records) == (RecordKind.dmarc, "_dmarc.example.com", (NONE,))
    assert (state.first_seen, state.last_seen, state.checked) == (began, at(catalogue, 0), at(catalogue, 0))
    assert (state.codes, state.resolver, state.failure) == (("dmarc-good",), "192.0.2.54", "")
    assert (state.current, state.shortened) == (True, False)
    assert await history.latest(*place) == [state]
    assert await history.latest(*place, [RecordKind.spf]) == []


async def test_changes_name_what_was_before_and_between_which_times(
    catalogue: Catalogue, history: DnsHistory, place: tuple[str, str]
) -> None:
    times = []
    for records in ((NONE,), (NONE,), (REJECT,), (), (NONE,)):
        times.append(at(catalogue, 0))
        await history.store(*place, [dmarc(*records)])
        catalogue.clock.now += 3600
    changes = await history.changes(*place)
    assert [(one.before and one.before.records, one.now.records, one.after, one.at) for one in changes] == [
        (None, (NONE,), None, times[0]),
        ((NONE,), (REJECT,), times[1], times[2]),
        ((REJECT,), (), times[2], times[3]),
        ((), (NONE,), times[3], times[4]),
    ]
    assert [one.now.records for one in await history.changes(*place, times[2], times[3])] == [(REJECT,), ()]
    assert [state.records for state in await history.latest(*place)] == [(NONE,)]
    assert len(await history.states(*place)) == 4


async def test_a_failed_look_up_is_no_removed_record(
    catalogue: Catalogue, history: DnsHistory, place: tuple[str, str]
) -> None:
    seen = at(catalogue, 0)
    await history.store(*place, [dmarc(NONE)])
    catalogue.clock.now += 3600
    other = ObservedRecords(RecordKind.spf, "example.com", (), "DNS gave no answer about example.com: Timeout")
    assert await history.store(*place, [dmarc(failure="SERVFAIL"), other]) == []
    (state,) = await history.states(*place)
    assert (state.records, state.last_seen, state.checked) == ((NONE,), seen, at(catalogue, 0))
    assert (state.failure, state.current) == ("SERVFAIL", True)
    catalogue.clock.now += 3600
    assert await history.store(*place, [dmarc(NONE)]) == []
    (state,) = await history.states(*place)
    assert (state.last_seen, state.failure) == (at(catalogue, 0), "")


async def test_the_order_of_records_is_no_change(history: DnsHistory, place: tuple[str, str]) -> None:
    await history.store(*place, [dmarc("b", "a")])
    assert await history.store(*place, [dmarc("a", "b")]) == []
    assert [state.records for state in await history.states(*place)] == [("a", "b")]


async def test_a_name_that_is_not_looked_up_any_more_is_not_current(
    catalogue: Catalogue, history: DnsHistory, place: tuple[str, str]
) -> None:
    def target(name: str) -> ObservedRecords:
        return ObservedRecords(RecordKind.authorisation, f"example.com._report._dmarc.{name}", ("v=DMARC1",))

    kinds = [RecordKind.authorisation]
    await history.store(*place, [dmarc(NONE), target("a.example"), target("b.example")], complete=kinds)
    await history.store(*place, [dmarc(failure="timeout")])
    assert len(await history.latest(*place)) == 3
    await history.store(*place, [dmarc(NONE), target("b.example")], complete=kinds)
    names = [state.name for state in await history.latest(*place)]
    assert names == ["_dmarc.example.com", "example.com._report._dmarc.b.example"]
    # The name comes back as it was: no change.
    await history.store(*place, [dmarc(NONE), target("a.example")], complete=kinds)
    assert [change.before for change in await history.changes(*place)] == [None, None, None]


async def test_what_strangers_write_is_bounded(
    history: DnsHistory, place: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await history.store(*place, [dmarc("x" * 20_000, "y")])
    (state,) = await history.latest(*place)
    assert (state.records, state.shortened) == (("x" * RECORD_CHARACTERS,), True)
    # A difference beyond the bound is a change all the same.
    assert await history.store(*place, [dmarc("x" * 20_000 + "z", "y")]) == ["dmarc"]
    hostile = ("nul \0 and \ud800 alone", *(f"{number:03}" for number in range(200)))
    await history.store(*place, [dmarc(*hostile)])
    (state,) = await history.latest(*place)
    assert (len(state.records), state.shortened) == (50, True)
    long_name = ObservedRecords(RecordKind.dkim, "x" * 256, ("v=DKIM1",))
    assert await history.store(*place, [long_name]) == []
    monkeypatch.setattr(module, "STATES", 5)
    spf = ObservedRecords(RecordKind.spf, "example.com", ("v=spf1 -all",))
    await history.store(*place, [spf])
    for number in range(10):
        await history.store(*place, [dmarc(str(number))])
    kept = [state.records for state in await history.states(*place)]
    assert kept == [("v=spf1 -all",), ("6",), ("7",), ("8",), ("9",)]


async def test_an_account_never_sees_the_states_of_another(
    catalogue: Catalogue, history: DnsHistory, place: tuple[str, str]
) -> None:
    theirs = await catalogue.accounts.add_domain("example.org", "theirs")
    await history.store(*place, [dmarc(NONE)])
    await history.store_card(*place, {"domain": "example.com"})
    for account_id, domain_id in ((theirs.account_id, place[1]), (place[0], theirs.id)):
        assert await history.states(account_id, domain_id) == []
        assert await history.latest(account_id, domain_id) == []
        assert await history.changes(account_id, domain_id) == []
        assert await history.card(account_id, domain_id) is None


async def test_the_newest_card_replaces_the_one_before(
    catalogue: Catalogue, history: DnsHistory, place: tuple[str, str]
) -> None:
    await history.store_card(*place, {"domain": "example.com", "text": "\ud800\0"}, resolver="a")
    catalogue.clock.now += 60
    await history.store_card(*place, {"domain": "example.com"}, resolver="192.0.2.53", answered=False)
    card = await history.card(*place)
    assert card == module.StoredCard(at(catalogue, 0), "192.0.2.53", False, {"domain": "example.com"})
    with pytest.raises(ValueError, match="report card"):
        await history.store_card(*place, {"domain": "x" * 1_000_001})


async def test_history_comes_back_with_its_domain_and_goes_with_its_account(
    catalogue: Catalogue, history: DnsHistory, place: tuple[str, str]
) -> None:
    await history.store(*place, [dmarc(NONE)])
    await history.store_card(*place, {})
    domain = await catalogue.accounts.domain(*place)
    assert domain is not None
    await catalogue.accounts.remove_domain(domain)
    again = await catalogue.accounts.add_domain("example.com")
    assert len(await history.states(again.account_id, again.id)) == 1
    await catalogue.accounts.remove_domain(again)
    async with catalogue.database.write() as connection:
        removed = tables.removed_domains
        await connection.execute(delete(removed).where(removed.c.account_id == place[0]))
        audit = tables.audit
        await connection.execute(delete(audit).where(audit.c.account_id == place[0]))
        await connection.execute(delete(tables.accounts).where(tables.accounts.c.id == place[0]))
        for table in (dns_tables.dns_states, dns_tables.dns_cards):
            assert (await connection.execute(table.select())).all() == []
