"""Problems: every mail or part that could not be read or counted, with its reason and the raw bytes' key.

A problem is noted once per mail, reason and place, however often the mail is delivered. It is open until its mail was
reprocessed without it (retrying, then closed) or a person discarded it (discarded). A discarded problem stays
discarded, also when it is found again. Mail that is no report is "other": a list of its own, nothing that is open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, case, func, insert, select, update
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import audit, tables
from dmarcworks.reports.problems import OTHER_MAIL

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

# The state of mail that is no report.
OTHER = "other"


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """What could not be read and why. `object_key`: the raw mail, or the attachment when the part is known.

    `report_key`: the report that it is about; `letter`: the dead letter's id in the queue; `tried`: when it was last
    reprocessed; `changed`, `changed_by`: the last change of its state.
    """

    id: int
    account_id: str
    domain_id: str
    mail_id: str
    reason: str
    where: str
    detail: str
    object_key: str
    file_name: str
    created: datetime
    state: str
    report_key: str | None = None
    letter: int | None = None
    tried: datetime | None = None
    changed: datetime | None = None
    changed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Retried:
    """How many mails were queued for reprocessing, and why which problem's mail was not."""

    mails: int
    skipped: tuple[str, ...] = ()


class Problems:
    """The catalogue of what a person should see."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def add(
        self,
        *,
        account_id: str,
        domain_id: str,
        mail_id: str,
        reason: str,
        where: str,
        detail: str,
        object_key: str,
        file_name: str = "",
        report_key: str | None = None,
        letter: int | None = None,
        state: str = "open",
    ) -> int:
        """Note a problem; its id. The same mail, reason and place is the same problem (opened again if closed)."""
        where, detail, file_name = map(tables.storable, (where, detail, file_name))
        table = tables.problems
        same = (table.c.mail_id == mail_id) & (table.c.reason == reason) & (table.c.where == where)
        async with self._database.write() as connection:
            existing = (await connection.execute(select(table.c.id, table.c.state).where(same))).one_or_none()
            if existing is not None:
                kept = "discarded" if existing.state == "discarded" else state
                again = {"detail": detail, "state": kept, "letter": letter, "report_key": report_key}
                await connection.execute(update(table).where(table.c.id == existing.id).values(**again))
                return int(existing.id)
            result = await connection.execute(
                insert(table).values(
                    account_id=account_id,
                    domain_id=domain_id,
                    mail_id=mail_id,
                    reason=reason,
                    where=where,
                    detail=detail,
                    object_key=object_key,
                    file_name=file_name,
                    created=self._clock(),
                    state=state,
                    report_key=report_key,
                    letter=letter,
                )
            )
            key = result.inserted_primary_key
            return int(key[0]) if key else 0

    async def list(
        self,
        account_id: str | None = None,
        state: str = "open",
        limit: int = 100,
        before: int | None = None,
        reason: str = "",
        domain_id: str = "",
    ) -> list[ProblemRow]:
        """Problems, newest first; of all accounts when `account_id` is None, of all states and reasons when ""."""
        table = tables.problems
        statement = select(table)
        if state:
            statement = statement.where(table.c.state == state)
        if reason:
            statement = statement.where(table.c.reason == tables.storable(reason))
        if domain_id:
            statement = statement.where(table.c.domain_id == domain_id)
        if account_id is not None:
            statement = statement.where(table.c.account_id == account_id)
        if before is not None:
            statement = statement.where(table.c.id < before)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement.order_by(table.c.id.desc()).limit(min(limit, 1000)))).all()
        return [problem_row(row) for row in rows]

    async def get(self, account_id: str | None, problem_id: int) -> ProblemRow | None:
        """The problem, if it belongs to the account (any account when None)."""
        statement = select(tables.problems).where(tables.problems.c.id == problem_id)
        if account_id is not None:
            statement = statement.where(tables.problems.c.account_id == account_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        return None if row is None else problem_row(row)

    async def count(self, account_id: str | None = None) -> int:
        """How many are open."""
        table = tables.problems
        statement = select(func.count()).select_from(table).where(table.c.state == "open")
        if account_id is not None:
            statement = statement.where(table.c.account_id == account_id)
        async with self._database.read() as connection:
            return int((await connection.execute(statement)).scalar_one())

    async def counts(self, account_id: str) -> dict[str, int]:
        """How many are open by domain; a domain without one is absent."""
        table = tables.problems
        statement = (
            select(table.c.domain_id, func.count().label("open"))
            .where(table.c.state == "open", table.c.account_id == account_id)
            .group_by(table.c.domain_id)
        )
        async with self._database.read() as connection:
            return {row.domain_id: row.open for row in (await connection.execute(statement)).all()}

    async def close(self, problem_id: int) -> None:
        """Nothing is left to do about it."""
        async with self._database.write() as connection:
            await connection.execute(
                update(tables.problems).where(tables.problems.c.id == problem_id).values(state="closed")
            )

    async def reasons(self, account_id: str | None = None, state: str = "open") -> dict[str, int]:
        """How many of each reason are in the state, the most frequent first."""
        table = tables.problems
        number = func.count().label("number")
        statement = select(table.c.reason, number).where(table.c.state == state).group_by(table.c.reason)
        if account_id is not None:
            statement = statement.where(table.c.account_id == account_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement.order_by(number.desc(), table.c.reason))).all()
        return {row.reason: row.number for row in rows}

    async def tried_mail(self, mail_id: str) -> None:
        """The mail was reprocessed: what is still wrong is noted again, the rest waits for `close_mail`."""
        await self._of_mail(mail_id, ("open", "retrying", OTHER), "retrying")

    async def close_mail(self, mail_id: str) -> None:
        """A retry of the mail is complete: what was not noted again is solved."""
        await self._of_mail(mail_id, ("retrying",), "closed")

    async def reopen_mail(self, mail_id: str) -> None:
        """A retry of the mail failed permanently: its problems are as before."""
        state = case((tables.problems.c.reason.in_(OTHER_MAIL), OTHER), else_="open")
        await self._of_mail(mail_id, ("retrying",), state)

    async def _of_mail(self, mail_id: str, states: Sequence[str], state: str | ColumnElement[str]) -> None:
        table, now = tables.problems, self._clock()
        async with self._database.write() as connection:
            await connection.execute(
                update(table)
                .where(table.c.mail_id == mail_id, table.c.state.in_(states))
                .values(state=state, tried=now, changed=now)
            )

    async def retrying(self, problem: ProblemRow, by: str, action: str = "problem.retry") -> None:
        """Its mail is queued for reprocessing; the mail's other open problems wait for the same."""
        table, now = tables.problems, self._clock()
        concerned = (table.c.id == problem.id) | ((table.c.mail_id == problem.mail_id) & (table.c.state == "open"))
        async with self._database.write() as connection:
            await connection.execute(
                update(table)
                .where(concerned, table.c.account_id == problem.account_id)
                .values(state="retrying", changed=now, changed_by=by[:320])
            )
            await self._note(connection, problem, action, now)

    async def discard(self, problem: ProblemRow, by: str) -> None:
        """A person discards it: the row stays, with who and when."""
        table, now = tables.problems, self._clock()
        async with self._database.write() as connection:
            await connection.execute(
                update(table)
                .where(table.c.id == problem.id, table.c.account_id == problem.account_id)
                .values(state="discarded", changed=now, changed_by=by[:320])
            )
            await self._note(connection, problem, "problem.discard", now)

    async def discard_other(
        self, account_id: str | None, by: str, reason: str = "", domain_ids: Sequence[str] | None = None
    ) -> int:
        """A person let all other mail go (of the account, of the reason, of the domains); how many."""
        table, now = tables.problems, self._clock()
        where = [table.c.state == OTHER]
        if account_id is not None:
            where.append(table.c.account_id == account_id)
        if reason:
            where.append(table.c.reason == tables.storable(reason))
        if domain_ids is not None:
            where.append(table.c.domain_id.in_(domain_ids))
        async with self._database.write() as connection:
            statement = select(table.c.account_id, func.count().label("number")).where(*where)
            accounts = (await connection.execute(statement.group_by(table.c.account_id))).all()
            await connection.execute(
                update(table).where(*where).values(state="discarded", changed=now, changed_by=by[:320])
            )
            for row in accounts:
                detail = {"reason": reason, "number": row.number}
                await audit.note(connection, now, "other_mail.discard", "", account_id=row.account_id, detail=detail)
        return sum(row.number for row in accounts)

    async def _note(self, connection: AsyncConnection, problem: ProblemRow, action: str, now: float) -> None:
        detail = {"reason": problem.reason, "mail_id": problem.mail_id}
        await audit.note(connection, now, action, str(problem.id), account_id=problem.account_id, detail=detail)


def problem_row(row: Row[Any]) -> ProblemRow:
    """A row of the table as a `ProblemRow`."""
    times = {name: row._mapping[name] for name in ("created", "tried", "changed")}
    moments = {name: None if at is None else datetime.fromtimestamp(at, UTC) for name, at in times.items()}
    return ProblemRow(**{**row._mapping, **moments})
