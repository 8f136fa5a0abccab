"""The search tree of an IP data file, for many IPv4 addresses at once.

A file in MaxMind's format is a binary tree over the bits of an address; its leaves point to records. Thousands of
addresses share a record, so that finding the leaves together and decoding each record once is many times faster than
one look-up after another. What a leaf holds is read by the ordinary look-up of one address that leads to it.
"""

from __future__ import annotations

import mmap
import sys
from array import array
from collections.abc import Iterable
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["IpTree"]

_Numbers: TypeAlias = "pa.Array[Any]"
_KIND = pa.uint32()
# Bits of an address that one look-up in a table replaces.
_TOP = 16


class IpTree:
    """A tree, ready for look-ups; the first 16 bits of an address are one look-up in a table."""

    def __init__(self, children: pa.Buffer, swapped: bool, nodes: int, ip_version: int) -> None:
        self._children = pa.Array.from_buffers(_KIND, 2 * nodes, [None, children])
        self._swapped, self._nodes = swapped, nodes
        self._count, self._last = pa.scalar(nodes, _KIND), pa.scalar(nodes - 1, _KIND)
        # IPv4 is below ::/96 of a tree for both.
        first = 0
        for _ in range(96 if ip_version == 6 else 0):
            first = first if first >= nodes else self._child(2 * first)
        everywhere = _packed(array("I", [first]) * (1 << _TOP))
        numbers = _packed(array("I", range(0, 1 << 32, 1 << (32 - _TOP))))
        self._top = self._walked(everywhere, numbers, range(31, 31 - _TOP, -1))

    @classmethod
    def opened(cls, tree: mmap.mmap | bytes, nodes: int, record_size: int, ip_version: int) -> IpTree | None:
        """The tree of so many nodes, whose records have so many bits; None when it is cut off or unusual."""
        size = nodes * record_size // 4
        known = record_size in (24, 28, 32) and 0 < nodes < 2**31 and len(tree) >= size
        if not known or sys.byteorder != "little":
            return None
        if record_size == 32:
            # Used where it lies: the file is mapped, and a copy of it would be as large as the file.
            return cls(pa.py_buffer(tree), True, nodes, ip_version)
        return cls(pa.py_buffer(_widened(tree[:size], nodes, record_size)), False, nodes, ip_version)

    def leaves(self, numbers: array[int]) -> _Numbers:
        """For each IPv4 address, as a number, the value of its leaf: the same value, the same record."""
        every = _packed(numbers)
        nodes = pc.take(self._top, pc.shift_right(every, pa.scalar(32 - _TOP, _KIND)))
        return self._walked(nodes, every, range(31 - _TOP, -1, -1))

    def _walked(self, nodes: _Numbers, numbers: _Numbers, bits: Iterable[int]) -> _Numbers:
        """From these nodes on by these bits of the numbers; what is a leaf already stays."""
        one = pa.scalar(1, _KIND)
        for bit in bits:
            inner = pc.less(nodes, self._count)
            side = pc.bit_wise_and(pc.shift_right(numbers, pa.scalar(bit, _KIND)), one)
            child = pc.add(pc.shift_left(pc.min_element_wise(nodes, self._last), one), side)
            nodes = pc.if_else(inner, self._children_at(child), nodes)
        return nodes

    def _children_at(self, places: _Numbers) -> _Numbers:
        values: _Numbers = pc.take(self._children, places)
        if not self._swapped:
            return values
        data = values.buffers()[1]
        numbers = array("I")
        numbers.frombytes(memoryview(data)[: 4 * len(values)] if data is not None else b"")
        numbers.byteswap()
        return _packed(numbers)

    def _child(self, place: int) -> int:
        value: int = self._children_at(_packed(array("I", [place])))[0].as_py()
        return value


def _packed(numbers: array[int]) -> _Numbers:
    return pa.Array.from_buffers(_KIND, len(numbers), [None, pa.py_buffer(numbers)])


def _widened(tree: bytes, nodes: int, record_size: int) -> bytes:
    """The records of 24 or 28 bits as little-endian ones of 32 bits."""
    wide = bytearray(8 * nodes)
    if record_size == 24:
        for byte in range(3):
            wide[byte::4] = tree[2 - byte :: 3]
        return bytes(wide)
    # The highest four bits of both records share the fourth byte of the node, those of the left one first.
    for byte in range(3):
        wide[byte::8] = tree[2 - byte :: 7]
        wide[4 + byte :: 8] = tree[6 - byte :: 7]
    wide[3::8] = tree[3::7].translate(bytes(value >> 4 for value in range(256)))
    wide[7::8] = tree[3::7].translate(bytes(value & 15 for value in range(256)))
    return bytes(wide)
