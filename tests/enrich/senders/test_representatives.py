"""Promise: one address stands for all others in the same blocks, and identification answers the same for it."""

from __future__ import annotations

import ipaddress
import itertools

from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.enrich.senders.identify import SenderIdentifier
from dmarcworks.enrich.senders.index import BlockIndex, BlockRepresentatives
from dmarcworks.enrich.senders.load import catalogue
from dmarcworks.enrich.senders.model import Evidence
from dmarcworks.enrich.senders.names import ip_address

BLOCKS = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "10.0.0.0/24", "10.9.0.0/16", "2001:db8::/32")]
TEXTS = st.one_of(
    st.sampled_from(["10.0.0.1", "10.0.1.1", "10.9.9.9", "11.0.0.1", "::ffff:10.0.0.7", "2001:db8::1", "2001:db9::1",
                     "010.0.0.1", "10.0.0", "", "x", "10.0.0.1\n", "fe80::1%1", "\ud800", "1\x00"]),
    st.ip_addresses().map(str),
    st.integers(0, 2**24 - 1).map(lambda number: str(ipaddress.IPv4Address((10 << 24) + number))),
    st.text(max_size=20),
)  # fmt: skip


@given(st.lists(TEXTS, max_size=30))
def test_the_representative_is_in_the_same_blocks(texts: list[str]) -> None:
    found = BlockRepresentatives(BLOCKS)
    index = BlockIndex((block, block) for block in BLOCKS)
    for text in texts:
        address, other = ip_address(text), found.of(text)
        expected = None if address is None else index.find(address)
        assert (other is None) == (expected is None)
        if other is not None:
            chosen = ip_address(other)
            assert chosen is not None
            assert index.find(chosen) == expected


@given(st.lists(TEXTS, max_size=30))
def test_many_addresses_have_the_representatives_that_each_has(texts: list[str]) -> None:
    one_by_one, together = BlockRepresentatives(BLOCKS), BlockRepresentatives(BLOCKS)
    expected = {place: other for place, text in enumerate(texts) if (other := one_by_one.of(text)) is not None}
    found = together.of_all(texts)
    assert found.keys() == expected.keys()
    # Which address of a block comes first depends on the order, and is the same for all of them.
    index = BlockIndex((block, block) for block in BLOCKS)
    blocks = {place: index.find(ip_address(texts[place])) for place in found}  # type: ignore[arg-type]
    for one, other in itertools.combinations(found, 2):
        assert (found[one] == found[other]) == (blocks[one] == blocks[other])


@given(st.data())
def test_identification_answers_the_same_for_it(data: st.DataObject) -> None:
    """With the catalogue's blocks: only the address in the reasons is another."""
    blocks = [block for service in catalogue() for block in service.blocks]
    found, identifier = BlockRepresentatives(blocks), SenderIdentifier()
    for block in data.draw(st.lists(st.sampled_from(blocks), min_size=1, max_size=5)):
        for place in data.draw(st.lists(st.integers(0, min(block.num_addresses, 2**20) - 1), min_size=2, max_size=4)):
            text = str(block[place])
            for evidence in (Evidence(ip=text), Evidence(ip=text, spf_domain="bounce.sendgrid.net")):
                answer = identifier.identify_afresh(evidence)
                other = identifier.identify_afresh(evidence._replace(ip=found.of(text)))
                assert answer[:4] == other[:4]
