"""The differences between the active tables and a version of them: by domain, by report, by row.

In: the version. Out: events, one per domain whose figures differ or not, and one per report that changed (the first
thousand), with how many rows were removed and added; and their numbers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from dmarcworks.bindings.contracts import Analytics
from dmarcworks.upkeep.context import Event
from dmarcworks.upkeep.replay.versions import columns, version_of
from dmarcworks.upkeep.verify.figures import KINDS, SUMS

__all__ = ["MOST", "changes"]

MOST = 1000
# Hashes are taken of a tuple: of bare columns the engine's hash is NULL as soon as one of them is.


async def changes(analytics: Analytics, version: str, names: dict[str, str]) -> AsyncIterator[Event]:
    """`domain` events with figures before and after, `report` events, and a `changed` event with the numbers."""
    shown = changed = 0
    for kind, table in KINDS.items():
        new = version_of(table, version)
        before, after = await _domains(analytics, table, table), await _domains(analytics, table, new)
        for domain_id in sorted(before | after, key=lambda domain: names.get(domain, domain)):
            none = {"reports": 0, "records": 0, "messages": 0}
            yield {
                "event": "domain",
                "kind": kind,
                "domain": names.get(domain_id, domain_id),
                "before": before.get(domain_id, none),
                "after": after.get(domain_id, none),
            }
        reports = await _reports(analytics, table, new)
        changed += len(reports)
        rows = await _rows(analytics, table, new, reports[: MOST - shown]) if shown < MOST else []
        for row in rows:
            shown += 1
            yield {"event": "report", "kind": kind, **row}
    yield {"event": "changed", "reports": changed, "shown": shown}


async def _domains(analytics: Analytics, table: str, source: str) -> dict[str, dict[str, int]]:
    answer = await analytics.query(
        "SELECT domain_id, uniqExact(report_key) AS reports, count() AS records,"  # noqa: S608 - names of ours
        f" toString({SUMS[table]}) AS messages FROM {source} GROUP BY domain_id"
    )
    return {
        row["domain_id"]: {name: int(row[name]) for name in ("reports", "records", "messages")}
        for row in map(json.loads, answer.splitlines())
    }


async def _reports(analytics: Analytics, table: str, new: str) -> list[str]:
    """The keys of reports whose rows differ in anything."""
    hashed = f"sum(cityHash64(tuple({columns(table)}))) AS hash, count() AS rows"
    answer = await analytics.query(
        "SELECT report_key FROM (SELECT report_key, hash, rows FROM"  # noqa: S608 - names of ours
        f" (SELECT report_key, {hashed} FROM {table} GROUP BY report_key)"
        f" UNION ALL SELECT report_key, hash, rows FROM (SELECT report_key, {hashed} FROM {new} GROUP BY report_key))"
        " GROUP BY report_key HAVING count() != 2 OR uniqExact(hash, rows) != 1 ORDER BY report_key"
    )
    return [json.loads(line)["report_key"] for line in answer.splitlines()]


async def _rows(analytics: Analytics, table: str, new: str, keys: list[str]) -> list[Event]:
    """Of each of these reports how many rows are only before and only after."""
    if not keys:
        return []
    row = f"report_key, cityHash64(tuple({columns(table)})) AS hash"
    chosen = "WHERE report_key IN {keys:Array(String)}"
    answer = await analytics.query(
        "SELECT report_key AS report, toUInt32(sum(greatest(before - after, 0))) AS rows_gone,"  # noqa: S608 - as above
        " toUInt32(sum(greatest(after - before, 0))) AS rows_new FROM"
        " (SELECT report_key, hash, toInt64(countIf(side = 0)) AS before, toInt64(countIf(side = 1)) AS after FROM"
        f" (SELECT {row}, 0 AS side FROM {table} {chosen} UNION ALL SELECT {row}, 1 AS side FROM {new} {chosen})"
        " GROUP BY report_key, hash) GROUP BY report_key ORDER BY report_key",
        {"keys": keys},
    )
    return [json.loads(line) for line in answer.splitlines()]
