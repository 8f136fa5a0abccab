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
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyarrow as pa

from dmarcworks.analytics.arrays import made
from dmarcworks.analytics.decided import NO_DECISION, DecisionsById, decided
from dmarcworks.analytics.enrichment import COLUMNS, DECISION_COLUMNS, Enrichment, evidence_of
from dmarcworks.analytics.row_keys import RowSource
from dmarcworks.analytics.tables import DMARC_REPORTS
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.enrich.network.addresses import AddressName
from dmarcworks.errors import UsageError

__all__ = ["Applied", "DecisionsOf", "NamesOf", "apply", "drop_left_over"]

NamesOf: TypeAlias = Callable[[Collection[str]], Awaitable[Mapping[str, AddressName]]]
DecisionsOf: TypeAlias = Callable[[Collection[tuple[str, str]]], Awaitable[Mapping[tuple[str, str], DecisionsById]]]

# Groups per slice, about: some 50 MB. Changes of several slices are written by one mutation, which rewrites a month's
# parts however few rows change.
_GROUPS = 50_000
_WRITTEN_AT_ONCE = 400_000
_PREFIX = "source_facts_"
_TABLE = DMARC_REPORTS.name
# Columns of the sort key, the address, and what the reporter states: what a row's values follow from.
_KEY = (
    "cityHash64(account_id, domain_id, domain, source_ip, ifNull(toString(header_from), ''),"
    " ifNull(toString(dkim_aligned), ''), toJSONString(dkim), toJSONString(spf))"
)
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
        pending: list[pa.Table] = []
        columns: set[str] = set()
        for number in range(slices):
            chosen = [f"toYYYYMM(day) = {month}", f"{_KEY} % {slices} = {number}", *where]
            groups = await _groups(analytics, " AND ".join(chosen), parameters)
            if names is not None:
                enrichment = dataclasses.replace(enrichment, names=await names({group[_ADDRESS] for group in groups}))
            if decisions is not None:
                known = await decisions({(group[_ACCOUNT], group[_DOMAIN]) for group in groups})
                enrichment = dataclasses.replace(enrichment, decisions=known)
            changed, written, messages = await asyncio.to_thread(_changed, groups, enrichment)
            if changed.num_rows and write:
                pending.append(changed)
                columns |= written
            last = number == slices - 1
            if pending and (last or sum(one.num_rows for one in pending) >= _WRITTEN_AT_ONCE):
                await _write(analytics, database, month, pending, columns, scope)
                pending, columns = [], set()
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
    """The groups: key, account, domain (id and name), address, header_from, alignment of DKIM, dkim, spf, which values
    their rows have, and their messages by stored sender."""
    answer = await analytics.query(
        f"SELECT toString({_KEY}) AS key, any(account_id), any(domain_id), any(domain), any(source_ip),"  # noqa: S608 - our names
        " any(header_from), any(dkim_aligned),"
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
) -> tuple[pa.Table, set[str], Mapping[tuple[str | None, str | None], int]]:
    """The key and the new values of each group that has others; the columns that change; and all messages by sender
    before and after."""
    keys: list[int] = []
    rows: list[tuple[Any, ...]] = []
    written: set[int] = set()
    messages: Counter[tuple[str | None, str | None]] = Counter()
    for key, *group, stored, by_sender in groups:
        values = [json.loads(one) for one in stored]
        before = tuple(
            next((value for value in column if value is not None), None) for column in zip(*values, strict=True)
        )
        new = _new(before, enrichment, *group)
        for sender, count in zip(*by_sender, strict=True):
            messages[sender or None, new[_SENDER]] += int(count)
        if others := {place for one in values for place in _different(one, new)}:
            keys.append(int(key))
            rows.append(new)
            written |= others
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    arrays = {
        name: made(column, DMARC_REPORTS.schema.field(name).type) for name, column in zip(COLUMNS, columns, strict=True)
    }
    return pa.table({"key": made(keys, pa.uint64()), **arrays}), {COLUMNS[place] for place in written}, messages


def _new(
    before: tuple[Any, ...],
    enrichment: Enrichment,
    account_id: str,
    domain_id: str,
    domain: str,
    address: str,
    header_from: str | None,
    dkim_aligned: str | None,
    dkim: Sequence[Any],
    spf: Sequence[Any],
) -> tuple[Any, ...]:
    """The values as they are known now; what is not known now stays as it was."""
    ptr, confirmed, *values = enrichment.address(address)
    network: list[Any] = values
    if confirmed is None:
        ptr, confirmed = before[0], None if before[1] is None else bool(before[1])
    if network[-1] is None:
        network = list(before[2:6])
    sender, decision = before[_SENDER:_DECIDED], before[_DECIDED:]
    if enrichment.identify is not None:
        evidence = evidence_of(header_from, dkim, spf)
        evidence = evidence._replace(ip=address, ptr=ptr, ptr_confirmed=bool(confirmed), asn=network[0])
        sender = enrichment.sender(account_id, evidence)
    if enrichment.decisions is not None:
        known = enrichment.decisions.get((account_id, domain_id))
        source = RowSource(domain, address, dkim_aligned == "pass", dkim, spf, ptr, bool(confirmed), *network[:2])
        decision = NO_DECISION if known is None else decided(known, source, sender[0])
    return (ptr, confirmed, *network, *sender, *decision)


def _different(stored: Sequence[Any], new: Sequence[Any]) -> Iterator[int]:
    """The places of the values that change; a share is stored in 32 bits."""
    for place, (one, two) in enumerate(zip(stored, new, strict=True)):
        close = isinstance(one, float | int) and isinstance(two, float) and abs(one - two) < 1e-6
        if one != two and not close:
            yield place


async def _write(
    analytics: Analytics,
    database: str,
    month: int,
    changed: Sequence[pa.Table],
    written: Collection[str],
    scope: Mapping[str, str],
) -> None:
    """Write these columns of the changed groups into the rows of a month, by one mutation."""
    name = _PREFIX + uuid.uuid4().hex
    kinds = {column.name: column.type for column in DMARC_REPORTS.columns}
    columns = ", ".join(
        f"{column} {kinds[column].replace('LowCardinality(Nullable(String))', 'Nullable(String)')}"
        for column in sorted(written)
    )
    try:
        await analytics.execute(f"CREATE TABLE {name} (key UInt64, {columns}) ENGINE = Join(ANY, LEFT, key)")
        for table in changed:
            await analytics.insert(name, table.select(["key", *sorted(written)]))
        values = ", ".join(
            f"{column} = joinGetOrNull('{database}.{name}', '{column}', {_KEY})" for column in sorted(written)
        )
        await analytics.execute(
            f"ALTER TABLE {_TABLE} UPDATE {values} IN PARTITION {month}"  # noqa: S608 - our names
            f" WHERE {_KEY} IN (SELECT key FROM {database}.{name}){_within(scope)} SETTINGS mutations_sync = 2"
        )
    finally:
        await asyncio.shield(_drop(analytics, name))


def _within(scope: Mapping[str, str]) -> str:
    # A statement that writes has no parameters; an id is made by us and has letters and digits only.
    for value in scope.values():
        if not (value.isascii() and value.isalnum()):
            raise UsageError(f"{value[:100]!r} is not the id of an account or a domain")
    return "".join(f" AND {name} = '{value}'" for name, value in scope.items())


async def _drop(analytics: Analytics, name: str) -> None:
    try:
        await analytics.execute(
            f"KILL MUTATION WHERE database = currentDatabase() AND NOT is_done AND position(command, '{name}') > 0 SYNC"
        )
    finally:
        await analytics.execute(f"DROP TABLE IF EXISTS {name} SYNC")
