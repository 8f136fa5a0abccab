"""Repair what `verify` found: archived attachments from the raw mails, rows from the archived reports.

Nothing is guessed: an attachment is restored only if the raw mail holds the very bytes that its key's hash names, rows
are written only from a report that could be reprocessed, and publishing is held meanwhile. The rest stays a difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import update

from dmarcworks.analytics.rows import Placed, tables_of
from dmarcworks.catalogue import tables
from dmarcworks.catalogue.authenticity import AuthenticityCatalogue
from dmarcworks.upkeep import catalogue_pages
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.upkeep.replay.reread import (
    ChangedValues,
    NotInArchive,
    changed_values,
    domain_names,
    original,
    placed,
    reread,
)
from dmarcworks.upkeep.verify.compare import Difference
from dmarcworks.upkeep.verify.figures import KINDS, Place, remove

__all__ = ["repair_all"]

_AT_ONCE = 200
_OBJECTS = ("object_missing", "object_changed")


async def repair_all(context: UpkeepContext, differences: Sequence[Difference]) -> list[Difference]:
    """The same differences, each marked whether it is repaired now."""
    objects = {difference for difference in differences if difference.kind in _OBJECTS}
    done = {difference for difference in objects if await _attachment(context, difference)}
    wrong = [difference for difference in differences if difference.kind not in _OBJECTS]
    for start in range(0, len(wrong), _AT_ONCE):
        done |= await _rows(context, wrong[start : start + _AT_ONCE])
    return [replace(difference, repaired=difference in done) for difference in differences]


async def _attachment(context: UpkeepContext, difference: Difference) -> bool:
    row = (await catalogue_pages.reports(context.stores.database, [difference.report])).get(difference.report)
    content = None if row is None else await original(context, row)
    if content is None:
        return False
    await context.stores.objects.put(difference.key, content)
    return True


async def _rows(context: UpkeepContext, differences: Sequence[Difference]) -> set[Difference]:
    """Delete the wrong rows and rewrite them; rows of a report that cannot be reprocessed are not deleted."""
    rows = await catalogue_pages.reports(context.stores.database, [difference.report for difference in differences])
    names = await domain_names(context)
    proofs = await AuthenticityCatalogue(context.stores.database).dmarc([row.mail_id for row in rows.values()])
    done: set[Difference] = set()
    places: dict[str, set[Place]] = {}
    fresh: dict[str, Placed[Any]] = {}
    changes: dict[str, ChangedValues] = {}
    for difference in differences:
        row = rows.get(difference.report)
        place = (difference.account_id, difference.domain_id, difference.report)
        if difference.kind == "rows_unknown":
            places.setdefault(difference.table, set()).add(place)
            done.add(difference)
        elif row is not None:
            try:
                item = await reread(context, row)
            except NotInArchive:
                continue
            fresh[row.key] = placed(
                row, item.report, names.get(row.domain_id, row.policy_domain), proofs.get(row.mail_id)
            )
            changes[row.key] = changed_values(row, item)
            places.setdefault(KINDS[row.kind], set()).add(place)
            done.add(difference)
    enricher = context.env.enricher
    enrichment = None if enricher is None else await enricher.prepared(list(fresh.values()))
    async with context.gate.held():
        for table, wrong in places.items():
            await remove(context.analytics, table, wrong)
        for table, content in (await asyncio.to_thread(tables_of, list(fresh.values()), enrichment)).items():
            await context.analytics.insert(table, content)
        await _note(context, changes)
    return done


async def _note(context: UpkeepContext, changes: dict[str, ChangedValues]) -> None:
    async with context.stores.database.write() as connection:
        for key, change in changes.items():
            await connection.execute(
                update(tables.reports).where(tables.reports.c.key == key).values(published=True, **change)
            )
