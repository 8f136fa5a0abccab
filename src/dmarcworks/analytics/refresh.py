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
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyarrow as pa

from dmarcworks.analytics.arrays import made
from dmarcworks.analytics.enrichment import COLUMNS, Enrichment, SourceEvidence, evidence_of
from dmarcworks.analytics.tables import DMARC_REPORTS
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.enrich.network.addresses import AddressName
from dmarcworks.errors import UsageError

__all__ = ["Applied", "NamesOf", "apply", "drop_left_over"]

NamesOf: TypeAlias = Callable[[Collection[str]], Awaitable[Mapping[str, AddressName]]]

# Groups per slice, about: some 50 MB.
_GROUPS = 50_000
_PREFIX = "source_facts_"
_TABLE = DMARC_REPORTS.name
# A column of the sort key, the address, and what the reporter states: what a row's values follow from.
_KEY = "cityHash64(account_id, source_ip, ifNull(toString(header_from), ''), toJSONString(dkim), toJSONString(spf))"
_VALUES = ", ".join(COLUMNS)
_SENDER = COLUMNS.index("sender")


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
    domain_id: str = "",
    names: NamesOf | None = None,
    write: bool = True,
) -> AsyncIterator[Applied]:
    """Write what is known now into the rows of these addresses, or of all; a slice at a time.

    It can be repeated after an interruption: what has its values already is not written again. `domain_id` limits it
    to one domain. `names` reads the names of a slice's addresses, in place of those of the enrichment. Without `write`
    the answer is the same, and nothing is written.
    """
    database = (await analytics.query("SELECT currentDatabase()", format="TabSeparated")).decode().strip()
    where = [] if addresses is None else ["source_ip IN {addresses:Array(String)}"]
    parameters: dict[str, Any] = {} if addresses is None else {"addresses": sorted(addresses)}
    if domain_id:
        where.append("domain_id = {domain_id:String}")
        parameters["domain_id"] = domain_id
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
        for number in range(slices):
            chosen = [f"toYYYYMM(day) = {month}", f"{_KEY} % {slices} = {number}", *where]
            groups = await _groups(analytics, " AND ".join(chosen), parameters)
            if names is not None:
                enrichment = dataclasses.replace(enrichment, names=await names({group[2] for group in groups}))
            changed, messages = await asyncio.to_thread(_changed, groups, enrichment)
            if changed.num_rows and write:
                await _write(analytics, database, month, changed, domain_id)
            done += 1
            yield Applied(month, number, slices, len(groups), changed.num_rows, done, total, messages)


async def drop_left_over(analytics: Analytics) -> None:
    """Remove what an interrupted run left. A mutation that waits for such a table would hold up all later ones."""
    answer = await analytics.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, {prefix:String})",
        {"prefix": _PREFIX},
        format="TabSeparated",
    )
    for name in answer.decode().split():
        await _drop(analytics, name)


async def _groups(analytics: Analytics, where: str, parameters: dict[str, Any]) -> list[list[Any]]:
    """The groups: key, account, address, header_from, dkim, spf, which values their rows have, and their messages by
    stored sender."""
    answer = await analytics.query(
        f"SELECT toString({_KEY}) AS key, any(account_id), any(source_ip), any(header_from),"  # noqa: S608 - our names
        " any(arrayMap(one -> (one.domain, one.selector, one.result), dkim)),"
        " any(arrayMap(one -> (one.domain, one.scope, one.result), spf)),"
        f" groupUniqArray(2)(toJSONString(tuple({_VALUES}))),"
        " sumMap([ifNull(toString(sender), '')], [toUInt64(count)])"
        f" FROM {_TABLE} WHERE {where} GROUP BY key",
        parameters,
        format="JSONCompactEachRow",
    )
    return [json.loads(line) for line in answer.splitlines()]


def _changed(
    groups: Sequence[Sequence[Any]], enrichment: Enrichment
) -> tuple[pa.Table, Mapping[tuple[str | None, str | None], int]]:
    """The key and the new values of each group that has others; and all messages by sender before and after."""
    keys: list[int] = []
    rows: list[tuple[Any, ...]] = []
    messages: Counter[tuple[str | None, str | None]] = Counter()
    for key, account_id, address, header_from, dkim, spf, stored, by_sender in groups:
        values = [json.loads(one) for one in stored]
        before = tuple(
            next((value for value in column if value is not None), None) for column in zip(*values, strict=True)
        )
        new = _new(before, enrichment, account_id, address, evidence_of(header_from, dkim, spf))
        for sender, count in zip(*by_sender, strict=True):
            messages[sender or None, new[_SENDER]] += int(count)
        if len(stored) > 1 or not _same(before, new):
            keys.append(int(key))
            rows.append(new)
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    arrays = [
        made(column, DMARC_REPORTS.schema.field(name).type) for name, column in zip(COLUMNS, columns, strict=True)
    ]
    return pa.Table.from_arrays([made(keys, pa.uint64()), *arrays], names=["key", *COLUMNS]), messages


def _new(
    before: tuple[Any, ...], enrichment: Enrichment, account_id: str, address: str, evidence: SourceEvidence
) -> tuple[Any, ...]:
    """The values as they are known now; what is not known now stays as it was."""
    ptr, confirmed, *values = enrichment.address(address)
    network: list[Any] = values
    if confirmed is None:
        ptr, confirmed = before[0], None if before[1] is None else bool(before[1])
    if network[-1] is None:
        network = list(before[2:6])
    sender = before[6:]
    if enrichment.identify is not None:
        evidence = evidence._replace(ip=address, ptr=ptr, ptr_confirmed=bool(confirmed), asn=network[0])
        sender = enrichment.sender(account_id, evidence)
    return (ptr, confirmed, *network, *sender)


def _same(stored: Sequence[Any], new: Sequence[Any]) -> bool:
    # A share is stored in 32 bits.
    return all(
        one == two or (isinstance(one, float | int) and isinstance(two, float) and abs(one - two) < 1e-6)
        for one, two in zip(stored, new, strict=True)
    )


async def _write(analytics: Analytics, database: str, month: int, changed: pa.Table, domain_id: str) -> None:
    name = _PREFIX + uuid.uuid4().hex
    kinds = {column.name: column.type for column in DMARC_REPORTS.columns}
    columns = ", ".join(
        f"{column} {kinds[column].replace('LowCardinality(Nullable(String))', 'Nullable(String)')}"
        for column in COLUMNS
    )
    try:
        await analytics.execute(f"CREATE TABLE {name} (key UInt64, {columns}) ENGINE = Join(ANY, LEFT, key)")
        await analytics.insert(name, changed)
        values = ", ".join(f"{column} = joinGetOrNull('{database}.{name}', '{column}', {_KEY})" for column in COLUMNS)
        await analytics.execute(
            f"ALTER TABLE {_TABLE} UPDATE {values} IN PARTITION {month}"  # noqa: S608 - our names
            f" WHERE {_KEY} IN (SELECT key FROM {database}.{name}){_of_domain(domain_id)} SETTINGS mutations_sync = 2"
        )
    finally:
        await asyncio.shield(_drop(analytics, name))


def _of_domain(domain_id: str) -> str:
    # A statement that writes has no parameters; an id is made by us and has letters and digits only.
    if domain_id and not (domain_id.isascii() and domain_id.isalnum()):
        raise UsageError(f"{domain_id[:100]!r} is not the id of a domain")
    return f" AND domain_id = '{domain_id}'" if domain_id else ""


async def _drop(analytics: Analytics, name: str) -> None:
    try:
        await analytics.execute(
            f"KILL MUTATION WHERE database = currentDatabase() AND NOT is_done AND position(command, '{name}') > 0 SYNC"
        )
    finally:
        await analytics.execute(f"DROP TABLE IF EXISTS {name} SYNC")
