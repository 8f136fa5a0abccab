"""Hosts in the zones of a test's DNS server."""

from __future__ import annotations

from ipaddress import ip_address

from tests.support.outside import Names


def pointer(address: str) -> str:
    return ip_address(address).reverse_pointer


def host(names: Names, address: str, *ptr: str, forward: bool = True) -> None:
    kind = "AAAA" if ":" in address else "A"
    names.add({(pointer(address), "PTR"): [f"{name}." for name in ptr]})
    if forward:
        names.add({(ptr[0], kind): [address]})
