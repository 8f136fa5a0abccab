"""IPv4 addresses as numbers, many at once. Pure."""

from __future__ import annotations

import socket
import sys
from array import array
from collections.abc import Sequence
from itertools import repeat

__all__ = ["ipv4_numbers"]


def ipv4_numbers(addresses: Sequence[str]) -> tuple[array[int], list[int]]:
    """The addresses as numbers, 0 for what is no IPv4 address in its usual form; and the places of those."""
    numbers, others = array("I"), list[int]()
    try:
        packed = b"".join(map(socket.inet_pton, repeat(socket.AF_INET), addresses))
    except (OSError, ValueError):  # one of them is not
        pieces = []
        for place, address in enumerate(addresses):
            try:
                pieces.append(socket.inet_pton(socket.AF_INET, address))
            except (OSError, ValueError):
                pieces.append(bytes(4))
                others.append(place)
        packed = b"".join(pieces)
    numbers.frombytes(packed)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers, others
