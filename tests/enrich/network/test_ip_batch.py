"""Promise: the facts about many addresses at once are those of each address, whatever the file's form."""

from __future__ import annotations

import ipaddress
import random
from pathlib import Path
from typing import Any

import pytest

from dmarcworks.enrich.network.ip_batch import facts_of_many
from dmarcworks.enrich.network.ip_data import IpData, IpSnapshot
from dmarcworks.enrich.network.ip_file import opened_file
from dmarcworks.enrich.network.ipv4 import ipv4_numbers
from tests.support import mmdb
from tests.support.mmdb import write_mmdb

ODD = [
    "", "x", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4\n", " 1.2.3.4", "1.2.3.4\0", "🙂", "\ud800", "::",
    "::1", "::ffff:8.8.8.8", "2001:db8::1", "fe80::1%eth0", "0.0.0.0", "255.255.255.255", "8.8.8.8", "8.8.8.8",
]  # fmt: skip


def networks(dice: random.Random, version: int, record: Any) -> dict[str, Any]:
    """Networks that do not overlap, of all sizes."""
    made: dict[str, Any] = {}
    for first in dice.sample(range(1, 224), 40):
        size = dice.choice([8, 9, 12, 16, 17, 23, 24, 31, 32])
        start = (first << 24) + dice.getrandbits(24)
        made[str(ipaddress.ip_network((start, size), strict=False))] = record(first)
    if version == 6:
        made["2001:db8::/32"] = record(300)
    return made


def addresses(dice: random.Random, made: dict[str, Any]) -> list[str]:
    """Addresses in the networks, at their borders, elsewhere, and text that is no address."""
    some = list(ODD)
    for text in made:
        network = ipaddress.ip_network(text)
        some += [str(network[0]), str(network[-1]), str(network[0] - 1), str(network[-1] + 1)]
        some += [str(network[dice.randrange(min(network.num_addresses, 2**62))]) for _ in range(5)]
    some += [str(ipaddress.IPv4Address(dice.getrandbits(32))) for _ in range(500)]
    dice.shuffle(some)
    return some


def expanded(answer: tuple[list[Any], Any] | None) -> list[Any]:
    assert answer is not None
    facts, places = answer
    return [facts[place] for place in places]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("record_size", [24, 28, 32])
def test_a_file_of_any_form(tmp_path: Path, version: int, record_size: int) -> None:
    for seed in range(5):
        dice = random.Random(seed)
        # Several networks share a record, and some addresses have none.
        made = networks(dice, version, lambda number: mmdb.ipinfo(f"AS{number % 7 + 1}", "N", "n.example", "US"))
        path = tmp_path / f"{seed}.mmdb"
        write_mmdb(path, mmdb.IPINFO, made, version=version, record_size=record_size)
        assert opened_file(path).tree is not None
        texts = addresses(dice, made)
        alone = IpData([path]).current()
        expected = [alone(text) for text in texts]
        together = IpData([path]).current()
        assert expanded(facts_of_many(together, texts)) == expected
        # What is remembered of the first time gives the same.
        assert expanded(facts_of_many(together, texts[::-1])) == expected[::-1]
        assert sum(one.asn is not None for one in expected) > 100


def test_two_files_are_combined_and_more_are_not(tmp_path: Path) -> None:
    dice = random.Random(9)
    one = networks(dice, 6, lambda number: mmdb.asn(number, f"Network {number}"))
    two = networks(dice, 6, lambda number: mmdb.country("DE" if number % 2 else "FR"))
    write_mmdb(tmp_path / "1.mmdb", "GeoLite2-ASN", one, record_size=24)
    write_mmdb(tmp_path / "2.mmdb", "GeoLite2-Country", two, record_size=28)
    texts = addresses(dice, one | two)
    data = IpData([tmp_path])
    expected = [data.lookup(text) for text in texts]
    assert expanded(facts_of_many(IpData([tmp_path]).current(), texts)) == expected
    write_mmdb(tmp_path / "3.mmdb", mmdb.IPINFO, {"8.8.8.0/24": mmdb.ipinfo("AS1", "One", "one.example", "US")})
    three = IpData([tmp_path]).current()
    assert facts_of_many(three, texts) is None
    assert expanded(three.of_all(texts)) == [IpData([tmp_path]).lookup(text) for text in texts]
    assert facts_of_many(IpSnapshot(), texts) is None
    assert {one.source for one in expanded(IpSnapshot().of_all(texts))} == {""}


def test_many_and_few_addresses_have_the_same_facts(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "a.mmdb", mmdb.IPINFO, {"8.0.0.0/8": mmdb.ipinfo("AS1", "One", "one.example", "US")})
    snapshot = IpData([path]).current()
    few = expanded(snapshot.of_all(["8.8.8.8", "9.9.9.9", "x"]))
    many = expanded(snapshot.of_all(["8.8.8.8", "9.9.9.9", "x"] * 1000))
    assert many == few * 1000
    assert [one.asn for one in few] == [1, None, None]
    facts, places = snapshot.of_all([])
    assert (facts, list(places)) == ([], [])


def test_addresses_as_numbers() -> None:
    numbers, others = ipv4_numbers(["1.2.3.4", "255.0.0.1", "0.0.0.0"])
    assert (list(numbers), others) == ([0x01020304, 0xFF000001, 0], [])
    numbers, others = ipv4_numbers(["1.2.3.4", *ODD[:10], "0.0.0.9"])
    assert (list(numbers), others) == ([0x01020304, *[0] * 10, 9], list(range(1, 11)))
