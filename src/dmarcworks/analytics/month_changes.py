"""New values of stored rows of one month, written by mutations that take them from a table made for it.

The engine replaces a part of the table by its rewritten copy in one step, so that a query sees each row once, before or
after, and publishing continues (docs/decisions/2026-11-29-enriching-stored-rows.md).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Mapping

import pyarrow as pa

from dmarcworks.analytics.enrichment import COLUMNS
from dmarcworks.analytics.tables import DMARC_REPORTS
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.errors import UsageError

__all__ = ["GROUP_KEY", "MonthChanges", "drop_left_over"]

# A mutation rewrites a month's parts however few rows change: changes of several slices are written by one.
_WRITTEN_AT_ONCE = 400_000
_PREFIX = "source_facts_"
_TABLE = DMARC_REPORTS.name
_CHANGED = [column for column in DMARC_REPORTS.columns if column.name in COLUMNS]
# Columns of the sort key, the address, and what the reporter states: what a row's values follow from.
GROUP_KEY = (
    "cityHash64(account_id, domain_id, domain, source_ip, ifNull(toString(header_from), ''),"
    " ifNull(toString(dkim_aligned), ''), toJSONString(dkim), toJSONString(spf))"
)


async def drop_left_over(analytics: Analytics) -> None:
    """Remove what an interrupted run left. A mutation that waits for such a table would hold up all later ones."""
    answer = await analytics.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, {prefix:String})",
        {"prefix": _PREFIX},
        format="TabSeparated",
    )
    for name in answer.decode().split():
        await _drop(analytics, name)


class MonthChanges:
    """The new values of a month's groups: collected in a table of their own, and written by as few mutations as memory
    allows."""

    def __init__(self, analytics: Analytics, database: str, month: int, scope: Mapping[str, str]) -> None:
        self._analytics, self._database, self._month, self._scope = analytics, database, month, scope
        self._name, self._groups, self._written = "", 0, set[str]()

    async def __aenter__(self) -> MonthChanges:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._forget()

    async def add(self, changed: pa.Table, written: Collection[str], *, last: bool) -> None:
        """Keep the changed groups of a slice, in which these columns change; write them when there are enough."""
        if changed.num_rows:
            if not self._name:
                name = _PREFIX + uuid.uuid4().hex
                columns = ", ".join(f"{column.name} {_kind(column.type)}" for column in _CHANGED)
                # Known before it exists: an interruption on the way drops it.
                self._name = name
                await self._analytics.execute(
                    f"CREATE TABLE {name} (key UInt64, {columns}) ENGINE = Join(ANY, LEFT, key)"
                )
            await self._analytics.insert(self._name, changed)
            self._groups += changed.num_rows
            self._written |= set(written)
        if self._name and (last or self._groups >= _WRITTEN_AT_ONCE):
            await _write(self._analytics, f"{self._database}.{self._name}", self._month, self._written, self._scope)
            await self._forget()

    async def _forget(self) -> None:
        name, self._name, self._groups = self._name, "", 0
        self._written = set()
        if name:
            await asyncio.shield(_drop(self._analytics, name))


def _kind(kind: str) -> str:
    return kind.replace("LowCardinality(Nullable(String))", "Nullable(String)")


async def _write(
    analytics: Analytics, kept: str, month: int, written: Collection[str], scope: Mapping[str, str]
) -> None:
    """Write these columns of the kept groups into the rows of a month, by one mutation."""
    values = ", ".join(f"{column} = joinGetOrNull('{kept}', '{column}', {GROUP_KEY})" for column in sorted(written))
    await analytics.execute(
        f"ALTER TABLE {_TABLE} UPDATE {values} IN PARTITION {month}"  # noqa: S608 - our names
        f" WHERE {GROUP_KEY} IN (SELECT key FROM {kept}){_within(scope)} SETTINGS mutations_sync = 2"
    )


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
