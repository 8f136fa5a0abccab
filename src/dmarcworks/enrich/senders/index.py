"""Look-ups over the catalogue: suffixes of names on label borders, address blocks, selectors. Pure.

A suffix takes as many look-ups as the name has labels, an address as many as there are different prefix lengths; the
size of the catalogue does not matter.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import sys
from array import array
from collections.abc import Iterable, Sequence
from itertools import compress, count
from typing import Generic, TypeVar

from dmarcworks.enrich.network.ipv4 import ipv4_numbers
from dmarcworks.enrich.senders.model import IpBlock, SendingService
from dmarcworks.enrich.senders.names import IpAddress, ip_address

__all__ = [
    "BlockIndex",
    "BlockRepresentatives",
    "SelectorIndex",
    "SenderIndex",
    "SuffixIndex",
    "block_of",
    "selector_pattern",
]

Value = TypeVar("Value")
_ANY = "[a-z0-9_-]+"


class SuffixIndex(Generic[Value]):
    """Values by domain: a name has that of its longest suffix on label borders. The first value of a name stays."""

    __slots__ = ("_values",)

    def __init__(self, entries: Iterable[tuple[str, Value]]) -> None:
        self._values: dict[str, Value] = {}
        for name, value in entries:
            self._values.setdefault(name, value)

    def find(self, name: str) -> Value | None:
        """The value of the name or of the nearest domain above it."""
        values = self._values
        while name:
            value = values.get(name)
            if value is not None:
                return value
            name = name.partition(".")[2]
        return None


class BlockIndex(Generic[Value]):
    """Values by address block, of IPv4 and IPv6: an address has the value of the smallest block around it."""

    __slots__ = ("_levels",)

    def __init__(self, entries: Iterable[tuple[IpBlock, Value]]) -> None:
        levels: dict[tuple[int, int], dict[int, Value]] = {}
        for block, value in entries:
            shift = block.max_prefixlen - block.prefixlen
            levels.setdefault((block.version, shift), {}).setdefault(int(block.network_address) >> shift, value)
        self._levels = {
            version: [(shift, values) for (of, shift), values in sorted(levels.items(), key=_shift) if of == version]
            for version in (4, 6)
        }

    def find(self, address: IpAddress) -> Value | None:
        """The value of the smallest block that contains the address."""
        return self.find_number(address.version, int(address))

    def find_number(self, version: int, number: int) -> Value | None:
        """The same for an address as a number."""
        for shift, values in self._levels[version]:
            value = values.get(number >> shift)
            if value is not None:
                return value
        return None


class BlockRepresentatives:
    """One address for all those that are in the same blocks: the first one that was looked up."""

    __slots__ = ("_blocks", "_first", "_near")

    def __init__(self, blocks: Iterable[IpBlock]) -> None:
        kept = list(blocks)
        self._blocks = BlockIndex((block, block) for block in kept)
        self._first: dict[IpBlock, str] = {}
        # The first two octets of all addresses of IPv4 in a block: most addresses are in none, and are known by these.
        self._near = {
            octets
            for block in kept
            if block.version == 4
            for octets in range(int(block[0]) >> 16, (int(block[-1]) >> 16) + 1)
        }

    def of(self, text: str) -> str | None:
        """The address that stands for this one; None when no block contains it, and for text that is no address."""
        try:
            # The usual case, many times faster than an object.
            number = int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big")
            block = self._blocks.find_number(4, number) if number >> 16 in self._near else None
        except (OSError, ValueError):
            address = ip_address(text)
            block = None if address is None else self._blocks.find(address)
        # Blocks lie within each other or apart: all others follow from the smallest one around an address.
        return None if block is None else self._first.setdefault(block, text)

    def of_all(self, addresses: Sequence[str]) -> dict[int, str]:
        """The same for many addresses: by their places, those that a block contains."""
        numbers, others = ipv4_numbers(addresses)
        halves = array("H", numbers.tobytes())
        octets = halves[1::2] if sys.byteorder == "little" else halves[::2]
        near = compress(count(), map(self._near.__contains__, octets))
        return {place: one for place in (*near, *others) if (one := self.of(addresses[place])) is not None}


def _shift(level: tuple[tuple[int, int], object]) -> int:
    return level[0][1]


class SelectorIndex:
    """Services by DKIM selector: exact ones first, then patterns in which `*` is one or more characters of a label."""

    __slots__ = ("_exact", "_patterns")

    def __init__(self, entries: Iterable[tuple[str, SendingService]]) -> None:
        self._exact: dict[str, SendingService] = {}
        # By first character: few of the patterns are tried for one selector.
        self._patterns: dict[str, list[tuple[re.Pattern[str], SendingService]]] = {}
        for pattern, service in entries:
            if "*" in pattern:
                self._patterns.setdefault(pattern[0], []).append((selector_pattern(pattern), service))
            else:
                self._exact.setdefault(pattern, service)

    def find(self, selector: str) -> SendingService | None:
        """The service that chooses this selector under the domains of its customers."""
        if (service := self._exact.get(selector)) is not None:
            return service
        for first in (selector[0], "*"):
            for pattern, service in self._patterns.get(first, ()):
                if pattern.fullmatch(selector):
                    return service
        return None


def selector_pattern(pattern: str) -> re.Pattern[str]:
    """The expression of a selector with `*` in it."""
    return re.compile(_ANY.join(re.escape(part) for part in pattern.split("*")))


class SenderIndex:
    """The catalogue, ready for look-ups by each kind of evidence."""

    __slots__ = ("blocks", "by_name", "dkim", "envelope", "ptr", "selectors")

    def __init__(self, services: Iterable[SendingService]) -> None:
        kept = tuple(services)
        self.by_name = {service.name: service for service in kept}
        self.dkim = SuffixIndex((name, service) for service in kept for name in service.dkim)
        self.envelope = SuffixIndex((name, service) for service in kept for name in service.envelope)
        self.ptr = SuffixIndex((name, service) for service in kept for name in service.ptr)
        self.blocks = BlockIndex((block, service) for service in kept for block in service.blocks)
        self.selectors = SelectorIndex((pattern, service) for service in kept for pattern in service.selectors)


def block_of(text: str) -> IpBlock:
    """An address block in CIDR form, without bits after the prefix; ValueError for anything else."""
    if "/" not in text:
        raise ValueError(f"{text!r} has no prefix length")
    return ipaddress.ip_network(text)
