"""Reports' rows enriched: network, country and name of the source address, and the sending service behind it.

Pure but for the look-ups that it is given. In go the addresses and the values that records repeat, out come the
columns; each address, and each set of evidence about it, is looked up once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from dmarcworks.enrich.network.ip_data import NO_FACTS, IpFacts, IpSnapshot
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


class Representatives(Protocol):
    """One address for all in the same block of a service or an own system; `of_all` by the places of addresses."""

    def of(self, text: str) -> str | None: ...
    def of_all(self, addresses: Sequence[str]) -> Mapping[int, str]: ...


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
    # Of an address identification looks only at the blocks that it is in, and at its confirmed name.
    representatives: Representatives | None = None
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
        facts, of_address = self._network_facts(addresses)
        of_facts = [distinct.setdefault(_network(one), len(distinct)) for one in facts]
        group = array("i", map(of_facts.__getitem__, of_address))
        # Nearly all of many addresses are new, and have no name yet.
        for place, address in enumerate(addresses if self.names else ()):
            if address in self.names:
                values = self._with_name(address, facts[of_address[place]])
                group[place] = distinct.setdefault(values, len(distinct))
        return list(distinct), group

    def _network_facts(self, addresses: Sequence[str]) -> tuple[Sequence[IpFacts], Sequence[int]]:
        """The different facts of the IP data, and for each address which of them it has."""
        if self.ip_data is None:
            return [NO_FACTS], array("i", bytes(4 * len(addresses)))
        if isinstance(self.ip_data, IpSnapshot):
            return self.ip_data.of_all(addresses)
        return list(map(self.ip_data, addresses)), range(len(addresses))

    def addresses(self, addresses: Sequence[str]) -> list[_AddressValues]:
        """The values of ADDRESS_COLUMNS of many addresses."""
        facts, group = self._facts(addresses)
        return [facts[number] for number in group]

    def address(self, address: str) -> _AddressValues:
        """The values of ADDRESS_COLUMNS."""
        return self._with_name(address, NO_FACTS if self.ip_data is None else self.ip_data(address))

    def _with_name(self, address: str, ip: IpFacts) -> _AddressValues:
        name = self.names.get(address)
        # What a name server did not answer is not known; an address without a name is not confirmed.
        if name is None or not (name.answered or name.ptr):
            return None, None, ip.asn, ip.as_name, ip.country, ip.source or None
        return name.ptr, name.confirmed, ip.asn, ip.as_name, ip.country, ip.source or None

    def _origin(self, address: str, ptr: str | None, confirmed: bool | None, asn: int | None) -> _Origin:
        """What of an address is evidence: address, name, whether it is confirmed, and network.

        With `representatives` only its blocks and its confirmed name are, so that many addresses have one answer.
        """
        if self.representatives is None:
            return address, ptr, bool(confirmed), asn
        return self.representatives.of(address), ptr if confirmed else None, bool(confirmed), None

    def _origins(
        self, addresses: Sequence[str], facts: Sequence[_AddressValues], group: Sequence[int]
    ) -> tuple[list[_Origin], array[int]]:
        """The different `_origin` of these addresses, and for each address which of them it has."""
        sources: dict[_Origin, int] = {}
        if self.representatives is None:
            origins = (self._origin(address, *facts[of][:3]) for address, of in zip(addresses, group, strict=True))
            places = array("q", [sources.setdefault(origin, len(sources)) for origin in origins])
            return list(sources), places
        names = [(ptr if confirmed else None, bool(confirmed), None) for ptr, confirmed, *_ in facts]
        # Few addresses are in a block of a service; for the others the name alone decides.
        outside = [sources.setdefault((None, *name), len(sources)) for name in names]
        places = array("q", map(outside.__getitem__, group))
        for place, one in self.representatives.of_all(addresses).items():
            places[place] = sources.setdefault((one, *names[group[place]]), len(sources))
        return list(sources), places

    def sender(self, account_id: str, evidence: SourceEvidence) -> _SenderValues:
        """The values of SENDER_COLUMNS."""
        if self.identify is None:
            return _UNKNOWN
        if evidence.ip is not None and self.representatives is not None:
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
        origins, source_of = self._origins(addresses, facts, group)
        owners: dict[str, int] = {}
        numbers = (repeat(owners.setdefault(one, len(owners)), size) for one, size in accounts)
        owner = array("q", chain.from_iterable(numbers))
        key = _combined(packed(owner, pa.int64()), _selected_numbers(source_of, where), len(origins))
        encoded = _combined(key, _selected_numbers(part_of, places), max(1, len(parts))).dictionary_encode()
        ids, evidences = list(owners), list(parts)
        values: list[_SenderValues] = []
        numbered: list[Any] = encoded.dictionary.to_pylist()
        for number in numbered:
            rest, part = divmod(number, max(1, len(parts)))
            account, source = divmod(rest, len(origins))
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


def _network(facts: IpFacts) -> _AddressValues:
    return None, None, facts.asn, facts.as_name, facts.country, facts.source or None


def _selected_numbers(values: array[int], places: Array) -> Array:
    numbers: Array = pc.take(packed(values, pa.int64()), places)
    return numbers


def _combined(high: Array, low: Array, size: int) -> Array:
    """Two numbers as one, the second being smaller than `size`."""
    return pc.add(pc.multiply(high, pa.scalar(size, pa.int64())), low)


def _numbers(places: Array) -> Sequence[int]:
    """The numbers of `columns.places`, without a copy."""
    data = places.buffers()[1]
    assert data is not None  # only an array without values has none
    return memoryview(data).cast("i")[: len(places)]
