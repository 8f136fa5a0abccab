"""Look-ups over the catalogue: suffixes on label borders, blocks of both families; against plain searches."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.enrich.senders.index import BlockIndex, SuffixIndex, block_of
from dmarcworks.enrich.senders.model import IpBlock

LABEL = st.sampled_from(["a", "b", "c-1", "_d"])
NAME = st.lists(LABEL, min_size=1, max_size=5).map(".".join)
BLOCK = st.one_of(
    st.builds(
        lambda number, prefix: ipaddress.ip_network((number, prefix), strict=False),
        st.integers(0, 2**32 - 1),
        st.integers(0, 32),
    ),
    st.builds(
        lambda number, prefix: ipaddress.ip_network((number << 64, prefix), strict=False),
        st.integers(0, 2**64 - 1),
        st.integers(0, 128),
    ),
)


@given(st.lists(NAME), NAME)
def test_a_suffix_is_the_longest_one_on_label_borders(suffixes: list[str], name: str) -> None:
    index = SuffixIndex((suffix, suffix) for suffix in suffixes)
    matching = [suffix for suffix in suffixes if name == suffix or name.endswith("." + suffix)]
    assert index.find(name) == (max(matching, key=len) if matching else None)


@given(st.lists(BLOCK, max_size=20), st.data())
def test_a_block_is_the_smallest_one_around_the_address(blocks: list[IpBlock], data: st.DataObject) -> None:
    index = BlockIndex((block, block) for block in blocks)
    near = [block.network_address + data.draw(st.integers(0, min(block.num_addresses, 4) - 1)) for block in blocks]
    for address in [*near, data.draw(st.ip_addresses())]:
        around = [block for block in blocks if address.version == block.version and address in block]
        assert index.find(address) == (max(around, key=lambda block: block.prefixlen) if around else None)


def test_the_first_of_two_values_stays() -> None:
    assert SuffixIndex([("a.b", 1), ("a.b", 2)]).find("x.a.b") == 1
    block = ipaddress.ip_network("192.0.2.0/24")
    assert BlockIndex([(block, 1), (block, 2)]).find(ipaddress.ip_address("192.0.2.7")) == 1


@pytest.mark.parametrize(
    "text", ["10.0.0.0", "192.0.2.1/24", "192.0.2.0/33", "2001:db8::/129", "a/24", "", "10.0.0.0/-1"]
)
def test_a_block_has_a_prefix_and_nothing_after_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        block_of(text)
