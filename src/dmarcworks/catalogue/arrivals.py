"""What arrived: every mail, every report in it, and which of them is counted.

A report's identity is reporter, policy domain, report id, begin and end (RFC 9990 "Handling of Duplicates"). The same
identity with the same content is a duplicate, noted and counted once; with other content both are kept and counted and
the second carries a warning; the same id with other dates is another report (Google and Mimecast do that).
Every write is idempotent: a redelivered mail finds its own rows and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, delete, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from dmarcworks.bindings.bulk_insert import add
from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import tables
from dmarcworks.catalogue.recording import Recorded, adopt, pieces, record
from dmarcworks.catalogue.reports import NewReport, Received, ReportRow, report_row
from dmarcworks.reports.days import LONG, day_of, days_covered
from dmarcworks.reports.model import AggregateReport

__all__ = ["Arrivals", "MailRow", "NewReport", "Received", "Recorded", "ReportDay", "ReportRow", "report_row"]

# How often a transaction is tried again when another process writes the same rows at the same moment.
_RACES = 5


@dataclass(frozen=True, slots=True)
class MailRow:
    """A mail that was accepted with 250; `object_key` is its raw form."""

    id: str
    account_id: str
    domain_id: str
    recipient: str
    sender: str
    peer: str
    received: datetime
    size: int
    object_key: str
    outcome: str
    reports: int
    problems: int
    # SHA-256 (hex) of the raw mail as it is kept; None when it was not taken down.
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class ReportDay:
    """A UTC day with its number of reports and messages."""

    day: date
    reports: int
    messages: int


class Arrivals:
    """Mails and reports in the catalogue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_mails(self, mails: Sequence[MailRow]) -> None:
        """Note mails and what came of them, all or none; a redelivery overwrites its own row."""
        if not mails:
            return
        rows = [
            {
                "id": mail.id,
                "account_id": mail.account_id,
                "domain_id": mail.domain_id,
                "recipient": tables.storable(mail.recipient),
                "sender": tables.storable(mail.sender),
                "peer": mail.peer,
                "received": mail.received.timestamp(),
                "size": mail.size,
                "object_key": mail.object_key,
                "outcome": mail.outcome,
                "reports": mail.reports,
                "problems": mail.problems,
                "sha256": mail.sha256,
            }
            for mail in {mail.id: mail for mail in mails}.values()
        ]

        def keep(connection: Connection) -> None:
            connection.execute(delete(tables.mails).where(tables.mails.c.id.in_([row["id"] for row in rows])))
            add(connection, tables.mails, rows)

        await self._database.step(keep)

    async def mail(self, account_id: str | None, mail_id: str) -> MailRow | None:
        """The mail, if it belongs to the account (any account when None)."""
        statement = select(tables.mails).where(tables.mails.c.id == mail_id)
        if account_id is not None:
            statement = statement.where(tables.mails.c.account_id == account_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            return None
        columns = {name: row._mapping[name] for name in MailRow.__slots__}
        return MailRow(**{**columns, "received": datetime.fromtimestamp(row.received, UTC)})

    async def record_report(self, report: NewReport) -> Recorded:
        """Record one report in the catalogue, once; return whether it is new, a duplicate or a variant."""
        (recorded,) = await self.record_reports([report])
        return recorded

    async def record_reports(self, reports: Sequence[NewReport]) -> list[Recorded]:
        """Record reports in the catalogue, all or none, each as if it came alone; what each is, in their order."""
        if not reports:
            return []
        for tries in range(_RACES):
            try:
                return await self._database.step(lambda connection: record(connection, reports))
            except IntegrityError:
                # Another process took one of them in at this moment: the next look finds it.
                if tries == _RACES - 1:
                    raise
        raise AssertionError("unreachable")

    async def adopt(self, account_id: str, reports: Mapping[str, str]) -> None:
        """Reports (by key) that were kept apart belong to these domains (by id) of the same account; once."""
        table, domains = tables.reports, tables.domains

        def keep(connection: Connection) -> None:
            for key, domain_id in reports.items():
                ours = select(domains.c.id).where(domains.c.id == domain_id, domains.c.account_id == account_id)
                foreign = select(table.c.key).where(
                    table.c.key == key, table.c.account_id == account_id, table.c.state == "foreign", ours.exists()
                )
                if connection.execute(foreign).first() is not None:
                    adopt(connection, key, domain_id)

        await self._database.step(keep)

    async def domain_names(self, domain_ids: Sequence[str]) -> dict[str, str]:
        """The names of domains by their ids; one that was removed is absent."""
        statement = select(tables.domains.c.id, tables.domains.c.name).where(tables.domains.c.id.in_(domain_ids))
        async with self._database.read() as connection:
            return {row.id: row.name for row in (await connection.execute(statement)).all()}

    async def account_domains(self, account_id: str) -> dict[str, str]:
        """The names of an account's domains by their ids."""
        statement = select(tables.domains.c.id, tables.domains.c.name).where(tables.domains.c.account_id == account_id)
        async with self._database.read() as connection:
            return {row.id: row.name for row in (await connection.execute(statement)).all()}

    async def mark_published(self, keys: Sequence[str]) -> None:
        """The reports' rows are in Analytics; all are marked or none."""

        def mark(connection: Connection) -> None:
            # However many reports the mails of a batch hold: a database takes some ten thousand values in a statement.
            for some in pieces(keys):
                which = tables.reports.c.key.in_(some)
                connection.execute(update(tables.reports).where(which).values(published=True))

        await self._database.step(mark)

    async def reports(
        self,
        account_id: str,
        domain_id: str | None = None,
        *,
        day: date | None = None,
        limit: int = 100,
        before: tuple[datetime, str] | None = None,
    ) -> list[ReportRow]:
        """The account's reports, newest first; `before` is the last row's (received, key) of the page before."""
        table = tables.reports
        statement = select(table).where(table.c.account_id == account_id)
        if domain_id is not None:
            statement = statement.where(table.c.domain_id == domain_id)
        if day is not None:
            statement = statement.where(table.c.day == day.isoformat())
        if before is not None:
            statement = statement.where(tuple_(table.c.received, table.c.key) < (before[0].timestamp(), before[1]))
        statement = statement.order_by(table.c.received.desc(), table.c.key.desc()).limit(min(limit, 1000))
        async with self._database.read() as connection:
            return [report_row(row) for row in (await connection.execute(statement)).all()]

    async def report(self, account_id: str | None, key: str) -> ReportRow | None:
        """The report with its number of duplicates, if it belongs to the account (any account when None)."""
        statement = select(tables.reports).where(tables.reports.c.key == key)
        if account_id is not None:
            statement = statement.where(tables.reports.c.account_id == account_id)
        counted = select(func.count()).select_from(tables.sightings).where(tables.sightings.c.report_key == key)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
            sightings = (await connection.execute(counted)).scalar_one()
        return None if row is None else report_row(row, duplicates=max(0, sightings - 1))

    async def last_mail(self) -> datetime | None:
        """When the newest mail was accepted, of any account; None when there is none."""
        async with self._database.read() as connection:
            newest = (await connection.execute(select(func.max(tables.mails.c.received)))).scalar_one()
        return None if newest is None else datetime.fromtimestamp(newest, UTC)

    async def received(self, account_id: str, domain_id: str) -> Received:
        """Whether the domain's reports arrive: how many, how many lately, and when the last one did."""
        table = tables.reports
        mine = (table.c.account_id == account_id) & (table.c.domain_id == domain_id)
        week = datetime.now(UTC).timestamp() - 7 * 86_400
        statement = select(func.count(), func.max(table.c.received)).where(mine)
        lately = select(func.count()).select_from(table).where(mine, table.c.received >= week)
        async with self._database.read() as connection:
            total, newest = (await connection.execute(statement)).one()
            last_7_days = (await connection.execute(lately)).scalar_one()
        return Received(total, last_7_days, None if newest is None else datetime.fromtimestamp(newest, UTC))

    async def last_report(self, account_id: str, domain_id: str) -> datetime | None:
        """When the domain's newest report came in; None when none has."""
        table = tables.reports
        statement = select(func.max(table.c.received)).where(
            table.c.account_id == account_id, table.c.domain_id == domain_id
        )
        async with self._database.read() as connection:
            newest = (await connection.execute(statement)).scalar_one()
        return None if newest is None else datetime.fromtimestamp(newest, UTC)

    async def last_reports(self, account_id: str, domain_ids: Sequence[str]) -> dict[str, datetime]:
        """When each domain's newest report came in; a domain without one is absent."""
        table = tables.reports
        statement = (
            select(table.c.domain_id, func.max(table.c.received).label("newest"))
            .where(table.c.account_id == account_id, table.c.domain_id.in_(list(domain_ids)))
            .group_by(table.c.domain_id)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return {row.domain_id: datetime.fromtimestamp(row.newest, UTC) for row in rows}

    async def days(self, account_id: str, domain_id: str, first: date, last: date) -> list[ReportDay]:
        """The domain's counted aggregate reports by UTC day of begin, newest first; days without are absent."""
        table = tables.reports
        statement = (
            select(table.c.day, func.count().label("reports"), func.sum(table.c.messages).label("messages"))
            .where(
                table.c.account_id == account_id,
                table.c.domain_id == domain_id,
                table.c.state == "counted",
                table.c.kind == AggregateReport.kind,
                table.c.day.between(first.isoformat(), last.isoformat()),
            )
            .group_by(table.c.day)
            .order_by(table.c.day.desc())
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [ReportDay(date.fromisoformat(row.day), row.reports, int(row.messages)) for row in rows]

    async def long_reports(self, account_id: str, domain_id: str, first: date, last: date) -> dict[date, int]:
        """The first days of counted aggregate reports over several days, and how many days the longest covers.

        Those that begin before the period and reach into it are named too.
        """
        table = tables.reports
        since = int(datetime.combine(first, datetime.min.time(), UTC).timestamp())
        statement = select(table.c.begin, table.c.end).where(
            table.c.account_id == account_id,
            table.c.domain_id == domain_id,
            table.c.state == "counted",
            table.c.kind == AggregateReport.kind,
            table.c.day <= last.isoformat(),
            table.c.end >= since,
            table.c.end - table.c.begin > LONG,
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement.limit(1000))).all()
        longest: dict[date, int] = {}
        for row in rows:
            day = day_of(row.begin)
            longest[day] = max(longest.get(day, 0), days_covered(row.begin, row.end))
        return longest

    async def newest_day(
        self, account_id: str, domain_id: str, kinds: Sequence[str] = (AggregateReport.kind,)
    ) -> date | None:
        """The newest UTC day that a counted report of these kinds is about; None when there is none."""
        table = tables.reports
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
        statement = select(func.max(table.c.day)).where(
            table.c.account_id == account_id,
            table.c.domain_id == domain_id,
            table.c.state == "counted",
            table.c.kind.in_(kinds),
            table.c.day <= tomorrow,
        )
        async with self._database.read() as connection:
            newest = (await connection.execute(statement)).scalar_one()
        return None if newest is None else date.fromisoformat(newest)
