"""What arrived: every mail, every report in it, and which of them is counted.

A report's identity is reporter, policy domain, report id, begin and end (RFC 9990 "Handling of Duplicates"). The same
identity with the same content is a duplicate, noted and counted once; with other content both are kept and counted and
the second carries a warning; the same id with other dates is another report (Google and Mimecast do that).
Every write is idempotent: a redelivered mail finds its own rows and changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, tuple_, update
from sqlalchemy.engine import Row

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import tables
from dmarcworks.reports.days import day_of
from dmarcworks.reports.model import AggregateReport


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
class NewReport:
    """A report on its way in; `content` is the SHA-256 of the document, `where` its place in the mail."""

    account_id: str
    domain_id: str
    kind: str
    org_name: str
    org_email: str
    policy_domain: str
    report_id: str
    begin: int
    end: int
    received: datetime
    records: int
    messages: int
    content: str
    object_key: str
    file_name: str
    mail_id: str
    where: str
    state: str = "counted"
    warnings: Sequence[Mapping[str, str]] = ()

    @property
    def identity(self) -> str:
        """The reporter's own name for the report, hashed."""
        reporter = (self.org_name or self.org_email).casefold()
        parts = [self.kind, reporter, self.policy_domain, self.report_id, self.begin, self.end]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def key(self) -> str:
        """The report's key in catalogue and Analytics: account, identity and content, hashed."""
        return hashlib.sha256(f"{self.account_id}:{self.identity}:{self.content}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A report in the catalogue. `state`: counted, foreign (another domain's), kept (not read yet)."""

    key: str
    account_id: str
    domain_id: str
    kind: str
    org_name: str
    org_email: str
    policy_domain: str
    report_id: str
    begin: int
    end: int
    day: date
    received: datetime
    records: int
    messages: int
    object_key: str
    file_name: str
    mail_id: str
    state: str
    published: bool
    warnings: tuple[Mapping[str, str], ...]
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """What `record_report` found: "new", "duplicate" (known before) or "variant" (same identity, other content)."""

    row: ReportRow
    outcome: str


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
        async with self._database.write() as connection:
            await connection.execute(delete(tables.mails).where(tables.mails.c.id.in_([row["id"] for row in rows])))
            await connection.execute(insert(tables.mails), rows)

    async def mail(self, account_id: str | None, mail_id: str) -> MailRow | None:
        """The mail, if it belongs to the account (any account when None)."""
        statement = select(tables.mails).where(tables.mails.c.id == mail_id)
        if account_id is not None:
            statement = statement.where(tables.mails.c.account_id == account_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            return None
        known = {name: row._mapping[name] for name in MailRow.__slots__}
        return MailRow(**{**known, "received": datetime.fromtimestamp(row.received, UTC)})

    async def record_report(self, report: NewReport) -> Recorded:
        """Take a report into the catalogue, once; say whether it is new, a duplicate or a variant."""
        table = tables.reports
        mine = (table.c.account_id == report.account_id) & (table.c.identity == report.identity)
        async with self._database.write() as connection:
            found = (await connection.execute(select(table).where(mine))).all()
            same = next((row for row in found if row.content == report.content), None)
            warnings = [dict(warning) for warning in report.warnings]
            outcome = "new"
            if same is None:
                if found:
                    outcome = "variant"
                    warnings.append(
                        {
                            "code": "same_identity_other_content",
                            "where": report.where,
                            "detail": f"{len(found)} other report(s) with this reporter, domain, id and dates say "
                            "something else; all are counted",
                        }
                    )
                written = await connection.execute(
                    insert(table)
                    .values(
                        key=report.key,
                        identity=report.identity,
                        content=report.content,
                        account_id=report.account_id,
                        domain_id=report.domain_id,
                        kind=report.kind,
                        org_name=tables.storable(report.org_name),
                        org_email=tables.storable(report.org_email),
                        policy_domain=tables.storable(report.policy_domain),
                        report_id=tables.storable(report.report_id),
                        begin=_bigint(report.begin),
                        end=_bigint(report.end),
                        day=day_of(report.begin).isoformat(),
                        received=report.received.timestamp(),
                        records=report.records,
                        messages=_bigint(report.messages),
                        object_key=report.object_key,
                        file_name=tables.storable(report.file_name),
                        mail_id=report.mail_id,
                        state=report.state,
                        published=report.state != "counted",
                        warnings=json.dumps(warnings),
                    )
                    .returning(table)
                )
                row = written.one()
            else:
                row = same
            sightings = tables.sightings
            seen: Sequence[str] = ()
            if same is not None:
                here = (sightings.c.report_key == row.key) & (sightings.c.mail_id == report.mail_id)
                seen = (await connection.execute(select(sightings.c.where).where(here))).scalars().all()
            where = tables.storable(report.where)[:1024]
            if where not in seen:
                await connection.execute(
                    insert(sightings).values(
                        report_key=row.key,
                        mail_id=report.mail_id,
                        where=where,
                        received=report.received.timestamp(),
                    )
                )
            # The mail that brought it first may come again after a crash: that is no duplicate.
            if same is not None and not (same.mail_id == report.mail_id and len({*seen, where}) == 1):
                outcome = "duplicate"
        return Recorded(report_row(row), outcome)

    async def mark_published(self, keys: Sequence[str]) -> None:
        """The reports' rows are in Analytics."""
        async with self._database.write() as connection:
            await connection.execute(
                update(tables.reports).where(tables.reports.c.key.in_(list(keys))).values(published=True)
            )

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

    async def newest_day(self, account_id: str, domain_id: str) -> date | None:
        """The newest UTC day that a counted aggregate report is about; None when there is none."""
        table = tables.reports
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
        statement = select(func.max(table.c.day)).where(
            table.c.account_id == account_id,
            table.c.domain_id == domain_id,
            table.c.state == "counted",
            table.c.kind == AggregateReport.kind,
            table.c.day <= tomorrow,
        )
        async with self._database.read() as connection:
            newest = (await connection.execute(statement)).scalar_one()
        return None if newest is None else date.fromisoformat(newest)


def _bigint(value: int) -> int:
    """Held inside a signed 64-bit column; the raw value stays in the archived report."""
    return max(-(2**63), min(value, 2**63 - 1))


def report_row(row: Row[Any], duplicates: int = 0) -> ReportRow:
    """A row of the table as what it says."""
    return ReportRow(
        key=row.key,
        account_id=row.account_id,
        domain_id=row.domain_id,
        kind=row.kind,
        org_name=row.org_name,
        org_email=row.org_email,
        policy_domain=row.policy_domain,
        report_id=row.report_id,
        begin=row.begin,
        end=row.end,
        day=date.fromisoformat(row.day),
        received=datetime.fromtimestamp(row.received, UTC),
        records=row.records,
        messages=row.messages,
        object_key=row.object_key,
        file_name=row.file_name,
        mail_id=row.mail_id,
        state=row.state,
        published=row.published,
        warnings=tuple(json.loads(row.warnings)),
        duplicates=duplicates,
    )
