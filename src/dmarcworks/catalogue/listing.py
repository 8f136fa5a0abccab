"""Lists for programs: reports and problems by filter, and what one mail brought. Every question names the account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select, tuple_

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import tables
from dmarcworks.catalogue.arrivals import ReportRow, report_row
from dmarcworks.catalogue.problems import ProblemRow, problem_row

__all__ = ["Found", "Listing", "ReportFilter"]


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Which reports; None and "" narrow nothing. Days are of `begin` in UTC, both inclusive."""

    domain_ids: Sequence[str] | None = None
    kind: str = ""
    state: str = ""
    org_name: str = ""
    report_id: str = ""
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A report in a mail; `new` when that mail brought it first."""

    report: ReportRow
    new: bool


class Listing:
    """Reads the catalogue for lists."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reports(
        self, account_id: str, filter: ReportFilter, *, limit: int = 100, before: tuple[float, str] | None = None
    ) -> list[ReportRow]:
        """The account's reports, newest first; `before` is (received, key) of the last one of the page before."""
        table = tables.reports
        statement = select(table).where(table.c.account_id == account_id)
        if filter.domain_ids is not None:
            statement = statement.where(table.c.domain_id.in_(list(filter.domain_ids)))
        for column in ("kind", "state", "org_name", "report_id"):
            if value := getattr(filter, column):
                statement = statement.where(table.c[column] == tables.storable(value))
        if filter.first is not None:
            statement = statement.where(table.c.day >= filter.first.isoformat())
        if filter.last is not None:
            statement = statement.where(table.c.day <= filter.last.isoformat())
        if before is not None:
            statement = statement.where(tuple_(table.c.received, table.c.key) < before)
        statement = statement.order_by(table.c.received.desc(), table.c.key.desc()).limit(limit)
        async with self._database.read() as connection:
            return [report_row(row) for row in (await connection.execute(statement)).all()]

    async def problems(
        self,
        account_id: str,
        *,
        domain_ids: Sequence[str] | None = None,
        state: str = "",
        reason: str = "",
        mail_id: str = "",
        limit: int = 100,
        before: int | None = None,
    ) -> list[ProblemRow]:
        """The account's problems, newest first; `before` pages by id."""
        table = tables.problems
        statement = select(table).where(table.c.account_id == account_id)
        if domain_ids is not None:
            statement = statement.where(table.c.domain_id.in_(list(domain_ids)))
        for column, value in (("state", state), ("reason", reason), ("mail_id", mail_id)):
            if value:
                statement = statement.where(table.c[column] == tables.storable(value))
        if before is not None:
            statement = statement.where(table.c.id < before)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement.order_by(table.c.id.desc()).limit(limit))).all()
        return [problem_row(row) for row in rows]

    async def of_mail(self, account_id: str, mail_id: str, limit: int = 1000) -> list[Found]:
        """The reports that a mail brought, each once, in the order of their keys."""
        table, seen = tables.reports, tables.sightings
        statement = (
            select(table)
            .where(
                table.c.account_id == account_id,
                table.c.key.in_(select(seen.c.report_key).where(seen.c.mail_id == mail_id)),
            )
            .order_by(table.c.key)
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [Found(report_row(row), row.mail_id == mail_id) for row in rows]

    async def noted(self, mail_ids: Sequence[str]) -> set[str]:
        """Which of these mails were read, or failed permanently."""
        mails, problems = tables.mails, tables.problems
        gave_up = problems.c.reason.in_(("gave_up", "raw_missing"))
        async with self._database.read() as connection:
            read = await connection.execute(select(mails.c.id).where(mails.c.id.in_(list(mail_ids))))
            ended = await connection.execute(
                select(problems.c.mail_id).where(problems.c.mail_id.in_(list(mail_ids)), gave_up)
            )
            return {*read.scalars(), *ended.scalars()}

    async def begun(self, mail_ids: Sequence[str]) -> set[str]:
        """Of which of these mails a report is in the catalogue: their reading began, and may have been cut off."""
        seen = tables.sightings
        async with self._database.read() as connection:
            rows = await connection.execute(select(seen.c.mail_id).where(seen.c.mail_id.in_(list(mail_ids))).distinct())
            return set(rows.scalars())
