"""Reports' rows enriched: network, country and name of the source address, and the sending service behind it.

Pure but for the look-ups that it is given. In go the addresses and the values that records repeat, out come the
columns; each address, and each set of evidence about it, is looked up once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

import pyarrow as pa

from dmarcworks.analytics.arrays import Array, made, packed
from dmarcworks.analytics.columns import selected
from dmarcworks.analytics.decided import Decided, DecidedRows, DecisionsById, decided
from dmarcworks.analytics.row_keys import RowSource
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


class SignatureEvidence(NamedTuple):
    """A DKIM signature and its result as the report states it."""

    domain: str
    selector: str | None
    result: str


class SourceEvidence(NamedTuple):
    """What identification is given about the source of some messages."""

    ip: str | None = None
    ptr: str | None = None
    ptr_confirmed: bool = False
    dkim: tuple[SignatureEvidence, ...] = ()
    spf_domain: str | None = None
    spf_result: str = "none"
    header_from: str | None = None
    asn: int | None = None


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
_UNKNOWN: _SenderValues = (None, None, None)


@dataclass(frozen=True, slots=True)
class Enrichment:
    """What is known now: the IP data, names of addresses (without an entry: not looked up yet), identification,
    decisions of owners."""

    ip_data: Callable[[str], IpFacts] | None = None
    names: Mapping[str, AddressName] = field(default_factory=dict)
    identify: Identify | None = None
    # By account and domain; None: not known here.
    decisions: Mapping[tuple[str, str], DecisionsById] | None = None

    def columns(
        self, accounts: Iterable[str], addresses: Sequence[str], repeated: Sequence[RepeatedValues], places: Array
    ) -> dict[str, Array]:
        """The columns of rows: each row's account and address, and the place in `repeated` of what it repeats.

        `repeated` holds (header_from, dkim, spf).
        """
        once: dict[str, int] = {}
        where = array("i", [once.setdefault(address, len(once)) for address in addresses])
        facts = list(map(self.address, once))
        # Thousands of addresses share their values. A column without any value is left out: it is NULL.
        distinct: dict[_AddressValues, int] = {}
        group = [distinct.setdefault(values, len(distinct)) for values in facts]
        rows = packed(array("i", map(group.__getitem__, where)), pa.int32())
        columns = selected(_made(ADDRESS_COLUMNS, list(distinct)), rows)
        if self.identify is not None:
            columns |= self._senders(accounts, list(once), facts, where, repeated, _numbers(places))
        return columns

    def address(self, address: str) -> _AddressValues:
        """The values of ADDRESS_COLUMNS."""
        ip = NO_FACTS if self.ip_data is None else self.ip_data(address)
        name = self.names.get(address)
        # What a name server did not answer is not known; an address without a name is not confirmed.
        if name is None or not (name.answered or name.ptr):
            return None, None, ip.asn, ip.as_name, ip.country, ip.source or None
        return name.ptr, name.confirmed, ip.asn, ip.as_name, ip.country, ip.source or None

    def sender(self, account_id: str, evidence: SourceEvidence) -> _SenderValues:
        """The values of SENDER_COLUMNS."""
        if self.identify is None:
            return _UNKNOWN
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
        accounts: Iterable[str],
        addresses: Sequence[str],
        facts: Sequence[_AddressValues],
        where: Sequence[int],
        repeated: Sequence[RepeatedValues],
        places: Sequence[int],
    ) -> dict[str, Array]:
        values: list[_SenderValues] = []
        known: dict[tuple[str, int, int], int] = {}
        # Values of different records may be equal.
        parts: dict[SourceEvidence, int] = {}
        part_of = [parts.setdefault(_evidence(*one), len(parts)) for one in repeated]
        evidences = list(parts)
        rows = array("i")
        for account_id, address, content in zip(accounts, where, places, strict=True):
            part = part_of[content]
            if (place := known.get((account_id, address, part))) is None:
                place = known[account_id, address, part] = len(values)
                ptr, confirmed, asn = facts[address][:3]
                evidence = evidences[part]._replace(
                    ip=addresses[address], ptr=ptr, ptr_confirmed=bool(confirmed), asn=asn
                )
                values.append(self.sender(account_id, evidence))
            rows.append(place)
        return selected(_made(SENDER_COLUMNS, values), packed(rows, pa.int32()))


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
            evidence = _evidence(header_from, dkim, spf)._replace(
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


def evidence_of(
    header_from: str | None,
    dkim: Sequence[tuple[str | None, str | None, str | None]],
    spf: Sequence[tuple[str | None, str | None, str | None]],
) -> SourceEvidence:
    """Evidence from the stored values: signatures as (domain, selector, result), SPF as (domain, scope, result)."""
    signatures = tuple(
        SignatureEvidence(domain, selector, result or "none") for domain, selector, result in dkim if domain
    )
    # RFC 7489 reports may hold HELO and MAIL FROM; the envelope's domain is the evidence.
    checks = [(domain, result) for domain, scope, result in spf if domain and scope != "helo"]
    domain, result = checks[0] if checks else (None, None)
    return SourceEvidence(dkim=signatures, spf_domain=domain, spf_result=result or "none", header_from=header_from)


def _evidence(header_from: str | None, dkim: Sequence[DkimResult], spf: Sequence[SpfResult]) -> SourceEvidence:
    return evidence_of(
        header_from,
        [(one.domain, one.selector, one.result) for one in dkim],
        [(one.domain, one.scope, one.result) for one in spf],
    )


def _made(names: Sequence[str], rows: Sequence[Sequence[object]]) -> dict[str, Array]:
    values: Iterator[list[object]] = map(list, zip(*rows, strict=True)) if rows else iter([[] for _ in names])
    return {
        name: made(column, DMARC_REPORTS.schema.field(name).type)
        for name, column in zip(names, values, strict=True)
        if column.count(None) < len(column)
    }


def _numbers(places: Array) -> Sequence[int]:
    """The numbers of `columns.places`, without a copy."""
    data = places.buffers()[1]
    assert data is not None  # only an array without values has none
    return memoryview(data).cast("i")[: len(places)]
