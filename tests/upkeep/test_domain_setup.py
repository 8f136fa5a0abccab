"""Set-up checks against a real name server: what is published, what proves a domain, and who has it then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import delete

from dmarcworks.catalogue.accounts import Account, Accounts, Domain
from dmarcworks.catalogue.routes import zone_of
from dmarcworks.catalogue.setup_tables import domain_setups
from dmarcworks.catalogue.stores import Stores, opened
from dmarcworks.enrich.resolver import Dns
from dmarcworks.errors import BoundError, ConflictError, DeniedError, UsageError
from dmarcworks.policy.setup.model import DomainSetup, SetupStatus
from dmarcworks.policy.setup.plan import domain_setup
from dmarcworks.settings import Settings
from dmarcworks.upkeep.domain_setup import SetupChecker, check_setups_forever
from tests.support.dns_server import dns_server
from tests.support.waiting import wait_until

HOST = "reports.example.net"
HOST_RECORDS = {
    (HOST, "MX"): [f"10 {HOST}."],
    (f"*._report._dmarc.{HOST}", "TXT"): ['"v=DMARC1"'],
}
Zone = dict[tuple[str, str], list[str]]


@pytest.fixture(scope="module")
def zone() -> Zone:
    """What the name server answers; a test adds to it."""
    return dict(HOST_RECORDS)


@pytest.fixture(scope="module")
def server(zone: Zone) -> Iterator[str]:
    with dns_server(zone) as port:
        yield f"127.0.0.1:{port}"


@pytest_asyncio.fixture
async def stores(tmp_path: Path, zone: Zone) -> AsyncIterator[Stores]:
    zone.clear()
    zone.update(HOST_RECORDS)
    async with opened(Settings(home=tmp_path / "home", hostname=HOST)) as opened_stores:
        yield opened_stores


@pytest_asyncio.fixture
async def checker(stores: Stores, server: str) -> AsyncIterator[SetupChecker]:
    resolver = Dns(server, longest=0.0)
    yield SetupChecker(stores, resolver, server)
    resolver.close()


def publish(zone: Zone, name: str, *values: str) -> None:
    zone[name, "TXT"] = [f'"{value}"' for value in values]


async def checked(stores: Stores, checker: SetupChecker, name: str) -> tuple[Domain, DomainSetup]:
    """The domain and its set-up after a check."""
    domain = await stores.accounts.domain(None, name)
    assert domain is not None
    await checker.check(domain)
    domain = await stores.accounts.domain(None, name)
    assert domain is not None
    others = [one.name for one in await stores.accounts.domains(domain.account_id) if one.id != domain.id]
    return domain, domain_setup(domain, HOST, await stores.setups.of(domain.id), others=others)


def statuses(setup: DomainSetup) -> dict[str, str]:
    return {one.code: str(one.status) for one in setup.items}


async def test_from_nothing_to_proven(stores: Stores, checker: SetupChecker, zone: Zone, server: str) -> None:
    """Nothing published, the record with our address appended, its publication: each state with what is missing."""
    await stores.accounts.add_domain("example.com")
    domain, setup = await checked(stores, checker, "example.com")
    assert (setup.state, setup.resolver, domain.proven) == ("publish", server, None)
    assert statuses(setup) == {
        "dmarc": "missing",
        "report-host-mail": "done",
        "report-host-authorisation": "done",
        "ownership": "missing",
        "tls-rpt": "missing",
        "first-report": "missing",
    }
    assert setup.records[0].value == f"v=DMARC1; p=none; rua=mailto:{domain.rua}"
    assert "Reports can only arrive when this is done: DMARC record." in setup.items[-1].fix
    assert (await stores.setups.of(domain.id)).due is not None
    publish(zone, "_dmarc.example.com", "v=DMARC1;p=reject ; rua = mailto:a@other.example ; fo=1")
    _, setup = await checked(stores, checker, "example.com")
    (change,) = setup.items[0].changes
    wanted = f"v=DMARC1;p=reject ; rua = mailto:a@other.example,mailto:{domain.rua} ; fo=1"
    assert (change.name, change.after, setup.records[0].value) == ("_dmarc.example.com", wanted, wanted)
    assert [piece.text for piece in change.pieces if piece.state == "added"] == [f",mailto:{domain.rua}"]
    publish(zone, "_dmarc.example.com", wanted)
    domain, setup = await checked(stores, checker, "example.com")
    assert domain.proven is not None
    assert (setup.state, setup.evidence, setup.items[0].status) == ("waiting", "rua", SetupStatus.done)
    assert setup.items[-1].fix.startswith("Nothing to do: reporters send once a day")
    assert (await stores.setups.of(domain.id)).due is None
    receiving = domain_setup(domain, HOST, await stores.setups.of(domain.id), reports=1, last_report=domain.created)
    assert receiving.state == "receiving"


async def test_a_txt_record_proves_a_domain_too(stores: Stores, checker: SetupChecker, zone: Zone) -> None:
    """Without any change of the DMARC record; another account's token proves nothing."""
    domain = await stores.accounts.add_domain("example.com")
    publish(zone, "_dmarcworks-challenge.example.com", "x", f"dmarcworks-verification={'0' * 32}")
    unproven, setup = await checked(stores, checker, "example.com")
    assert unproven.proven is None
    assert (setup.challenge.name, setup.challenge.value) == (
        "_dmarcworks-challenge.example.com",
        f"dmarcworks-verification={domain.token}",
    )
    zone[setup.challenge.name, "TXT"].append(f'"{setup.challenge.value}"')
    proven, setup = await checked(stores, checker, "example.com")
    assert proven.proven is not None
    assert setup.evidence == "txt"


async def test_an_alias_and_a_foreign_zone_are_stated(stores: Stores, checker: SetupChecker, zone: Zone) -> None:
    """The change is at the alias's target, in the zone that holds it; a `_dmarc` that is delegated is recognised."""
    await stores.accounts.add_domain("example.com")
    zone["_dmarc.example.com", "CNAME"] = ["dmarc.provider.example."]
    publish(zone, "dmarc.provider.example", "v=DMARC1; p=none")
    zone["provider.example", "NS"] = ["ns1.provider.example."]
    domain, setup = await checked(stores, checker, "example.com")
    (change,) = setup.items[0].changes
    assert (change.name, change.after) == ("dmarc.provider.example", f"v=DMARC1; p=none; rua=mailto:{domain.rua}")
    assert (
        "_dmarc.example.com is an alias (CNAME) of dmarc.provider.example: publish the record there, in the zone"
        " provider.example (ns1.provider.example), or replace the alias" in setup.items[0].message
    )
    del zone["_dmarc.example.com", "CNAME"]
    zone["_dmarc.example.com", "NS"] = ["ns1.provider.example.", "ns2.provider.example."]
    _, setup = await checked(stores, checker, "example.com")
    assert setup.items[0].message.endswith(
        "is a zone of its own: publish the record on its name servers (ns1.provider.example, ns2.provider.example)."
    )
    del zone["_dmarc.example.com", "NS"]
    zone["example.com", "NS"] = ["ns.example.com."]
    await stores.accounts.add_domain("news.example.com")
    publish(zone, "_dmarc.example.com", "v=DMARC1; p=reject; sp=quarantine; t=y")
    domain, setup = await checked(stores, checker, "news.example.com")
    assert setup.items[0].message == (
        "No DMARC record is published at _dmarc.news.example.com. The record at example.com applies to"
        " news.example.com, and reports about it are sent to that record's addresses; the record below keeps its"
        " policy. The name belongs to the zone example.com (ns.example.com): publish the record there."
    )
    # The name does not exist, so that np applies, which is sp by default; t=y is kept.
    assert setup.items[0].changes[0].after == f"v=DMARC1; p=quarantine; t=y; rua=mailto:{domain.rua}"
    assert setup.notes[1] == (
        "news.example.com publishes no DMARC record of its own, so that reports about it are sent to the addresses in"
        " the record of example.com and count for that domain of this account."
    )
    _, setup = await checked(stores, checker, "example.com")
    assert setup.notes[0].startswith("Reports about subdomains of example.com count for example.com, except for news.")


async def test_faulty_records_are_repaired(stores: Stores, checker: SetupChecker, zone: Zone) -> None:
    """Several records, and a text that receivers do not recognise."""
    domain = await stores.accounts.add_domain("example.com")
    publish(zone, "_dmarc.example.com", "v=DMARC1; p=reject", "v=DMARC1; p=none")
    _, setup = await checked(stores, checker, "example.com")
    assert "2 DMARC records are published" in setup.items[0].message
    assert setup.items[0].changes[0].after == f"v=DMARC1; p=none; rua=mailto:{domain.rua}"
    publish(zone, "_dmarc.example.com", "v=dmarc1; p=reject")
    _, setup = await checked(stores, checker, "example.com")
    assert "is not a DMARC record that receivers recognise" in setup.items[0].message
    assert setup.items[0].changes[0].after == f"v=DMARC1; p=reject; rua=mailto:{domain.rua}"
    publish(zone, "_dmarc.example.com", "v=spf1 -all")
    _, setup = await checked(stores, checker, "example.com")
    assert setup.items[0].changes[0].before == ""


async def test_what_dns_does_not_answer_is_unknown(stores: Stores, checker: SetupChecker, zone: Zone) -> None:
    """No verdict, the record as without DNS, and another look later."""
    domain = await stores.accounts.add_domain("example.com")
    for name in ("_dmarc.example.com", "_smtp._tls.example.com", HOST, f"example.com._report._dmarc.{HOST}"):
        zone[name, "SERVFAIL"] = []
    _, setup = await checked(stores, checker, "example.com")
    assert setup.state == "unknown"
    assert {code for code, status in statuses(setup).items() if status == "unknown"} == {
        "dmarc",
        "report-host-mail",
        "report-host-authorisation",
        "tls-rpt",
    }
    assert setup.records[0].value == f"v=DMARC1; p=none; rua=mailto:{domain.rua}"
    assert (await stores.setups.of(domain.id)).due is not None


async def test_the_report_host_without_records(stores: Stores, checker: SetupChecker, zone: Zone) -> None:
    """Each missing record of the report host is named with its value."""
    await stores.accounts.add_domain("example.com")
    zone.clear()
    _, setup = await checked(stores, checker, "example.com")
    assert [(one.changes[0].name, one.changes[0].after) for one in setup.items[1:3]] == [
        (HOST, f"10 {HOST}"),
        (f"*._report._dmarc.{HOST}", "v=DMARC1"),
    ]


async def test_a_parked_domain(stores: Stores, checker: SetupChecker, zone: Zone) -> None:
    """Null MX, an SPF record that permits nobody, p=reject: each is checked."""
    domain = await stores.accounts.add_domain("example.com", parked=True)
    zone["example.com", "MX"] = ["10 mx.example.com."]
    _, setup = await checked(stores, checker, "example.com")
    assert [(record.name, record.type, record.value) for record in setup.records] == [
        ("example.com", "MX", "0 ."),
        ("example.com", "TXT", "v=spf1 -all"),
        ("*._domainkey.example.com", "TXT", "v=DKIM1; p="),
        ("_dmarc.example.com", "TXT", f"v=DMARC1; p=reject; adkim=s; aspf=s; rua=mailto:{domain.rua}"),
        (HOST, "MX", f"10 {HOST}"),
        (f"*._report._dmarc.{HOST}", "TXT", "v=DMARC1"),
    ]
    assert statuses(setup)["parked-mx"] == statuses(setup)["parked-spf"] == "missing"
    zone["example.com", "MX"] = ["0 ."]
    publish(zone, "example.com", "v=spf1 -all", "other=text")
    publish(zone, "_dmarc.example.com", setup.records[3].value)
    _, setup = await checked(stores, checker, "example.com")
    assert (setup.state, set(statuses(setup).values())) == ("waiting", {"done", "missing"})
    assert statuses(setup)["first-report"] == "missing"


async def test_an_address_of_a_routing_rule_counts_as_ours(stores: Stores, checker: SetupChecker, zone: Zone) -> None:
    """As a way for reports, never as a proof: it may have been published for another purpose."""
    domain = await stores.accounts.add_domain("client.example")
    publish(zone, "_dmarc.client.example", "v=DMARC1; p=none; rua=mailto:DMARC@client.example")
    _, setup = await checked(stores, checker, "client.example")
    assert setup.items[0].status is SetupStatus.missing
    await stores.routing.routes.add(zone_of(domain), "dmarc@client.example", "worker", "dmarc")
    zone["client.example", "MX"] = ["10 mx.elsewhere.example."]
    domain, setup = await checked(stores, checker, "client.example")
    assert setup.items[0].message == (
        "The record requests reports at dmarc@client.example, which a routing rule brings to this system."
    )
    assert statuses(setup) == {
        "dmarc": "done",
        "custom-authorisation": "done",
        "ownership": "missing",
        "tls-rpt": "missing",
        "custom-mail": "change",
        "first-report": "missing",
    }
    assert domain.proven is None
    zone["client.example", "MX"] = [f"10 {HOST}."]
    _, setup = await checked(stores, checker, "client.example")
    assert (statuses(setup)["custom-mail"], setup.state) == ("done", "waiting")


async def test_an_address_at_an_earlier_host_name(stores: Stores, checker: SetupChecker, zone: Zone) -> None:
    """It proves the domain, and the record to publish replaces it by the current one."""
    domain = await stores.accounts.add_domain("example.com")
    old = f"{domain.token}@old.example.org"
    publish(zone, "_dmarc.example.com", f"v=DMARC1; p=none; rua=mailto:{old}, mailto:x@y.example")
    moved = replace(domain, earlier=(old,))
    await checker.check(moved)
    setup = domain_setup(moved, HOST, await stores.setups.of(domain.id))
    assert setup.items[0].status is SetupStatus.change
    assert setup.items[0].changes[0].after == f"v=DMARC1; p=none; rua=mailto:x@y.example,mailto:{domain.rua}"
    assert setup.evidence == "rua"


async def test_a_new_host_name_makes_every_domain_due(stores: Stores, checker: SetupChecker, zone: Zone) -> None:
    """What was published for the old address says nothing about the new one."""
    domain = await stores.accounts.add_domain("example.com")
    publish(zone, "_dmarc.example.com", f"v=DMARC1; p=none; rua=mailto:{domain.rua}")
    await checked(stores, checker, "example.com")
    assert not (await stores.setups.of(domain.id)).checking
    renamed = Accounts(stores.database, stores.kv, "new.example.net")
    assert await renamed.settle_hostname() is not None
    stored = await stores.setups.of(domain.id)
    assert stored.checking
    moved = await renamed.domain(None, "example.com")
    assert moved is not None
    setup = domain_setup(moved, "new.example.net", stored)
    assert setup.items[0].fix == f"Replace it with {moved.rua}."
    assert setup.items[0].changes[0].after == f"v=DMARC1; p=none; rua=mailto:{moved.rua}"
    back = Accounts(stores.database, stores.kv, HOST)
    assert await back.settle_hostname() is not None
    _, setup = await checked(stores, checker, "example.com")
    assert (setup.state, setup.items[0].status) == ("waiting", "done")


async def account(stores: Stores, name: str) -> Account:
    return await stores.accounts.account_by_name(name, create=True)


async def test_who_proves_a_domain_receives_it(stores: Stores, checker: SetupChecker, zone: Zone) -> None:
    """The claim of another account: nothing before the proof, both are notified after it, and nothing of the past."""
    lost = await stores.accounts.add_domain("example.com", "squatter")
    owner = await account(stores, "owner")
    claim = await stores.claims.open(owner, "Example.COM.")
    assert await stores.claims.open(owner, "example.com") == claim
    assert await checker.check_claim(claim) is None
    claim = await stores.claims.of(owner.id, "example.com")
    assert claim.reason == (
        f'DNS does not show the record _dmarcworks-challenge.example.com TXT "dmarcworks-verification={claim.token}"'
    )
    publish(zone, "_dmarc.example.com", f"v=DMARC1; p=none; rua=mailto:{claim.token}@{HOST},mailto:{lost.rua}")
    assert await checker.check_claim(claim) is None
    assert "also proves another account" in (await stores.claims.of(owner.id, "example.com")).reason
    publish(zone, "_dmarc.example.com", f"v=DMARC1; p=none; rua=mailto:{claim.token}@{HOST}")
    domain = await checker.check_claim(claim)
    assert domain is not None
    assert (domain.account_id, domain.rua) == (owner.id, f"{claim.token}@{HOST}")
    assert domain.id != lost.id
    assert await stores.claims.list(owner.id) == []
    assert await stores.kv.get(f"dmarc:{lost.rua}") is None
    assert await stores.kv.get(f"dmarc:{domain.rua}") is not None
    (lost_notice,) = await stores.notices.list(lost.account_id)
    assert (lost_notice.code, lost_notice.domain) == ("domain-lost", "example.com")
    assert "owner" not in lost_notice.text
    (received,) = await stores.notices.list(owner.id)
    assert received.code == "domain-received"
    assert "squatter" not in received.text
    assert [(row.action, row.account_id) for row in await stores.audit.list(action="domain", limit=3)] == [
        ("domain.claimed", owner.id),
        ("domain.add", owner.id),
        ("domain.remove", lost.account_id),
    ]
    proven, _ = await checked(stores, checker, "example.com")
    assert proven.proven is not None
    # The other way round: the account that had it before has its id and with it its figures again.
    back = await stores.claims.open(await account(stores, "squatter"), "example.com")
    publish(zone, "_dmarc.example.com", "v=DMARC1; p=none")
    publish(zone, "_dmarcworks-challenge.example.com", f"dmarcworks-verification={back.token}")
    again = await checker.check_claim(back)
    assert again is not None
    assert again.id == lost.id


async def test_a_claim_reveals_nothing(stores: Stores, checker: SetupChecker, zone: Zone) -> None:
    """It is the same for a name that another account has, that nobody has, and that is the operator's."""
    await stores.accounts.add_domain("held.example.com", "other")
    owner = await account(stores, "owner")
    reasons = set()
    for name in ("held.example.com", "free.example.com", HOST):
        claim = await stores.claims.open(owner, name)
        assert await checker.check_claim(claim) is None
        stored = await stores.claims.of(owner.id, name)
        reasons.add(stored.reason.replace(claim.token, "").replace(name, ""))
    (reason,) = reasons
    assert reason.startswith("DNS does not show the record")
    claim = await stores.claims.of(owner.id, "free.example.com")
    publish(zone, "_dmarcworks-challenge.free.example.com", f"dmarcworks-verification={claim.token}")
    added = await checker.check_claim(claim)
    assert added is not None
    assert added.account_id == owner.id
    claim = await stores.claims.of(owner.id, HOST)
    publish(zone, f"_dmarcworks-challenge.{HOST}", f"dmarcworks-verification={claim.token}")
    assert await checker.check_claim(claim) is None
    assert "only the operator's account may have it" in (await stores.claims.of(owner.id, HOST)).reason


async def test_claims_are_bounded_and_can_be_switched_off(stores: Stores) -> None:
    """What nobody can claim is refused with a sentence."""
    owner = await account(stores, "owner")
    await stores.accounts.add_domain("own.example.com", "owner")
    with pytest.raises(ConflictError, match="is in the account already"):
        await stores.claims.open(owner, "own.example.com")
    with pytest.raises(UsageError, match="public suffix"):
        await stores.claims.open(owner, "co.uk")
    for number in range(100):
        await stores.claims.open(owner, f"d{number}.example.com")
    with pytest.raises(BoundError, match="100 open claims"):
        await stores.claims.open(owner, "more.example.com")
    stores.claims.enabled = False
    with pytest.raises(DeniedError, match="DMARCWORKS_DOMAIN_CLAIMS"):
        await stores.claims.open(owner, "more.example.com")
    assert await stores.claims.due(10, 1.0) == []


async def test_the_background_sees_what_is_published(stores: Stores, checker: SetupChecker, zone: Zone) -> None:
    """New domains, those from before there were checks, and claims; a request during a check is not lost."""
    domain = await stores.accounts.add_domain("example.com")
    async with stores.database.write() as connection:
        await connection.execute(delete(domain_setups))
    other = await stores.claims.open(await account(stores, "owner"), "claimed.example.com")
    publish(zone, "_dmarcworks-challenge.claimed.example.com", f"dmarcworks-verification={other.token}")
    publish(zone, "_dmarc.example.com", f"v=DMARC1; p=none; rua=mailto:{domain.rua}")
    task = asyncio.create_task(check_setups_forever(stores, checker))

    async def proven(name: str) -> bool:
        added = await stores.accounts.domain(None, name)
        return added is not None and added.proven is not None

    try:
        for name in ("example.com", "claimed.example.com"):
            await wait_until(lambda name=name: proven(name), f"{name} proven")
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    (claimed,) = [await stores.setups.start(domain.id, 60.0)]
    await stores.setups.request(domain.id)
    await stores.setups.store(claimed, "{}", evidence="", resolver="", complete=True)
    stored = await stores.setups.of(domain.id)
    assert (stored.checking, stored.answers) == (True, "{}")
    await stores.accounts.remove_domain(domain)
    assert (await stores.setups.of(domain.id)).answers == ""
