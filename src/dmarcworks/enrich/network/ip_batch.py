"""What IP data files state about many addresses at once: each combination of their records is read once."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from dmarcworks.enrich.network.ip_data import IpFacts, IpSnapshot, facts_of
from dmarcworks.enrich.network.ip_tree import IpTree
from dmarcworks.enrich.network.ipv4 import ipv4_numbers

__all__ = ["facts_of_many"]

# Leaves whose facts are kept; a file has some hundred thousand records.
_KEPT = 500_000
# The leaves of so many files are combined: one with networks, one with countries.
_FILES = 2
_Array: TypeAlias = "pa.Array[Any]"


def facts_of_many(snapshot: IpSnapshot, addresses: Sequence[str]) -> tuple[list[IpFacts], array[int]] | None:
    """The different facts about these addresses, and for each address which of them are about it.

    None when the files are too many, or have trees that cannot be used.
    """
    trees = [tree for file in snapshot.files[: _FILES + 1] if (tree := file.tree) is not None]
    if not 0 < len(trees) == len(snapshot.files) <= _FILES:
        return None
    numbers, others = ipv4_numbers(addresses)
    encoded = _leaves(trees, numbers).dictionary_encode()
    facts = _Different()
    of_leaf = array("i", map(facts.place, _read(snapshot, encoded, numbers)))
    groups = _array(
        pc.take(pa.Array.from_buffers(pa.int32(), len(of_leaf), [None, pa.py_buffer(of_leaf)]), encoded.indices)
    )
    for place in others:
        groups[place] = facts.place(snapshot(addresses[place]))
    return facts.values, groups


class _Different:
    """Facts, each object once."""

    def __init__(self) -> None:
        self.values: list[IpFacts] = []
        self._places: dict[int, int] = {}

    def place(self, one: IpFacts) -> int:
        place = self._places.setdefault(id(one), len(self.values))
        if place == len(self.values):
            self.values.append(one)
        return place


def _leaves(trees: Sequence[IpTree], numbers: array[int]) -> _Array:
    """For each address one number for its leaves in all trees."""
    first, *more = [tree.leaves(numbers) for tree in trees]
    for other in more:
        first = pc.add(pc.shift_left(first.cast(pa.uint64()), pa.scalar(32, pa.uint64())), other.cast(pa.uint64()))
    return first


def _read(snapshot: IpSnapshot, encoded: Any, numbers: array[int]) -> list[IpFacts]:
    """The facts of each of the leaves, read at the first address that leads to it."""
    known, leaves = snapshot.leaves, encoded.dictionary.to_pylist()
    if len(known) > _KEPT:
        known.clear()
    if not all(map(known.__contains__, leaves)):
        indices = _array(encoded.indices)
        first = dict(zip(reversed(indices), range(len(indices) - 1, -1, -1), strict=True))
        for place, leaf in enumerate(leaves):
            if leaf not in known:
                known[leaf] = facts_of(_text(numbers[first[place]]), snapshot)
    return [known[leaf] for leaf in leaves]


def _array(values: _Array) -> array[int]:
    """A copy of numbers of 32 bits."""
    numbers, data = array("i"), values.buffers()[1]
    assert data is not None  # only an array without values has none
    numbers.frombytes(memoryview(data)[4 * values.offset : 4 * (values.offset + len(values))])
    return numbers


def _text(number: int) -> str:
    return ".".join(map(str, number.to_bytes(4, "big")))
