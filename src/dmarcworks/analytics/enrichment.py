"""Reports' rows enriched: network, country and name of the source address, and the sending service behind it.

Pure but for the look-ups that it is given. In go the addresses and the values that records repeat, out come the
columns; each address, and each set of evidence about it, is looked up once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, Protocol, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from dmarcworks.analytics.arrays import Array, made, packed
from dmarcworks.analytics.columns import selected
from dmarcworks.analytics.decided import Decided, DecidedRows, DecisionsById, decided
from dmarcworks.analytics.row_keys import RowSource
from dmarcworks.analytics.source_evidence import (
    SignatureEvidence,
    SourceEvidence,
    evidence_of,
    evidence_of_results,
)
from dmarcworks.analytics.tables import DECIDED, DMARC_REPORTS
from dmarcworks.enrich.network.addresses import AddressName
from dmarcworks.enrich.network.ip_data import NO_FACTS, IpFacts
from dmarcworks.reports.aggregate.records import DkimResult, RecordContent, SpfResult

__all__ = [
    "ADDRESS_COLUMNS",
    "COLUMNS",
    "DECISION_COLUMNS",
    "SENDER_COLUMNS",
    "Enrichment",
    "Identified",
    "Identify",
    "SignatureEvidence",
    "SourceEvidence",
    "evidence_of",
]

ADDRESS_COLUMNS = ("ptr", "ptr_confirmed", "asn", "as_name", "country", "ip_data")
SENDER_COLUMNS = ("sender", "sender_kind", "sender_confidence")
DECISION_COLUMNS = tuple(column.name for column in DECIDED)
COLUMNS = (*ADDRESS_COLUMNS, *SENDER_COLUMNS, *DECISION_COLUMNS)


class Identified(Protocol):
    """The answer of identification; `sender` and `kind` are None when the sender is unknown."""

    @property
    def sender(self) -> str | None: ...
    @property
    def kind(self) -> str | None: ...
    @property
    def confidence(self) -> float: ...


# In go the evidence and whose rows it is about: an account may have names of its own.
Identify: TypeAlias = Callable[[SourceEvidence, str], Identified]
# Whose the next rows are: account, domain by id and by name, and how many rows.
RowDomain: TypeAlias = tuple[str, str, str, int]
# What records repeat: header_from, DKIM results, SPF results.
RepeatedValues: TypeAlias = tuple[str | None, Sequence[DkimResult], Sequence[SpfResult]]
_AddressValues: TypeAlias = tuple[str | None, bool | None, int | None, str | None, str | None, str | None]
_SenderValues: TypeAlias = tuple[str | None, str | None, float | None]
_Origin: TypeAlias = tuple[str | None, str | None, bool, int | None]
_UNKNOWN: _SenderValues = (None, None, None)


@dataclass(frozen=True, slots=True)
class Enrichment:
    """What is known now: the IP data, names of addresses (without an entry: not looked up yet), identification,
    decisions of owners."""

    ip_data: Callable[[str], IpFacts] | None = None
    names: Mapping[str, AddressName] = field(default_factory=dict)
    identify: Identify | None = None
    # One address for all that are in the same block of a service or an own system, None for those in no block.
    representative: Callable[[str], str | None] | None = None
    # By account and domain; None: not known here.
    decisions: Mapping[tuple[str, str], DecisionsById] | None = None

    def columns(
        self, accounts: Sequence[tuple[str, int]], addresses: Array, repeated: Sequence[RepeatedValues], places: Array
    ) -> dict[str, Array]:
        """The columns of rows: whose the next rows are and how many, each row's address, and the place in `repeated` of
        what it repeats.

        `repeated` holds (header_from, dkim, spf).
        """
        encoded = addresses.dictionary_encode()
        once: list[Any] = encoded.dictionary.to_pylist()
        # Thousands of addresses share their values. A column without any value is left out: it is NULL.
        facts, group = self._facts(once)
        rows = pc.take(packed(group, pa.int32()), encoded.indices)
        columns = selected(_made(ADDRESS_COLUMNS, facts), rows)
        if self.identify is not None:
            columns |= self._senders(accounts, once, facts, group, encoded.indices, repeated, places)
        return columns

    def _facts(self, addresses: Sequence[str]) -> tuple[list[_AddressValues], array[int]]:
        """The different values of ADDRESS_COLUMNS, and for each address which of them it has."""
        distinct: dict[_AddressValues, int] = {}
        if self.names:
            return _distinct(distinct, map(self.address, addresses))
        # Without names the values are those of the files, which are one object for all addresses of a network.
        look_up = self.ip_data or _nothing
        of_address = [look_up(address) for address in addresses]
        numbers = list(map(id, of_address))
        of_object = {
            number: distinct.setdefault(_network(one), len(distinct))
            for number, one in dict(zip(numbers, of_address, strict=True)).items()
        }
        return list(distinct), array("i", map(of_object.__getitem__, numbers))

    def address(self, address: str) -> _AddressValues:
        """The values of ADDRESS_COLUMNS."""
        ip = NO_FACTS if self.ip_data is None else self.ip_data(address)
        name = self.names.get(address)
        # What a name server did not answer is not known; an address without a name is not confirmed.
        if name is None or not (name.answered or name.ptr):
            return None, None, ip.asn, ip.as_name, ip.country, ip.source or None
        return name.ptr, name.confirmed, ip.asn, ip.as_name, ip.country, ip.source or None

    def _origin(self, address: str, ptr: str | None, confirmed: bool | None, asn: int | None) -> _Origin:
        """What of an address is evidence: address, name, whether it is confirmed, and network.

        With a `representative` only its blocks and its confirmed name are, so that many addresses have one answer.
        """
        if self.representative is None:
            return address, ptr, bool(confirmed), asn
        return self.representative(address), ptr if confirmed else None, bool(confirmed), None

    def sender(self, account_id: str, evidence: SourceEvidence) -> _SenderValues:
        """The values of SENDER_COLUMNS."""
        if self.identify is None:
            return _UNKNOWN
        if evidence.ip is not None and self.representative is not None:
            ip, ptr, confirmed, asn = self._origin(evidence.ip, evidence.ptr, evidence.ptr_confirmed, evidence.asn)
            evidence = evidence._replace(ip=ip, ptr=ptr, ptr_confirmed=confirmed, asn=asn)
        answer = self.identify(evidence, account_id)
        return _UNKNOWN if answer.sender is None else (answer.sender, answer.kind, answer.confidence)

    def decided(
        self, domains: Sequence[RowDomain], addresses: Sequence[str], contents: Sequence[RecordContent], places: Array
    ) -> dict[str, Array]:
        """The columns of decisions: each domain's next rows, and each row's address and place in `contents`."""
        if not self.decisions:
            return {}
        numbers, rows, first = _numbers(places), DecidedRows(), 0
        for account_id, domain_id, domain, size in domains:
            last = first + size
            if (known := self.decisions.get((account_id, domain_id))) is None:
                rows.undecided(size)
            else:
                values = _OfDomain(self, account_id, domain, known, contents)
                rows.extend(map(values.of, addresses[first:last], numbers[first:last]))
            first = last
        return rows.columns()

    def _senders(
        self,
        accounts: Sequence[tuple[str, int]],
        addresses: Sequence[str],
        facts: Sequence[_AddressValues],
        group: Sequence[int],
        where: Array,
        repeated: Sequence[RepeatedValues],
        places: Array,
    ) -> dict[str, Array]:
        # Values of different records may be equal.
        parts: dict[SourceEvidence, int] = {}
        part_of = array("q", [parts.setdefault(evidence_of_results(*one), len(parts)) for one in repeated])
        sources: dict[_Origin, int] = {}
        source_of = array(
            "q",
            [
                sources.setdefault(self._origin(address, *facts[number][:3]), len(sources))
                for address, number in zip(addresses, group, strict=True)
            ],
        )
        owners: dict[str, int] = {}
        numbers = (repeat(owners.setdefault(one, len(owners)), size) for one, size in accounts)
        owner = array("q", chain.from_iterable(numbers))
        key = _combined(packed(owner, pa.int64()), _selected_numbers(source_of, where), len(sources))
        encoded = _combined(key, _selected_numbers(part_of, places), max(1, len(parts))).dictionary_encode()
        ids, origins, evidences = list(owners), list(sources), list(parts)
        values: list[_SenderValues] = []
        numbered: list[Any] = encoded.dictionary.to_pylist()
        for number in numbered:
            rest, part = divmod(number, max(1, len(parts)))
            account, source = divmod(rest, len(sources))
            ip, ptr, confirmed, asn = origins[source]
            evidence = evidences[part]._replace(ip=ip, ptr=ptr, ptr_confirmed=confirmed, asn=asn)
            values.append(self.sender(ids[account], evidence))
        return selected(_made(SENDER_COLUMNS, values), encoded.indices)


class _OfDomain:
    """The decisions on the rows of one domain; rows with the same address and content have the same."""

    def __init__(
        self,
        enrichment: Enrichment,
        account_id: str,
        domain: str,
        decisions: DecisionsById,
        contents: Sequence[RecordContent],
    ) -> None:
        self._enrichment, self._account_id, self._domain = enrichment, account_id, domain
        self._decisions, self._contents = decisions, contents
        self._known: dict[tuple[str, int], Decided] = {}

    def of(self, address: str, place: int) -> Decided:
        """The decision on a row."""
        if (known := self._known.get((address, place))) is None:
            _, dkim_aligned, _, _, header_from, _, _, dkim, spf = self._contents[place]
            ptr, confirmed, asn, as_name, *_ = self._enrichment.address(address)
            evidence = evidence_of_results(header_from, dkim, spf)._replace(
                ip=address, ptr=ptr, ptr_confirmed=bool(confirmed), asn=asn
            )
            sender, *_ = self._enrichment.sender(self._account_id, evidence)
            source = RowSource(
                self._domain,
                address,
                dkim_aligned == "pass",
                [(one.domain, one.selector, one.result) for one in dkim],
                [(one.domain, one.scope, one.result) for one in spf],
                ptr,
                bool(confirmed),
                asn,
                as_name,
            )
            known = self._known[address, place] = decided(self._decisions, source, sender)
        return known


def _made(names: Sequence[str], rows: Sequence[Sequence[object]]) -> dict[str, Array]:
    values: Iterator[list[object]] = map(list, zip(*rows, strict=True)) if rows else iter([[] for _ in names])
    return {
        name: made(column, DMARC_REPORTS.schema.field(name).type)
        for name, column in zip(names, values, strict=True)
        if column.count(None) < len(column)
    }


def _distinct(
    distinct: dict[_AddressValues, int], values: Iterable[_AddressValues]
) -> tuple[list[_AddressValues], array[int]]:
    """The different values in the order in which they come, and for each value which of them it is."""
    numbers = array("i", [distinct.setdefault(one, len(distinct)) for one in values])
    return list(distinct), numbers


def _nothing(_: str) -> IpFacts:
    return NO_FACTS


def _network(facts: IpFacts) -> _AddressValues:
    return None, None, facts.asn, facts.as_name, facts.country, facts.source or None


def _selected_numbers(values: array[int], places: Array) -> Array:
    numbers: Array = pc.take(packed(values, pa.int64()), places)
    return numbers


def _combined(high: Array, low: Array, size: int) -> Array:
    """Two numbers as one, the second being smaller than `size`."""
    both: Array = pc.add(pc.multiply(high, pa.scalar(size, pa.int64())), low)
    return both


def _numbers(places: Array) -> Sequence[int]:
    """The numbers of `columns.places`, without a copy."""
    data = places.buffers()[1]
    assert data is not None  # only an array without values has none
    return memoryview(data).cast("i")[: len(places)]
