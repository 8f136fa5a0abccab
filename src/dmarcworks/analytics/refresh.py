"""Stored rows enriched again, without reading reports: `apply` writes what is known now about their sources.

Rows with the same evidence are one group. Groups whose values change are written into a small table by their key, and
one mutation per month takes the values from there. The engine replaces a part of the table by its rewritten copy in one
step, so that a query sees each row once, before or after, and publishing continues. Months are worked on in slices, so
that memory does not grow with the table (docs/decisions/2026-11-29-enriching-stored-rows.md).
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyarrow as pa

from dmarcworks.analytics.arrays import made
from dmarcworks.analytics.decided import NO_DECISION, DecisionsById, decided
from dmarcworks.analytics.enrichment import COLUMNS, DECISION_COLUMNS, Enrichment, evidence_of
from dmarcworks.analytics.month_changes import GROUP_KEY, MonthChanges
from dmarcworks.analytics.row_keys import RowSource
from dmarcworks.analytics.tables import DMARC_REPORTS
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.enrich.network.addresses import AddressName

__all__ = ["Applied", "DecisionsOf", "NamesOf", "apply"]

NamesOf: TypeAlias = Callable[[Collection[str]], Awaitable[Mapping[str, AddressName]]]
DecisionsOf: TypeAlias = Callable[[Collection[tuple[str, str]]], Awaitable[Mapping[tuple[str, str], DecisionsById]]]

# Groups per slice, about: some 20 MB.
_GROUPS = 20_000
_TABLE = DMARC_REPORTS.name
# All rows of a group are in one slice; only these two columns are read of the rows of the others.
_SLICE = "cityHash64(domain_id, source_ip)"
_VALUES = ", ".join(COLUMNS)
_SENDER = COLUMNS.index("sender")
_DECIDED = COLUMNS.index(DECISION_COLUMNS[0])
# Places in a group.
_ACCOUNT, _DOMAIN, _ADDRESS = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Applied:
    """A slice that is done: its month (YYYYMM), which slice of how many, and how many groups were read and changed.

    `done` slices of `total` over all months are done. `messages` are counted by the sender's name before and after,
    None for an unknown one.
    """

    month: int
    slice: int
    slices: int
    groups: int
    changed: int
    done: int = 0
    total: int = 0
    messages: Mapping[tuple[str | None, str | None], int] = field(default_factory=dict)


async def apply(
    analytics: Analytics,
    enrichment: Enrichment,
    addresses: Collection[str] | None = None,
    *,
    account_id: str = "",
    domain_id: str = "",
    names: NamesOf | None = None,
    decisions: DecisionsOf | None = None,
    after_month: int = 0,
    write: bool = True,
) -> AsyncIterator[Applied]:
    """Write what is known now into the rows of these addresses, or of all; a slice at a time.

    It can be repeated after an interruption: what has its values already is not written again. `account_id` and
    `domain_id` limit it to an account or a domain; months (YYYYMM) up to `after_month` are left out. `names` and
    `decisions` read those of a slice, in place of the enrichment's. Without `write` the answer is the same, and nothing
    is written.
    """
    database = (await analytics.query("SELECT currentDatabase()", format="TabSeparated")).decode().strip()
    where = [] if addresses is None else ["source_ip IN {addresses:Array(String)}"]
    parameters: dict[str, Any] = {} if addresses is None else {"addresses": sorted(addresses)}
    scope = {name: value for name, value in (("account_id", account_id), ("domain_id", domain_id)) if value}
    if after_month:
        where.append(f"toYYYYMM(day) > {after_month}")
    where += [f"{name} = {{{name}:String}}" for name in scope]
    parameters |= scope
    answer = await analytics.query(
        f"SELECT toYYYYMM(day) AS month, count() FROM {_TABLE}"  # noqa: S608 - our names
        f" WHERE {' AND '.join(where) or 1} GROUP BY month ORDER BY month",
        parameters,
        format="JSONCompactEachRow",
    )
    months = [
        (int(month), 1 + int(rows) // _GROUPS) for month, rows in (json.loads(line) for line in answer.splitlines())
    ]
    total, done = sum(slices for _, slices in months), 0
    for month, slices in months:
        async with MonthChanges(analytics, database, month, scope) as changes:
            for number in range(slices):
                chosen = [f"toYYYYMM(day) = {month}", f"{_SLICE} % {slices} = {number}", *where]
                groups = await _groups(analytics, " AND ".join(chosen), parameters)
                if names is not None:
                    known_names = await names({group[_ADDRESS] for group in groups})
                    enrichment = dataclasses.replace(enrichment, names=known_names)
                if decisions is not None:
                    known = await decisions({(group[_ACCOUNT], group[_DOMAIN]) for group in groups})
                    enrichment = dataclasses.replace(enrichment, decisions=known)
                changed, written, messages = await asyncio.to_thread(_changed, groups, enrichment)
                done += 1
                part = Applied(month, number, slices, len(groups), changed.num_rows, done, total, messages)
                # The groups of two slices are never in memory together.
                del groups
                if write:
                    await changes.add(changed, written, last=number == slices - 1)
                yield part


async def _groups(analytics: Analytics, where: str, parameters: dict[str, Any]) -> list[list[Any]]:
    """The groups: key, account, domain (id and name), address, header_from, alignment of DKIM, dkim, spf, which values
    their rows have, and their messages by stored sender."""
    answer = await analytics.query(
        f"SELECT toString({GROUP_KEY}) AS key, any(account_id), any(domain_id), any(domain), any(source_ip),"  # noqa: S608 - our names
        " any(header_from), any(dkim_aligned),"
        " any(arrayMap(one -> (one.domain, one.selector, one.result), dkim)),"
        " any(arrayMap(one -> (one.domain, one.scope, one.result), spf)),"
        f" groupUniqArray(2)(tuple({_VALUES})),"
        " sumMap([ifNull(toString(sender), '')], [toUInt64(count)])"
        f" FROM {_TABLE} WHERE {where} GROUP BY key",
        parameters,
        format="JSONCompactEachRow",
    )
    # In a thread: tens of thousands of lines would hold up everything else.
    return await asyncio.to_thread(lambda: [json.loads(line) for line in answer.splitlines()])


def _changed(
    groups: Sequence[Sequence[Any]], enrichment: Enrichment
) -> tuple[pa.Table, set[str], Mapping[tuple[str | None, str | None], int]]:
    """The key and the new values of each group that has others; the columns that change; and all messages by sender
    before and after."""
    keys: list[int] = []
    rows: list[list[Any]] = []
    written: set[int] = set()
    messages: Counter[tuple[str | None, str | None]] = Counter()
    network = enrichment.addresses([group[_ADDRESS] for group in groups])
    for (key, *group, stored, (senders, counts)), of_address in zip(groups, network, strict=True):
        # Nearly all groups have the same values in all of their rows.
        before = stored[0] if len(stored) == 1 else list(map(_first, zip(*stored, strict=True)))
        new = _new(before, enrichment, of_address, *group)
        for sender, count in zip(senders, counts, strict=True):
            messages[sender or None, new[_SENDER]] += int(count)
        if others := [place for one in stored if one != new for place in _different(one, new)]:
            keys.append(int(key))
            rows.append(new)
            written.update(others)
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    arrays = {
        name: made(column, DMARC_REPORTS.schema.field(name).type) for name, column in zip(COLUMNS, columns, strict=True)
    }
    return pa.table({"key": made(keys, pa.uint64()), **arrays}), {COLUMNS[place] for place in written}, messages


def _first(values: Sequence[Any]) -> Any:
    return next((value for value in values if value is not None), None)


def _new(
    before: Sequence[Any],
    enrichment: Enrichment,
    of_address: Sequence[Any],
    account_id: str,
    domain_id: str,
    domain: str,
    address: str,
    header_from: str | None,
    dkim_aligned: str | None,
    dkim: Sequence[Any],
    spf: Sequence[Any],
) -> list[Any]:
    """The values as they are known now; what is not known now stays as it was."""
    ptr, confirmed, *network = of_address
    if confirmed is None:
        ptr, confirmed = before[0], None if before[1] is None else bool(before[1])
    if network[-1] is None:
        network = list(before[2:6])
    sender: Sequence[Any] = before[_SENDER:_DECIDED]
    decision: Sequence[Any] = before[_DECIDED:]
    if enrichment.identify is not None:
        evidence = evidence_of(header_from, dkim, spf)
        evidence = evidence._replace(ip=address, ptr=ptr, ptr_confirmed=bool(confirmed), asn=network[0])
        sender = enrichment.sender(account_id, evidence)
    if enrichment.decisions is not None:
        known = enrichment.decisions.get((account_id, domain_id))
        source = RowSource(domain, address, dkim_aligned == "pass", dkim, spf, ptr, bool(confirmed), *network[:2])
        decision = NO_DECISION if known is None else decided(known, source, sender[0])
    return [ptr, confirmed, *network, *sender, *decision]


def _different(stored: Sequence[Any], new: Sequence[Any]) -> Iterator[int]:
    """The places of the values that change; a share is stored in 32 bits."""
    for place, (one, two) in enumerate(zip(stored, new, strict=True)):
        close = isinstance(one, float | int) and isinstance(two, float) and abs(one - two) < 1e-6
        if one != two and not close:
            yield place
