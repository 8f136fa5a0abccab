"""The store's schema: migrations, and a report as the rows that it becomes.

In goes an `AggregateReport` with what the catalogue knows of it, out comes one Arrow table in the columns of
`tables.DMARC_REPORTS`, all in one partition, so that an insert is one block. No report makes an insert fail: a day
out of all reason is clamped (begin and end stay as sent), numbers are clamped to the column's range, text of the
report's head, which every row repeats, is cut at 2,048 characters. Absent stays NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Any, TypeAlias

import pyarrow as pa

from dmarcworks.analytics.tables import DMARC_REPORTS, FAILURE_REPORTS, TABLES, TLS_REPORTS, Table
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.reports.days import FIRST_DAY, LAST_DAY, day_of
from dmarcworks.reports.model import AggregateReport, Record

__all__ = [
    "DMARC_REPORTS",
    "FAILURE_REPORTS",
    "FIRST_DAY",
    "LAST_DAY",
    "TABLES",
    "TLS_REPORTS",
    "day_of",
    "migrate",
    "published",
    "rows",
]

HEAD_CHARACTERS = 2048
HEAD_ERRORS = 20
_HEAD_POLICY = ("p", "sp", "np", "adkim", "aspf", "fo", "testing", "discovery_method")
_RECORD_TEXTS = (
    "source_ip", "disposition", "dkim_aligned", "spf_aligned", "header_from", "envelope_from", "envelope_to",
)  # fmt: skip

_Array: TypeAlias = "pa.Array[Any]"

_INT64 = (-(2**63), 2**63 - 1)
_UINT64 = (0, 2**64 - 1)


@dataclass(frozen=True, slots=True)
class _Migration:
    version: int
    name: str
    statements: tuple[str, ...]


# A released migration is never edited; a change of the schema appends one.
_MIGRATIONS = (_Migration(1, "reports", tuple(table.create for table in TABLES.values())),)
_VERSIONS = (
    "CREATE TABLE IF NOT EXISTS schema_versions (version UInt32, name String, applied DateTime64(3, 'UTC'))"
    " ENGINE = MergeTree ORDER BY version SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
)


async def migrate(analytics: Analytics) -> int:
    """Bring the store up to date and say its version. Safe to repeat, also after a crash half-way."""
    await analytics.execute(_VERSIONS)
    answer = await analytics.query("SELECT max(version) FROM schema_versions", format="TabSeparated")
    version = int(answer.strip() or 0)
    for migration in _MIGRATIONS:
        if migration.version <= version:
            continue
        for statement in migration.statements:
            await analytics.execute(statement)
        applied = pa.table(
            {
                "version": pa.array([migration.version], pa.uint32()),
                "name": pa.array([migration.name], pa.string()),
                "applied": pa.array([datetime.now(UTC)], pa.timestamp("ms", tz="UTC")),
            }
        )
        await analytics.insert("schema_versions", applied)
        version = migration.version
    return version


async def published(analytics: Analytics, account_id: str, domain_id: str, day: date, report_key: str) -> int:
    """How many rows of a report are in the store: all of them or none, since a report is one block of one partition."""
    answer = await analytics.query(
        "SELECT count() FROM dmarc_reports WHERE account_id = {account_id:String} AND domain_id = {domain_id:String}"
        " AND day = {day:Date} AND report_key = {report_key:String}",
        {"account_id": account_id, "domain_id": domain_id, "day": day.isoformat(), "report_key": report_key},
        format="TabSeparated",
    )
    return int(answer)


def rows(
    report: AggregateReport,
    *,
    account_id: str,
    domain_id: str,
    domain: str,
    received: datetime,
    report_key: str,
    object_key: str,
) -> pa.Table:
    """The report's rows, one per record in the report's order, columns and types as in `tables.DMARC_REPORTS`."""
    records, policy = report.records, report.policy
    constants: dict[str, Any] = {
        "account_id": account_id,
        "domain_id": domain_id,
        "domain": domain,
        "day": day_of(report.begin),
        "begin": _clamp(report.begin, _INT64),
        "end": _clamp(report.end, _INT64),
        "received": received,
        "report_key": report_key,
        "report_id": _head(report.report_id),
        "org_name": _head(report.org_name),
        "org_email": _head(report.email),
        "object_key": object_key,
        "policy_domain": _head(policy.domain),
        "version": _head(report.version),
        "generator": _head(report.generator),
        "errors": [_head(text) for text in report.errors[:HEAD_ERRORS]],
        **{name: _head(getattr(policy, name)) for name in _HEAD_POLICY},
        "pct": None if policy.pct is None else _clamp(policy.pct, _INT64),
    }
    columns: dict[str, _Array] = {
        "record_index": pa.array(range(len(records)), pa.uint32()),
        "count": pa.array([_clamp(record.count, _UINT64) for record in records], pa.uint64()),
        "dmarc": _texts([_dmarc(record) for record in records]),
        "reasons": _structs("reasons", [record.reasons for record in records]),
        "dkim": _structs("dkim", [record.dkim for record in records]),
        "spf": _structs("spf", [record.spf for record in records]),
    }
    for name in _RECORD_TEXTS:
        columns[name] = _texts([getattr(record, name) for record in records])
    return _table(DMARC_REPORTS, len(records), constants, columns)


def _table(table: Table, size: int, constants: dict[str, Any], columns: dict[str, _Array]) -> pa.Table:
    arrays = []
    for column in table.columns:
        array = columns.get(column.name)
        if array is None:
            value = constants.get(column.name)
            # pa.repeat knows no lists and NULLs; taking index 0 over and over does.
            single = _texts([value]) if pa.types.is_string(column.arrow) else pa.array([value], column.arrow)
            array = single.take(pa.repeat(pa.scalar(0, pa.int8()), size))
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=table.schema)


def _dmarc(record: Record) -> str:
    return "pass" if "pass" in (record.dkim_aligned, record.spf_aligned) else "fail"


def _clamp(value: int, bounds: tuple[int, int]) -> int:
    return min(max(value, bounds[0]), bounds[1])


def _encodable(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "replace").decode()


def _head(text: str | None) -> str | None:
    return None if text is None else _encodable(text[:HEAD_CHARACTERS])


def _texts(values: Sequence[str | None]) -> _Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:  # a lone surrogate is no UTF-8
        return pa.array([_encodable(value) for value in values], pa.string())


def _structs(name: str, lists: Sequence[Iterable[Any]]) -> _Array:
    """A list column of structs, field by field: many times faster than one dict per struct."""
    kind = DMARC_REPORTS.schema.field(name).type
    sizes: list[int] = [0]
    flat: list[Any] = []
    for values in lists:
        flat.extend(values)
        sizes.append(len(flat))
    fields = list(kind.value_type)
    columns = [_texts(list(map(attrgetter(field.name), flat))) for field in fields]
    struct = pa.StructArray.from_arrays(columns, fields=fields)
    return pa.ListArray.from_arrays(pa.array(sizes, pa.int32()), struct, type=kind)
