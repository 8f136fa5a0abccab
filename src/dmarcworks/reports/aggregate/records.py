"""The records of an aggregate report (RFC 7489 Appendix C, RFC 9990): values, and the column-wise list of them.

Nearly all records of a report differ only in address and count, so `Records` keeps those two as columns and the other
fields as shared values. A `Record` is created only on access; the rows for Analytics do not need one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import overload

__all__ = ["DkimResult", "Reason", "Record", "RecordContent", "Records", "SpfResult"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the receiver did not apply the published policy (policy override, RFC 7489 §7.2)."""

    type: str | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class DkimResult:
    """One DKIM signature's result."""

    domain: str | None
    selector: str | None
    result: str | None
    human_result: str | None


@dataclass(frozen=True, slots=True)
class SpfResult:
    """One SPF check's result."""

    domain: str | None
    scope: str | None
    result: str | None
    human_result: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """A row of an aggregate report. `count` in messages; `dkim_aligned`, `spf_aligned`: pass, fail or None."""

    source_ip: str
    count: int
    disposition: str | None
    dkim_aligned: str | None
    spf_aligned: str | None
    reasons: tuple[Reason, ...]
    header_from: str | None
    envelope_from: str | None
    envelope_to: str | None
    dkim: tuple[DkimResult, ...]
    spf: tuple[SpfResult, ...]


# The fields of a record except its address and count, in the order of `Record`.
RecordContent = tuple[
    str | None,
    str | None,
    str | None,
    tuple[Reason, ...],
    str | None,
    str | None,
    str | None,
    tuple[DkimResult, ...],
    tuple[SpfResult, ...],
]
_CONTENT = attrgetter(
    "disposition",
    "dkim_aligned",
    "spf_aligned",
    "reasons",
    "header_from",
    "envelope_from",
    "envelope_to",
    "dkim",
    "spf",
)


class Records(Sequence[Record]):
    """An unchangeable list of records; `source_ips`, `counts` and `contents` are its columns, of equal length."""

    __slots__ = ("contents", "counts", "source_ips")

    def __init__(self, source_ips: Sequence[str], counts: Sequence[int], contents: Sequence[RecordContent]) -> None:
        self.source_ips = source_ips
        self.counts = counts
        self.contents = contents

    @classmethod
    def of(cls, records: Iterable[Record]) -> Records:
        """The same records; itself if it is one already."""
        if isinstance(records, cls):
            return records
        kept = tuple(records)
        return cls(
            tuple(record.source_ip for record in kept),
            tuple(record.count for record in kept),
            tuple(_CONTENT(record) for record in kept),
        )

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> Record | Records:
        """A record, or the list of some of them."""
        if isinstance(index, slice):
            return Records(self.source_ips[index], self.counts[index], self.contents[index])
        return Record(self.source_ips[index], self.counts[index], *self.contents[index])

    def __len__(self) -> int:
        return len(self.counts)

    def __iter__(self) -> Iterator[Record]:
        for source_ip, count, content in zip(self.source_ips, self.counts, self.contents, strict=True):
            yield Record(source_ip, count, *content)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Records):
            mine = (self.source_ips, self.counts, self.contents)
            theirs = (other.source_ips, other.counts, other.contents)
            return all(tuple(one) == tuple(two) for one, two in zip(mine, theirs, strict=True))
        if isinstance(other, (tuple, list)):
            return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Records.of({list(self)!r})"
