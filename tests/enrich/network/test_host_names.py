"""Promise of host names: the addresses that belong to one host, and no others, are looked up."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.enrich.network.host_names import looked_up


@given(st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 0x7EFFFFFF, 0x7F000001, 0x80000000, 0xA9FDFFFF, 0xA9FE0000,
       0xA9FEFFFF, 0xA9FF0000, 0xDFFFFFFF, 0xE0000000, 0xEFFFFFFF, 0xF0000000]))  # fmt: skip
def test_addresses_of_one_host_are_looked_up(number: int) -> None:
    """As the library tells loopback, multicast, link-local and unspecified addresses."""
    address = IPv4Address(number)
    special = address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local
    assert looked_up(address) is not special


@pytest.mark.parametrize(
    ("text", "expected"), [("2001:db8::1", True), ("::1", False), ("::", False), ("fe80::1", False), ("ff02::1", False)]
)
def test_ipv6_addresses_of_one_host_are_looked_up(text: str, expected: bool) -> None:
    assert looked_up(IPv6Address(text)) is expected
