"""Re-read a report of the catalogue from its archived attachment, and make its rows for Analytics.

The report is found in the attachment by the hash of its document. A failure report's archived mail is read as the
worker reads it, so that the setting `failure_originals` cannot change it. A report that cannot be read has a reason.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from sqlalchemy import select
from sqlalchemy.engine import Row

from dmarcworks.analytics.arrays import clamp
from dmarcworks.analytics.rows import Placed, Report, summary
from dmarcworks.analytics.tables import TABLES
from dmarcworks.catalogue import tables
from dmarcworks.ingest.read_source import FILE, Source
from dmarcworks.ingest.reading import each
from dmarcworks.ingest.report_rows import own_policies
from dmarcworks.reports.days import day_of
from dmarcworks.reports.model import FailureReport, Item, Reading, TlsReport
from dmarcworks.upkeep.context import UpkeepContext

__all__ = [
    "ChangedValues",
    "NotInArchive",
    "all_domain_names",
    "changed_values",
    "digest_of",
    "domain_names",
    "original",
    "placed",
    "reread",
    "reread_all",
]

# Columns of the catalogue that a newer version of the reader may change, with their values.
ChangedValues: TypeAlias = dict[str, Any]
_LARGE = 64 * 1024
_BIGINT = (-(2**63), 2**63 - 1)


class NotInArchive(Exception):
    """The report cannot be read from its archive; the text is the reason."""


def digest_of(object_key: str) -> str:
    """The SHA-256 that an archived attachment's key promises."""
    return object_key.split("/")[2] if object_key.count("/") >= 3 else ""


async def reread(context: UpkeepContext, row: Row[Any]) -> Item:
    """The report as it is read now; `NotInArchive` when its archive is missing, changed or does not hold it."""
    ((got, _),) = await reread_all(context, [row])
    if isinstance(got, NotInArchive):
        raise got
    return got


async def reread_all(
    context: UpkeepContext, some: Sequence[Row[Any]]
) -> list[tuple[Item | NotInArchive, ChangedValues]]:
    """Several reports at once: each as it is read now with what has changed, or why it cannot be read."""
    contents = await asyncio.gather(*(context.stores.objects.get(row.object_key) for row in some))
    results: dict[int, Item | NotInArchive] = {}
    sources: dict[int, list[Source]] = {}
    for place, (row, content) in enumerate(zip(some, contents, strict=True)):
        if content is None:
            results[place] = NotInArchive("the archived attachment is missing")
        elif await _changed(content, row):
            results[place] = NotInArchive("the archived attachment has changed")
        else:
            # A failure report's archive is its mail, and in old ones the report alone.
            mail = [Source(content)] if row.kind == FailureReport.kind else []
            sources[place] = [*mail, Source(content, FILE, row.file_name)]
    names = await domain_names(context) if any(row.kind == TlsReport.kind for row in some) else {}
    first = await each(context.env.reader, [those[0] for those in sources.values()])
    for (place, those), done in zip(sources.items(), first, strict=True):
        item, reading = _matching(done.reading, some[place]), done.reading
        if item is not None and item.report.kind == TlsReport.kind:
            item, _ = own_policies(item, names.get(some[place].domain_id) or some[place].policy_domain)
        if item is None and len(those) > 1:
            ((reading, _),) = await each(context.env.reader, those[1:])
            item = _matching(reading, some[place])
        results[place] = item or _unlike(reading)

    def compared() -> list[tuple[Item | NotInArchive, ChangedValues]]:
        got = [(results[place], row) for place, row in enumerate(some)]
        return [(one, {} if isinstance(one, NotInArchive) else changed_values(row, one)) for one, row in got]

    return await asyncio.to_thread(compared)


async def _changed(content: bytes, row: Row[Any]) -> bool:
    digest = await asyncio.to_thread(hashlib.sha256, content) if len(content) > _LARGE else hashlib.sha256(content)
    return digest.hexdigest() != digest_of(row.object_key)


def _unlike(reading: Reading) -> NotInArchive:
    reasons = ", ".join(problem.reason for problem in reading.problems)
    return NotInArchive(f"the archived attachment no longer reads as this report{': ' if reasons else ''}{reasons}")


def _matching(reading: Reading, row: Row[Any]) -> Item | None:
    matching = [item for item in reading.items if item.digest == row.content]
    if matching:
        return matching[0]
    # A failure report's hash is that of its most redacted form; alone in its mail it can be no other.
    alone = [item for item in reading.items if isinstance(item.report, FailureReport)]
    return alone[0] if row.kind == FailureReport.kind and len(alone) == len(reading.items) == 1 else None


async def original(context: UpkeepContext, row: Row[Any]) -> bytes | None:
    """The attachment out of the raw mail that brought the report, when that is still kept and holds the same bytes."""
    statement = select(tables.mails.c.object_key).where(tables.mails.c.id == row.mail_id)
    async with context.stores.database.read() as connection:
        key = (await connection.execute(statement)).scalar()
    raw = None if key is None else await context.stores.objects.get(key)
    if raw is None:
        return None

    ((reading, _),) = await each(context.env.reader, [Source(raw)])

    def find() -> bytes | None:
        wanted = digest_of(row.object_key)
        for item in reading.items:
            if hashlib.sha256(item.part.content).hexdigest() == wanted:
                return item.part.content
        return None

    return await asyncio.to_thread(find)


async def domain_names(context: UpkeepContext) -> dict[str, str]:
    """Every domain's name by its id."""
    return {domain.id: domain.name for domain in await context.stores.accounts.domains()}


async def all_domain_names(context: UpkeepContext) -> dict[str, str]:
    """The same with domains that were removed, as their rows still name them."""
    names: dict[str, str] = {}
    for table in TABLES:
        answer = await context.analytics.query(
            f"SELECT domain_id, any(domain) AS domain FROM {table} GROUP BY domain_id"  # noqa: S608 - a table of ours
        )
        names |= {row["domain_id"]: row["domain"] for row in map(json.loads, answer.splitlines())}
    return names | await domain_names(context)


def placed(row: Row[Any], report: Report, domain: str, proof: str | None) -> Placed[Any]:
    """The report with what the catalogue knows of it; `domain` is the name of the domain that its address is for,
    `proof` the DMARC result of the mail that brought it."""
    return Placed(
        report,
        account_id=row.account_id,
        domain_id=row.domain_id,
        domain=domain,
        received=datetime.fromtimestamp(row.received, UTC),
        report_key=row.key,
        object_key=row.object_key,
        report_id=row.report_id,
        report_authentic=proof,
    )


def changed_values(row: Row[Any], item: Item) -> ChangedValues:
    """The catalogue's figures of the report as it is read now, where they are others; {} when all is as it was."""
    report = item.report
    short = summary(report, received=datetime.fromtimestamp(row.received, UTC), digest=row.content)
    warnings = [{"code": w.code, "where": w.where, "detail": w.detail} for w in report.warnings]
    noted = json.loads(row.warnings)
    # A warning that comes from comparing it with another report is not in the report itself: it stays.
    compared = [w for w in noted if w["code"] == "same_identity_other_content"]
    own = [w for w in noted if w not in compared]
    # The place of a warning is more exact when the whole mail was read than from the attachment alone: keep it.
    if [(w["code"], w["detail"]) for w in own] == [(w["code"], w["detail"]) for w in warnings]:
        warnings = own
    current = {
        "begin": clamp(short.begin, _BIGINT),
        "end": clamp(short.end, _BIGINT),
        "day": day_of(short.begin).isoformat(),
        "records": short.records,
        "messages": clamp(short.messages, _BIGINT),
        "warnings": row.warnings if warnings == own else json.dumps(warnings + compared),
    }
    return {name: value for name, value in current.items() if value != row._mapping[name]}
