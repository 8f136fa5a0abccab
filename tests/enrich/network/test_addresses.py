"""Promise: an address has the name that DNS gives it, confirmed or not, whatever name servers do; within bounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.bindings import open as bindings
from dmarcworks.bindings.contracts import KV, Database
from dmarcworks.enrich.network import addresses as module
from dmarcworks.enrich.network.addresses import NO_NAME, AddressName, AddressNames
from dmarcworks.enrich.network.host_names import host_name
from dmarcworks.enrich.resolver import Dns
from dmarcworks.errors import StoreError
from tests.support.hosts import host, pointer
from tests.support.outside import Names, answering


@pytest.fixture
def names() -> AsyncIterator[Names]:
    there = Names(ttl=7200, negative_ttl=5000)
    with answering(there):
        yield there  # type: ignore[misc]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    there = bindings.open_database(f"sqlite:///{tmp_path}/db")
    await there.migrate()
    yield there
    await there.close()


@pytest.fixture
async def kv(database: Database) -> KV:
    return bindings.open_kv(database)


@pytest.fixture
async def dns(names: Names) -> AsyncIterator[Dns]:
    resolver = Dns(names.server)
    yield resolver
    resolver.close()


@pytest.fixture
async def lookup(dns: Dns, kv: KV) -> AddressNames:
    return AddressNames(dns, kv)


async def test_a_name_is_confirmed_when_it_leads_back(names: Names, lookup: AddressNames) -> None:
    host(names, "192.0.2.1", "Mail.Example.COM")
    host(names, "192.0.2.2", "mail.example.net", forward=False)
    host(names, "2001:db8::25", "six.example.com")
    names.add({("mail.example.net", "A"): ["192.0.2.99"]})
    found = await lookup.find_all(["192.0.2.1", "192.0.2.2", "2001:db8::25", "192.0.2.3", "no address", "127.0.0.1"])
    assert found == {
        "192.0.2.1": AddressName("mail.example.com", True, True, 7200),
        "192.0.2.2": AddressName("mail.example.net", False, True, 7200),
        "2001:db8::25": AddressName("six.example.com", True, True, 7200),
        "192.0.2.3": AddressName(None, False, True, 5000),
        "no address": NO_NAME,
        "127.0.0.1": NO_NAME,
    }


@pytest.mark.parametrize("bare", [False, True])
async def test_a_classless_delegation_is_followed_through_its_aliases(
    names: Names, lookup: AddressNames, bare: bool
) -> None:
    """RFC 2317: the PTR record is behind a CNAME, from a resolver with its target and from a zone's server without."""
    names.bare_aliases = bare
    names.add({(pointer("192.0.2.5"), "CNAME"): "5.0-25.2.0.192.in-addr.arpa"})
    names.add({("5.0-25.2.0.192.in-addr.arpa", "CNAME"): "5.customer.example"})
    names.add({("5.customer.example", "PTR"): "mx.customer.example."})
    names.add({("mx.customer.example", "CNAME"): "host.customer.example", ("host.customer.example", "A"): "192.0.2.5"})
    assert await lookup.find("192.0.2.5") == AddressName("mx.customer.example", True, True, 7200)


@pytest.mark.parametrize("bare", [False, True])
async def test_aliases_that_lead_in_a_circle_end(names: Names, lookup: AddressNames, bare: bool) -> None:
    names.bare_aliases = bare
    names.add({(pointer("192.0.2.6"), "CNAME"): "a.example", ("a.example", "CNAME"): "b.example"})
    names.add({("b.example", "CNAME"): "a.example"})
    assert await lookup.find("192.0.2.6") == AddressName(None, False, False, 600)


async def test_servers_that_fail_give_no_name_and_are_asked_again_soon(names: Names, lookup: AddressNames) -> None:
    names.failing.add(pointer("192.0.2.7"))
    names.lame.add(pointer("192.0.2.8"))
    host(names, "192.0.2.9", "broken.example", forward=False)
    names.broken.add("broken.example")
    found = await lookup.find_all(["192.0.2.7", "192.0.2.8", "192.0.2.9"])
    assert found == {
        "192.0.2.7": AddressName(None, False, False, 600),
        "192.0.2.8": AddressName(None, False, False, 600),
        # The name is known, only whether it leads back is not.
        "192.0.2.9": AddressName("broken.example", False, False, 600),
    }


async def test_a_server_that_is_silent_costs_its_time_only(names: Names, dns: Dns, kv: KV) -> None:
    names.silent.add("in-addr.arpa")
    lookup = AddressNames(dns, kv, at_once=4, seconds=0.3)
    found = await lookup.find_all([f"192.0.2.{number}" for number in range(20)])
    assert set(found.values()) == {AddressName(None, False, False, 600)}


async def test_at_most_so_many_are_asked_at_once(names: Names, dns: Dns, kv: KV) -> None:
    names.slow.add("in-addr.arpa")
    names.slow_seconds = 0.02
    lookup = AddressNames(dns, kv, at_once=5)
    await lookup.find_all([f"192.0.2.{number}" for number in range(60)])
    assert 2 <= names.most_waiting <= 5


async def test_an_address_with_hundreds_of_names_takes_a_few_queries(names: Names, lookup: AddressNames) -> None:
    names.truncates = True
    many = [f"site{number:03}.example.com" for number in range(400)]
    names.add({(pointer("192.0.2.10"), "PTR"): [f"{name}." for name in reversed(many)]})
    names.add({("site003.example.com", "A"): ["192.0.2.10"]})
    assert await lookup.find("192.0.2.10") == AddressName("site003.example.com", True, True, 7200)
    # Over UDP and, since it is long, over TCP; then names in their order until one leads back.
    assert names.asked == [(pointer("192.0.2.10"), "PTR")] * 2 + [(name, "A") for name in many[:4]]
    names.add({(pointer("192.0.2.11"), "PTR"): [f"{name}." for name in many[100:]]})
    assert (await lookup.find("192.0.2.11")).ptr == "site100.example.com"
    assert len(names.asked) == 6 + 2 + module.NAMES


async def test_a_name_with_thousands_of_addresses_is_looked_at_in_part(names: Names, lookup: AddressNames) -> None:
    names.truncates = True
    host(names, "192.0.2.12", "huge.example", forward=False)
    names.add({("huge.example", "A"): [f"10.1.{n // 250}.{n % 250}" for n in range(3000)]})
    assert await lookup.find("192.0.2.12") == AddressName("huge.example", False, True, 7200)


@pytest.mark.parametrize(
    "text",
    ["localhost", "1.2.0.192.in-addr.arpa", "192.0.2.13", r"a\032b.example", "-bad.example", "single", r"\000.example"],
)
async def test_nonsense_is_no_name(names: Names, lookup: AddressNames, text: str) -> None:
    names.add({(pointer("192.0.2.13"), "PTR"): [f"{text}."]})
    assert await lookup.find("192.0.2.13") == AddressName(None, False, True, 7200)


async def test_what_is_known_is_kept_for_its_time_within_bounds(names: Names, dns: Dns, kv: KV) -> None:
    names.ttl, names.negative_ttl = 5, 10_000_000
    host(names, "192.0.2.14", "brief.example")
    lookup = AddressNames(dns, kv)
    assert await lookup.find("192.0.2.14") == AddressName("brief.example", True, True, module.SHORTEST)
    assert await lookup.find("192.0.2.15") == AddressName(None, False, True, module.ABSENT_LONGEST)
    asked = list(names.asked)
    # Another process, or this one after a restart.
    again = AddressNames(Dns("127.0.0.1:1"), kv)
    kept = await again.find("192.0.2.14")
    assert (kept.ptr, kept.confirmed, kept.answered) == ("brief.example", True, True)
    assert module.SHORTEST - 60 < kept.seconds <= module.SHORTEST
    assert (await again.find("192.0.2.15")).ptr is None
    assert names.asked == asked
    names.ttl = 10_000_000
    host(names, "192.0.2.16", "long.example")
    assert (await lookup.find("192.0.2.16")).seconds == module.LONGEST


class Away:
    """A KV whose store is unavailable."""

    async def get(self, key: str) -> str | None:
        raise StoreError("the database is unavailable")

    async def put(self, key: str, value: str, **_: Any) -> bool:
        raise StoreError("the database is unavailable")


async def test_a_store_that_is_away_or_damaged_changes_no_answer(names: Names, dns: Dns, kv: KV) -> None:
    host(names, "192.0.2.17", "mail.example")
    for damaged in ("", "null", "{}", "[1]", '["a", true, true, "x"]'):
        await kv.put("ptr:192.0.2.17", damaged)
        assert (await AddressNames(dns, kv).find("192.0.2.17")).ptr == "mail.example"
    assert (await AddressNames(dns, cast(KV, Away())).find("192.0.2.17")).ptr == "mail.example"


async def test_two_thousand_names(names: Names, lookup: AddressNames) -> None:
    expected: dict[str, tuple[str | None, bool, bool]] = {}
    names.truncates = True
    for number in range(2000):
        address, name = f"198.{18 + number % 2}.{number // 250}.{number % 250}", f"h{number}.example.net"
        match number % 8:
            case 0 | 1 | 2:
                host(names, address, name)
                expected[address] = (name, True, True)
            case 3:
                host(names, address, name, forward=False)
                expected[address] = (name, False, True)
            case 4:
                expected[address] = (None, False, True)
            case 5:
                names.failing.add(pointer(address))
                expected[address] = (None, False, False)
            case 6:
                names.add({(pointer(address), "CNAME"): f"{number}.delegated.example"})
                names.add({(f"{number}.delegated.example", "PTR"): f"{name}.", (name, "A"): address})
                expected[address] = (name, True, True)
            case 7:
                names.lame.add(pointer(address))
                expected[address] = (None, False, False)
    found = await asyncio.wait_for(lookup.find_all(expected), 120)
    assert {address: (one.ptr, one.confirmed, one.answered) for address, one in found.items()} == expected
    assert names.most_waiting <= module.AT_ONCE


@given(text=st.text(max_size=300) | st.from_regex(r"[a-z0-9.\-_]{1,80}", fullmatch=True))
def test_no_text_makes_a_name_that_is_none(text: str) -> None:
    name = host_name(text)
    if name is not None:
        assert name == name.lower()
        assert len(name) <= 253
        assert all(0 < len(label) <= 63 for label in name.split("."))
        assert json.loads(json.dumps(name)) == name
        assert host_name(name) == name
